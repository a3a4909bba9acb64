package dispatch

import (
	"context"
	"maps"
	"slices"
	"time"

	"weir"
	"weir/internal/fold"
	"weir/internal/pipeline"
)

// Nodes are the processes that try runs, this one's own workers aside.
type Nodes interface {
	// Nodes returns all that are known, also this one.
	Nodes(ctx context.Context) ([]weir.Node, error)

	// Leases returns those that state has and that were granted to a node, not to
	// workers of the dispatching process.
	Leases(ctx context.Context) ([]fold.LeaseRow, error)

	// Granted hints to nodes that leases were written for them.
	Granted(nodes []string)

	// Revoked hints to nodes that leases were taken from them: of runs that they may
	// still be trying.
	Revoked(nodes []string)
}

// lookEvery is how often the dispatcher looks which nodes there are, and what
// became of the leases granted to them. What they end it learns from the journal.
const lookEvery = time.Second

// grants is what the dispatcher knows of other nodes.
type grants struct {
	slots   map[string]int  // of those that live and take runs
	leased  map[string]int  // runs granted, by node
	posted  map[string]bool // nodes for which the next flush holds leases
	revoked map[string]bool // nodes from which it takes leases, because their runs were cancelled
	look    *look           // under way; nil: none
	next    time.Time       // when to look again
	failing bool
}

// look is a look at the other nodes, beside the loop.
type look struct {
	asked  map[weir.RunID]weir.Time // leases that state had before it, by when they began
	nodes  []weir.Node
	leases []fold.LeaseRow
	err    error
	done   chan struct{}
}

func newGrants() grants {
	return grants{slots: make(map[string]int), leased: make(map[string]int), posted: make(map[string]bool), revoked: make(map[string]bool)}
}

// free returns how many runs more the other nodes take.
func (g *grants) free() (n int) {
	for node, slots := range g.slots {
		n += max(slots-g.leased[node], 0)
	}
	return n
}

// roomiest returns the node with the most free slots, "" where none has any.
func (g *grants) roomiest() (node string) {
	most := 0
	for name, slots := range g.slots {
		if free := slots - g.leased[name]; free > most {
			node, most = name, free
		}
	}
	return node
}

// grant takes from the leases those that other nodes get, and returns the rest.
// The workers here come first, because nothing need be written before they begin,
// but leave slots to quick runs, which are not worth the way to another node.
func (d *Dispatcher) grant(leases []weir.Lease) []weir.Lease {
	if d.Nodes == nil {
		return leases
	}
	own := d.ownFree()
	kept := d.Slots / keptSlots
	return slices.DeleteFunc(leases, func(l weir.Lease) bool {
		node := d.grants.roomiest()
		if node == "" || own > kept || own > 0 && pipeline.IsQuick(l.Pipe, l.Run.Done) {
			own--
			return false
		}
		r := d.running[l.Run.ID]
		r.node, r.waits = node, true
		d.grants.leased[node]++
		d.grants.posted[node] = true
		return true
	})
}

// adopt goes on with a lease that another node had from the dispatcher before.
func (d *Dispatcher) adopt(row fold.LeaseRow, run *weir.Run) {
	d.running[row.Run] = &running{node: row.Node, try: row.Try, began: row.Began, waits: true, written: true, landed: true}
	d.grants.leased[row.Node]++
	d.lanes.Adopt(laneRun(run))
}

// endRemote takes a change of a run that another node tries for the end of the
// try: whoever made it, the try can change nothing any more.
func (d *Dispatcher) endRemote(t fold.Touch) {
	if t.Kind == weir.Cancelled {
		d.grants.revoked[d.running[t.ID].node] = true
	}
	d.drop(t.ID)
	delete(d.careful, t.ID)
	d.lanes.Finish(t.ID, t.Verdict, d.now())
	d.place(t.ID, t.Run)
}

// lookAround takes note of what a look found, and begins the next when it is time.
func (d *Dispatcher) lookAround(ctx context.Context) {
	g := &d.grants
	if g.look != nil {
		select {
		case <-g.look.done:
			d.looked(g.look)
			g.look = nil
		default:
		}
	}
	if d.Nodes == nil || g.look != nil || time.Now().Before(g.next) {
		return
	}
	g.next = time.Now().Add(lookEvery)
	l := &look{asked: make(map[weir.RunID]weir.Time), done: make(chan struct{})}
	for id, r := range d.running {
		if r.node != "" && r.landed {
			l.asked[id] = r.began
		}
	}
	g.look = l
	go func() {
		if l.nodes, l.err = d.Nodes.Nodes(ctx); l.err == nil && len(l.asked) > 0 {
			l.leases, l.err = d.Nodes.Leases(ctx)
		}
		close(l.done)
		d.inbox.nudge()
	}()
}

func (d *Dispatcher) looked(l *look) {
	if l.err != nil {
		if !d.grants.failing {
			d.Logger.Warn("look at other nodes: trying until it succeeds", "err", l.err)
		}
		d.grants.failing = true
		return
	}
	d.grants.failing = false
	d.countSlots(l.nodes)
	rows := make(map[weir.RunID]fold.LeaseRow, len(l.leases))
	for _, row := range l.leases {
		rows[row.Run] = row
	}
	for id, began := range l.asked {
		r := d.running[id]
		if r == nil || r.began != began || r.late {
			continue
		}
		row, ok := rows[id]
		switch ok = ok && row.Began == began; {
		case !ok, row.Over && !row.Begun: // given back, or never taken
			d.giveBack(id)
		case row.Over:
			r.late = true
			d.late = append(d.late, id)
		}
	}
}

// countSlots takes note of who takes runs, and bounds how many go outside at once
// by the slots of all.
func (d *Dispatcher) countSlots(nodes []weir.Node) {
	slots, all := make(map[string]int, len(nodes)), d.Slots
	for i := range nodes {
		if n := &nodes[i]; n.Name != d.Node && n.Slots > 0 && !n.Dead && !n.Draining {
			slots[n.Name] = n.Slots
			all += n.Slots
		}
	}
	if maps.Equal(slots, d.grants.slots) {
		return
	}
	d.grants.slots = slots
	d.lanes.LimitOutside(all - all/keptSlots)
}
