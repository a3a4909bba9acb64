// Package lane decides which runs may start now. It keeps the waiting runs by
// lane, the lanes under the gates that they go through, and the places that
// running runs take there. Dispatch owns the one Set of a shard and tells it
// what happens; nothing here sees a clock or a store.
//
// What may start is found by going down a tree, in which everything is ordered
// by the (due, id) of the first run below it:
//
//	projects, in turn
//	  gate of a pipeline, of its rate, of an origin, or to the outside, while it is open
//	    bundle: the lanes of one pipeline to one origin
//	      lane
//	        run
//	    gate of a key of that pipeline, while it is open
//	      lane
//	        run
//
// A shut gate is not in its project's tree, and takes with it all that hangs
// under it, however much that is. A bundle hangs under one of its gates, a lane
// under its bundle or under its key. When the way down leads to a lane one of
// whose gates is shut, lane or bundle moves over to that gate, and is found
// again when it opens. So a step down either starts a run or hides what cannot
// start, and a place that is freed brings back one gate, not what waits at it.
//
// Lanes whose first run is due later stand apart, ordered by that time, and so
// do shut gates that open by themselves: breakers and rates.
//
// Runs of an ordered key stand in a queue of their own before all of this. Only
// its first stands in its lane; so the others cost nothing while it waits, and
// may go wherever they want.
//
// A pipeline that skips fresh runs for which it has no place does not hide them
// when it is full: their bundles hang beside its gate, and the step down that
// finds one and the pipeline full skips it.
package lane
