package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"weir"
	"weir/internal/backup"
	pgblob "weir/internal/blob/postgres"
	"weir/internal/config"
	"weir/internal/dispatch"
	"weir/internal/fold"
	"weir/internal/journal"
	pgjournal "weir/internal/journal/postgres"
	"weir/internal/leader"
	"weir/internal/node"
	"weir/internal/pg"
	"weir/internal/state/postgres"
)

// shared is what nodes share besides what every engine has.
type shared struct {
	db    *pg.DB
	state *postgres.State
	look  func(ctx context.Context) error // asks for the journal's head afresh
}

// cluster is what makes this process one of the nodes on a database.
type cluster struct {
	*App
	*shared
	applied      func(weir.ProjectID)
	registration *node.Registration
	registry     *registry
	afar         *node.Afar
	taker        *node.Taker // nil without the duty work
	dispatch     *node.Dispatch
	freed        map[string]chan struct{} // by hold: hints that it is free

	mu    sync.Mutex // guards:
	here  *dispatch.Dispatcher
	held  map[string]bool
	folds int64 // events whose data was lost, in tenures that ended
}

// The topics of hints between nodes. Those that get lost cost time only.
const (
	flushedHint = "flushed"  // state has another cursor
	wantedHint  = "wanted"   // somebody waits for a place to be flushed
	grantedHint = "granted/" // and a node, to which runs were granted
	revokedHint = "revoked/" // and a node, from which runs were taken
	freedHint   = "freed"    // a hold was released
)

// tryGrace is how long tries under way may go on when the shard is given up.
const tryGrace = 10 * time.Second

// wireAmong makes this process one of several.
func (a *App) wireAmong(applied func(weir.ProjectID)) {
	c := &cluster{
		App: a, shared: a.among, applied: applied, registry: &registry{State: a.among.state},
		freed: map[string]chan struct{}{shardHold: make(chan struct{}, 1), upkeepHold: make(chan struct{}, 1)}, held: map[string]bool{},
	}
	maker := node.NewMaker(c.state)
	c.afar = node.NewAfar(node.AfarOptions{
		State: c.state, Logger: a.log, Applied: []func(weir.ProjectID){applied, maker.Applied}, Want: c.want,
	})
	if a.work != nil {
		c.taker = node.NewTaker(node.TakerOptions{
			Rows: c.state, Maker: maker, Workers: workers{a.work, a.drain}, Node: a.config.Node, Logger: a.log, Clock: leader.SinceBoot,
		})
	}
	c.dispatch = node.NewDispatch(c.afar, c.taker)
	c.listen()
	a.rooms = rooms{
		join: c.join, dispatch: c.dispatch, nodes: c.state, shows: c.shows, drained: c.drained, holds: c.holds, lost: c.lost,
		looking: c.looking, listed: func(ctx context.Context) error { return c.registration.Run(ctx) },
	}
	if a.work != nil {
		a.work.Dispatcher = c.dispatch
		a.rooms.working, a.rooms.taking = a.work.Run, c.taker.Run
	}
	if a.config.Has(weir.DutyDispatch) {
		a.rooms.dispatching = func(ctx context.Context) error { return c.compete(ctx, shardHold, c.reign) }
	}
	if a.config.Has(weir.DutyUpkeep) {
		a.rooms.keeping = func(ctx context.Context) error { return c.compete(ctx, upkeepHold, c.keep) }
	}
}

func (c *cluster) join(ctx context.Context) (err error) {
	c.registration, err = node.Register(ctx, c.registered())
	return err
}

// registered is what the node tells of itself.
func (c *cluster) registered() node.Options {
	o := node.Options{
		Registry: c.registry, Logger: c.log, Name: c.config.Node, Duties: c.config.Duties, Version: Version(), Share: c.dispatch.Share,
		Drain:  func() { c.turn(true) },
		Resume: func() { c.turn(false) },
	}
	if c.work != nil {
		o.Slots, o.Free = c.config.Limits.WorkerSlots, workers{c.work, c.drain}.Free
	}
	return o
}

