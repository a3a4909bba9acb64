package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"weir"
	"weir/internal/dispatch"
	"weir/internal/journal/chapter"
	"weir/internal/state/sqlite"
	"weir/internal/work"
)

// engine is the loops of one node on an embedded store, without doors.
type engine struct {
	dir     string
	journal *chapter.Journal
	state   *sqlite.State
	loop    *dispatch.Dispatcher
	stop    func() error

	perEvent float64 // records that the journal gets for each event, it included
}

type noSecrets struct{}

func (noSecrets) Reveal(context.Context, weir.ProjectID, string) (string, error) {
	return "", weir.E("", weir.NotFound, "there are no secrets here")
}

func startEngine(ctx context.Context) (*engine, error) {
	dir, err := os.MkdirTemp("", "weir-bench-*")
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	e := &engine{dir: dir}
	if e.journal, err = chapter.Open(ctx, chapter.Options{Dir: filepath.Join(dir, "journal"), Logger: log}); err != nil {
		return nil, err
	}
	if e.state, err = sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "state.db"), DataID: e.journal.DataID(), Logger: log}); err != nil {
		return nil, err
	}
	e.loop = dispatch.New(dispatch.Options{Journal: e.journal, State: e.state, Logger: log, Node: "bench"})
	workers := work.New(work.Options{Journal: e.journal, Dispatcher: e.loop, Secrets: noSecrets{}, Logger: log, Node: "bench"})
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	wg.Go(func() { errs <- e.loop.Run(ctx, workers) })
	wg.Go(func() { errs <- workers.Run(ctx) })
	e.stop = func() error {
		cancel()
		wg.Wait()
		err := <-errs
		if err == nil {
			err = <-errs
		}
		_ = e.journal.Close()
		_ = e.state.Close()
		_ = os.RemoveAll(dir)
		return err
	}
	return e, nil
}

// apply installs definitions as the project's next revision.
func (e *engine) apply(ctx context.Context, revision uint64, put ...weir.Definition) error {
	batch := weir.Batch{Bound: true, Records: []*weir.Record{{
		Project: weir.DefaultProject, Apply: &weir.Apply{Revision: revision, By: "bench", Put: put},
	}}}
	_, err := e.journal.Append(ctx, batch)
	return err
}

func define(kind weir.DefinitionKind, name string, body any) weir.Definition {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // plain structs of ours
	}
	return weir.Definition{Kind: kind, Name: name, Body: b}
}

// publish appends n events in batches of size, from several publishers at once.
func (e *engine) publish(ctx context.Context, n, size int, event func(i int) *weir.Event) error {
	const publishers = 16
	var wg sync.WaitGroup
	var published atomic.Int64
	errs := make(chan error, publishers)
	each := n / publishers
	for p := range publishers {
		wg.Go(func() {
			for i := 0; i < each; i += size {
				records := make([]*weir.Record, 0, size)
				for k := i; k < min(i+size, each); k++ {
					records = append(records, &weir.Record{Project: weir.DefaultProject, Event: event(p*each + k)})
				}
				e.pace(int(float64(published.Add(int64(len(records)))) * e.perEvent))
				if _, err := e.journal.Append(ctx, weir.Batch{Records: records}); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// pace holds a publisher back while the engine is more than some ten thousand
// records behind what was published: overload is another benchmark.
func (e *engine) pace(want int) {
	for want-int(e.journal.Head()) > backlog {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = e.journal.Wait(ctx, e.journal.Head())
		cancel()
	}
}

const backlog = 40_000

// settled waits until the journal has the wanted number of records and all are
// folded.
func (e *engine) settled(ctx context.Context, want weir.Seq) error {
	for e.journal.Head() < want {
		wait, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := e.journal.Wait(wait, e.journal.Head())
		cancel()
		if err != nil {
			return fmt.Errorf("the journal stands at %d and not at %d: %w", e.journal.Head(), want, err)
		}
	}
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return e.loop.Settle(wait, want)
}

func sampleEvent(i int) *weir.Event {
	return &weir.Event{
		ID: fmt.Sprintf("bench-%d", i), Source: "/bench", Type: "order.placed", Subject: "o-17",
		Execution: fmt.Sprintf("%032x", i),
		Data:      []byte(`{"order":17,"total":140.5,"customer":"c-12345","items":[{"sku":"a","n":1},{"sku":"b","n":2}]}`),
	}
}
