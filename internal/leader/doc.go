// Package leader lets one process at a time do what only one may do: dispatch a
// shard, or keep house. Such a right is a hold, a row in the database that names
// who has it, under which token, and until when by the database's clock.
//
//	         renewed at s             Over at s+lease-margin
//	holder   |----- does its work ------|-- cancelled, stops --|
//	row      |  d >= s -------------------- until = d+lease ---|-- margin --|
//	another                                                                 |- begins, if nobody released it before
//
// Why two never work at once, though no clock is shared: a holder counts from
// before it sent the last renewal that was granted, the database from when it
// granted it, which is later. So by the time that another may begin, the holder
// has been told for two margins to stop, by a clock that goes on while the machine
// is suspended. Clocks may differ in speed by as much as the margins are of the
// lease. A process that was stopped for longer learns it as soon as it runs again:
// who is about to begin something asks Held, which looks at the clock itself and
// does not wait for a timer to go off. Only what was begun before, and cannot be
// recalled, may then overlap.
//
// What is written is safe without any of this: each flush of state names the token,
// and is refused when another one is in force, and the journal takes only the first
// change of a run with a number.
package leader