// turn follows an order to drain, or to take part again.
func (c *cluster) turn(drains bool) {
	c.drain.order(drains)
	switch {
	case c.taker == nil:
	case drains:
		c.taker.Drain()
	default:
		c.taker.Resume()
	}
}

// drained is called once the node is told to stop.
func (c *cluster) drained() {
	c.registration.Draining()
	if c.taker != nil {
		c.taker.Drain()
	}
}

// listen follows hints of other nodes, and of this one.
func (c *cluster) listen() {
	c.db.Hear(flushedHint, func(string) { c.afar.Nudge() })
	c.db.Hear(wantedHint, func(text string) {
		if seq, err := strconv.ParseUint(text, 10, 64); err == nil {
			c.dispatch.Wanted(weir.Seq(seq))
		}
	})
	if c.taker != nil {
		c.db.Hear(grantedHint+c.config.Node, func(string) { c.taker.Nudge() })
		c.db.Hear(revokedHint+c.config.Node, func(string) { c.taker.Revoked() })
	}
	c.db.Hear(freedHint, func(string) {
		for _, freed := range c.freed {
			select {
			case freed <- struct{}{}:
			default:
			}
		}
	})
}

func (c *cluster) want(_ context.Context, seq weir.Seq) {
	c.db.Notify(wantedHint, strconv.FormatUint(uint64(seq), 10))
}

// looking knows what the dispatching node does, has it flush what others want, and
// hides what is erased by order of another node.
func (c *cluster) looking(ctx context.Context) error {
	wanting, hiding := begin(ctx, c.dispatch.Run), begin(ctx, c.hiding.Run)
	return errors.Join(c.afar.Run(ctx), wanting.end(), hiding.end())
}

// compete does what only one node may, while this one may and takes part.
func (c *cluster) compete(ctx context.Context, hold string, do func(context.Context, *leader.Tenure) error) error {
	l := leader.New(leader.Options{
		Store: holdStore{c.state.Holds(), c.db}, Name: hold, Node: c.config.Node, Logger: c.log, Freed: c.freed[hold],
	})
	for c.drain.until(ctx, false) {
		part, cancel := context.WithCancel(ctx)
		leaving := begin(part, func(part context.Context) error {
			c.drain.until(part, true)
			cancel()
			return nil
		})
		err := l.Run(part, func(ctx context.Context, t *leader.Tenure) error {
			c.holding(hold, true)
			defer c.holding(hold, false)
			return do(ctx, t)
		})
		_ = leaving.end()
		if err != nil {
			return err
		}
	}
	return nil
}

// reign dispatches the shard for one tenure.
func (c *cluster) reign(ctx context.Context, t *leader.Tenure) error {
	if err := c.look(ctx); err != nil { // nothing starts before the fold has reached what others appended
		return err
	}
	d := dispatch.New(dispatch.Options{
		Journal: c.journal, State: toldState{c.checkpoint(t.Token), c.db}, Blobs: c.blobs, Applied: c.applied, Logger: c.log,
		Node: c.config.Node, Held: t.Held, Nodes: granting{c.state, c.db}, Grace: tryGrace, Clock: c.clock, Newer: journal.ErrNewer,
		OriginLimit: c.config.Limits.Origin, Slots: c.slots(),
	})
	c.dispatch.Begin(d)
	c.set(d)
	defer func() {
		c.dispatch.End()
		c.set(nil)
	}()
	return d.Run(ctx, c.workers())
}

func (c *cluster) set(d *dispatch.Dispatcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.here != nil {
		c.folds += c.here.Lost()
	}
	c.here = d
}

func (c *cluster) lost() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.here == nil {
		return c.folds
	}
	return c.folds + c.here.Lost()
}

func (c *cluster) holding(hold string, holds bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[hold] = holds
}

func (c *cluster) holds(hold string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held[hold]
}

// keep does the upkeep for one tenure.
func (c *cluster) keep(ctx context.Context, _ *leader.Tenure) error { return c.upkeep.Run(ctx) }

