package node

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/fold"
)

const (
	lease = 30 * time.Second
	dead  = 10 * time.Second // after the last beat
)

// database has the meaning of state's tables, by the clock of the bubble.
type database struct {
	mu     sync.Mutex
	nodes  map[string]*weir.Node
	order  map[string]bool // to drain
	leases map[weir.RunID]*row
	runs   map[weir.RunID]*weir.Run
	chunks []weir.Chunk
	defs   []weir.Definition
	cursor weir.Seq
	rev    uint64
	away   error         // what everything answers
	hang   chan struct{} // everything waits for it
	renews int
	takes  int
}

type row struct {
	fold.LeaseRow
	until time.Time
}

func newDatabase() *database {
	return &database{
		nodes: map[string]*weir.Node{}, order: map[string]bool{}, leases: map[weir.RunID]*row{}, runs: map[weir.RunID]*weir.Run{},
	}
}

// enter is the beginning of every call: done ends it.
func (d *database) enter(ctx context.Context) (done func(), err error) {
	d.mu.Lock()
	hang := d.hang
	d.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	d.mu.Lock()
	if d.away != nil {
		defer d.mu.Unlock()
		return nil, d.away
	}
	return d.mu.Unlock, nil
}

func (d *database) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *database) Register(ctx context.Context, n weir.Node) (weir.Node, bool, error) {
	done, err := d.enter(ctx)
	if err != nil {
		return weir.Node{}, false, err
	}
	defer done()
	now := weir.TimeOf(time.Now())
	if other := d.nodes[n.Name]; other != nil && now.Sub(other.Seen) <= dead {
		return *other, false, nil
	}
	n.Started, n.Seen = now, now
	d.nodes[n.Name], d.order[n.Name] = &n, false
	return n, true, nil
}

func (d *database) Beat(ctx context.Context, n weir.Node) (bool, error) {
	done, err := d.enter(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	if kept := d.nodes[n.Name]; kept == nil || kept.Started != n.Started {
		return false, weir.E("", weir.NotFound, "no such node")
	}
	n.Seen = weir.TimeOf(time.Now())
	d.nodes[n.Name] = &n
	return d.order[n.Name], nil
}

func (d *database) Leave(ctx context.Context, n weir.Node) error {
	done, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	delete(d.nodes, n.Name)
	return nil
}

func (d *database) node(name string) (n weir.Node, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.nodes[name] == nil {
		return n, false
	}
	return *d.nodes[name], true
}

// grant grants a run of a pipeline to a node, as a flush does.
func (d *database) grant(run weir.Run, node string) fold.LeaseRow {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := fold.LeaseRow{Run: run.ID, Node: node, Try: run.Tries + 1, Began: weir.TimeOf(time.Now())}
	d.runs[run.ID] = &run
	d.leases[run.ID] = &row{l, time.Now().Add(lease)}
	return l
}

func (d *database) lease(run weir.RunID) (l row, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leases[run] == nil {
		return l, false
	}
	return *d.leases[run], true
}

func (d *database) TakeLeases(ctx context.Context, node string, most int) (taken []fold.LeaseRow, err error) {
	done, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	d.takes++
	for _, l := range d.leases {
		if l.Node == node && !l.Begun && time.Now().Before(l.until) && len(taken) < most {
			l.Begun, l.until = true, time.Now().Add(lease)
			taken = append(taken, l.LeaseRow)
		}
	}
	return taken, nil
}

func (d *database) RenewLeases(ctx context.Context, node string, rows []fold.LeaseRow) (renewed []fold.LeaseRow, err error) {
	done, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	d.renews++
	for _, r := range rows {
		l := d.leases[r.Run]
		if l != nil && l.Node == node && l.Began == r.Began && l.Begun && time.Now().Before(l.until) {
			l.until = time.Now().Add(lease)
			renewed = append(renewed, l.LeaseRow)
		}
	}
	return renewed, nil
}

func (d *database) GiveBackLeases(ctx context.Context, node string, rows []fold.LeaseRow) error {
	done, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	for _, r := range rows {
		if l := d.leases[r.Run]; l != nil && l.Node == node && l.Began == r.Began {
			delete(d.leases, r.Run)
		}
	}
	return nil
}

func (d *database) GiveBackGranted(ctx context.Context, node string) error {
	done, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	for id, l := range d.leases {
		if l.Node == node && !l.Begun {
			delete(d.leases, id)
		}
	}
	return nil
}

func (d *database) LeasedRuns(ctx context.Context) (runs []weir.RunID, err error) {
	done, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	for id, l := range d.leases {
		if time.Now().Before(l.until) {
			runs = append(runs, id)
		}
	}
	return runs, nil
}

func (d *database) Runs(ctx context.Context, ids []weir.RunID) (runs []*weir.Run, err error) {
	done, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	for _, id := range ids {
		if run := d.runs[id]; run != nil {
			copied := *run
			runs = append(runs, &copied)
		}
	}
	return runs, nil
}

func (d *database) Chunks(ctx context.Context, groups []weir.GroupID) (chunks []weir.Chunk, err error) {
	done, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	for _, c := range d.chunks {
		for _, g := range groups {
			if c.Group == g {
				chunks = append(chunks, c)
			}
		}
	}
	return chunks, nil
}

func (d *database) Definition(
	ctx context.Context, _ weir.ProjectID, kind weir.DefinitionKind, name string, revision uint64,
) (weir.Definition, error) {
	done, err := d.enter(ctx)
	if err != nil {
		return weir.Definition{}, err
	}
	defer done()
	for _, def := range d.defs {
		if def.Kind == kind && def.Name == name && def.Revision == revision {
			return def, nil
		}
	}
	return weir.Definition{}, weir.E("", weir.NotFound, "no such definition")
}

func (d *database) Definitions(ctx context.Context, _ weir.ProjectID) ([]weir.Definition, uint64, error) {
	done, err := d.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	return append([]weir.Definition(nil), d.defs...), d.rev, nil
}

// define puts a definition in force.
func (d *database) define(t testing.TB, kind weir.DefinitionKind, name string, body any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rev++
	d.defs = append(d.defs, weir.Definition{Kind: kind, Name: name, Revision: d.rev, Body: text})
}

func (d *database) Cursor(ctx context.Context) (weir.Seq, weir.Time, error) {
	done, err := d.enter(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer done()
	return d.cursor, 0, nil
}

func (d *database) Projects(ctx context.Context) ([]weir.Project, error) {
	done, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return []weir.Project{{ID: weir.DefaultProject, Name: "default", Revision: d.rev}}, nil
}

// start runs a loop in the bubble; stop ends it and waits.
func start(t testing.TB, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return stop
}

func logger(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }
