// Package app wires the rooms of one server process: it opens the stores, makes
// the loops and doors, starts them, and stops them in reverse order. It decides
// nothing else, and is the only room that knows all others.
package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/auth"
	"weir/internal/config"
	"weir/internal/ingest"
	"weir/internal/obs"
	"weir/internal/order"
	"weir/internal/secret"
	"weir/internal/source/declared"
	"weir/internal/source/webhook"
	"weir/internal/step"
	"weir/internal/step/httpcall"
	"weir/internal/track"
	"weir/internal/upkeep"
	"weir/internal/work"
)

// App is one server: open after Open, at work during Run.
type App struct {
	config  config.Config
	log     *slog.Logger
	metrics *obs.Metrics
	token   string
	started time.Time
	drain   *drain

	*engine
	rooms    rooms
	upkeep   *upkeep.Loop
	hiding   *upkeep.Hiding
	work     *work.Loop // nil without the duty
	door     *ingest.Door
	tail     *track.Tail
	server   *http.Server
	listener net.Listener
	unused   unused
}

// rooms are what differs between a node that is alone and one of several. Loops
// that are nil are for want of the duty.
type rooms struct {
	join     func(ctx context.Context) error // makes the node known to others, once all else is ready
	dispatch dispatcher
	nodes    api.Nodes
	shows    func(ctx context.Context) (warning string, err error) // whether what is taken is folded
	drained  func()                                                // called once the node is told to stop
	holds    func(hold string) bool                                // whether it alone does that now
	lost     func() int64                                          // events whose data was missing when they were folded

	dispatching func(ctx context.Context) error // folds, while it may
	working     func(ctx context.Context) error // tries runs
	taking      func(ctx context.Context) error // gets runs from another node
	keeping     func(ctx context.Context) error // upkeep, while it may
	looking     func(ctx context.Context) error // at what the dispatching node does
	listed      func(ctx context.Context) error // is one of the nodes
}

// dispatcher is who dispatches, for all who ask.
type dispatcher interface {
	work.Dispatcher
	order.Dispatcher
	track.Dispatcher
	api.Settler
}

// What one node of several does alone.
const (
	shardHold  = "shard 0"
	upkeepHold = "upkeep"
)

// Open takes the address, opens the stores, in the data directory, which it makes,
// or in the database, and makes the rooms. Nothing runs yet. Close or Run must follow.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (a *App, err error) {
	a = &App{config: cfg, log: log, metrics: obs.NewMetrics(), started: time.Now(), drain: newDrain()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return a, weir.E("listen", weir.Unavailable, "%w", err)
	}
	if cfg.Database.IsZero() {
		a.engine, err = openEmbedded(ctx, cfg, log)
	} else {
		if _, err := os.Stat(filepath.Join(cfg.Data, journalDir)); err == nil {
			log.Warn("what the data directory has is not read: the database has everything", "data", cfg.Data)
		}
		a.engine, err = openDatabase(ctx, cfg, log)
	}
	if err != nil {
		return a, err
	}
	return a, a.wire(ctx)
}

// wire makes the rooms and gives each what it asks for.
func (a *App) wire(ctx context.Context) error {
	tokens := auth.New(tokenStore{a.control})
	var key *secret.Key
	if err := a.first(ctx, func(ctx context.Context) (err error) {
		if key, err = a.openKey(ctx); err == nil {
			a.token, err = tokens.MakeAdmin(ctx, a.config.Admin.Token.Reveal())
		}
		return err
	}); err != nil {
		return err
	}
	secrets := secret.NewStore(key, a.state)
	limits := a.config.Limits
	types := declared.New(a.state, a.log)
	a.door = ingest.New(ingest.Options{
		Journal: a.journal, Blobs: a.blobs, Types: types, Refusals: a.state, Log: a.log,
		Limits: doorLimits(limits), InFlight: int64(limits.InFlight), Unverified: int64(limits.HooksInFlight),
	})
	if a.config.Has(weir.DutyWork) {
		a.work = a.workLoop(secrets)
	}
	if err := a.wireUpkeep(ctx); err != nil {
		return err
	}
	if a.among == nil {
		a.wireAlone(types.Applied)
	} else {
		a.wireAmong(types.Applied)
	}
	a.measure()

	reader := &track.Reader{Journal: a.journal, State: a.state, Dispatcher: a.rooms.dispatch, Blobs: a.blobs}
	a.tail = track.NewTail(track.TailOptions{Journal: a.journal, Reader: reader, Most: limits.Streams, Log: a.log})
	o := api.Options{
		Tokens: tokens, Door: a.door, Reader: reader, Streams: a.tail, State: a.state, Secrets: secrets,
		Settler: a.rooms.dispatch, Nodes: a.rooms.nodes, Backup: a.backup,
		Hooks: webhook.New(webhook.Options{Door: a.door, State: a.state, Secrets: secrets, Log: a.log}),
		Orders: &order.Orders{
			Journal: a.journal, State: a.state, Dispatcher: a.rooms.dispatch, Past: reader, Erasures: a.control, Hide: a.hiding.Refresh,
		},
		Projects: a.control, Keeps: api.Keeps{Retention: a.config.Retention, Least: max(a.config.DedupWindow, aDay)},
		Ready:   a.ready,
		Metrics: a.metrics.Handler(),
		Version: Version(),
		Log:     a.log,
	}
	if a.config.Has(weir.DutyAPI) {
		a.serve(api.New(o))
	} else {
		a.serve(api.NewHealth(o))
	}
	return a.rooms.join(ctx)
}

// workLoop makes the loop that tries runs. Who dispatches is not known yet.
func (a *App) workLoop(secrets *secret.Store) *work.Loop {
	limits := a.config.Limits
	return work.New(work.Options{
		Journal: a.journal, Blobs: a.blobs, Secrets: secrets, Logger: a.log, Node: a.config.Node,
		Refuse: func(project weir.ProjectID, e *weir.Event, why error) {
			a.door.Refuse(ingest.Entry{Project: project, Door: ingest.FoldDoor}, e, why)
		},
		Inline: int(limits.InlineData),
		Slots:  limits.WorkerSlots,
		Limits: stepLimits(limits),
		HTTP:   httpcall.Options{Allow: a.config.AllowDestinations, Timeout: limits.StepTimeout.Std()},
	})
}

func doorLimits(l config.Limits) ingest.Limits {
	return ingest.Limits{
		Data: int(l.EventData), Inline: int(l.InlineData), Body: int64(l.Body), Events: l.BatchEvents, Lines: l.ChunkLines,
		File: int64(l.File), Files: l.FormFiles, Fields: int64(l.FormFields),
	}
}

func stepLimits(l config.Limits) step.Limits {
	limits := step.DefaultLimits()
	limits.Data, limits.Log = int(l.EventData), int(l.RunLog)
	return limits
}

// AdminToken returns the token that Open made because there was none, or "".
func (a *App) AdminToken() string { return a.token }

// URL returns where the API is.
func (a *App) URL() string { return "http://" + a.listener.Addr().String() }

// Close closes what Open opened, in reverse order. It is for an App that does
// not run.
func (a *App) Close() error {
	var errs []error
	if a.listener != nil {
		if err := a.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if a.engine != nil {
		errs = append(errs, a.close())
	}
	return errors.Join(errs...)
}

// Version returns what the build says of itself: a version, or the revision of
// the source, or "devel".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