// shows tells what is wrong with what becomes of events: they are taken all the
// same, so it does not make the node not ready. Everybody may read what it says,
// so it does not say where the database is.
func (c *cluster) shows(ctx context.Context) (warning string, err error) {
	nodes, err := c.state.Nodes(ctx)
	switch err := errors.Join(c.registry.writes(), err); {
	case weir.CodeOf(err) == weir.DiskFull:
		return "", weir.E("", weir.DiskFull, "the database has no room on its disk")
	case err != nil:
		return "", weir.E("", weir.Unavailable, "the database cannot be reached, or takes no writes")
	case !slices.ContainsFunc(nodes, func(n weir.Node) bool { return slices.Contains(n.Holds, shardHold) }):
		return "no node dispatches: events are taken, and nothing becomes of them until one does", nil
	}
	return "", nil
}

func (c *cluster) slots() int {
	if c.work == nil {
		return 0
	}
	return c.config.Limits.WorkerSlots
}

func (c *cluster) workers() dispatch.Workers {
	if c.work == nil {
		return nobody{}
	}
	return workers{c.work, c.drain}
}

// nobody are the workers of a node without the duty work.
type nobody struct{}

func (nobody) Take([]weir.Lease) {}

func (nobody) Free() int { return 0 }

func (nobody) Cancel(weir.RunID) {}

// registry notes whether the database takes writes, which each beat is.
type registry struct {
	*postgres.State
	failed atomic.Pointer[error]
}

func (r *registry) Beat(ctx context.Context, n weir.Node) (drain bool, err error) {
	drain, err = r.State.Beat(ctx, n)
	r.failed.Store(&err)
	return drain, err
}

func (r *registry) writes() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// toldState tells others of flushes.
type toldState struct {
	dispatch.State
	db *pg.DB
}

func (s toldState) Flush(ctx context.Context, layer *fold.Layer) error {
	err := s.State.Flush(ctx, layer)
	if err == nil {
		s.db.Notify(flushedHint, "")
	}
	return err
}

// granting tells nodes of what was granted to them.
type granting struct {
	*postgres.State
	db *pg.DB
}

func (g granting) Granted(nodes []string) {
	for _, n := range nodes {
		g.db.Notify(grantedHint+n, "")
	}
}

// Revoked tells nodes of what was taken from them.
func (g granting) Revoked(nodes []string) {
	for _, n := range nodes {
		g.db.Notify(revokedHint+n, "")
	}
}

// holdStore tells others of holds that are free.
type holdStore struct {
	*postgres.Holds
	db *pg.DB
}

func (s holdStore) Release(ctx context.Context, name string, token int64) error {
	err := s.Holds.Release(ctx, name, token)
	if err == nil {
		s.db.Notify(freedHint, name)
	}
	return err
}

// openDatabase opens the stores in a database, and brings its schema up to date.
func openDatabase(ctx context.Context, cfg config.Config, log *slog.Logger) (*engine, error) {
	db, err := pg.Open(ctx, pg.Options{URL: cfg.Database.Reveal(), Name: cfg.Node, Logger: log})
	if err != nil {
		return nil, err
	}
	j, err := pgjournal.Open(ctx, pgjournal.Options{DB: db, Window: cfg.DedupWindow.Std(), Logger: log})
	if err != nil {
		db.Close()
		return nil, err
	}
	b, s := pgblob.New(db), postgres.New(postgres.Options{DB: db})
	return &engine{
		journal: j, state: s, control: s, blobs: blobs[*pgblob.Writer]{b},
		checkpoint: func(token int64) dispatch.State { return s.Tenure(token) },
		first:      db.Alone,
		among:      &shared{db: db, state: s, look: j.Look},
		clock:      db.Now,
		kept:       s, past: j,
		sweeper: func(is named) sweep { return (&pgblob.Sweeper{Store: b, Named: is}).Sweep },
		prepare: func(context.Context) error { return nil },
		stores:  backup.Stores{Journal: j, State: s, Blobs: b},
		close: func() error {
			err := j.Close()
			db.Close()
			return err
		},
	}, nil
}
