package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/client"
	"weir/internal/auth"
	"weir/internal/ingest"
	"weir/internal/source/webhook"
)

// world is everything behind the API, in memory.
type world struct {
	mu          sync.Mutex
	records     []*weir.Record
	refusals    []weir.Refusal
	definitions []weir.Definition
	revision    uint64
	secrets     map[string]string
	settled     weir.Seq
	rivals      int // applies that come first
	appendErr   error
	orderErr    error
	warning     string // of readyz
	drained     bool   // node b
	tenants
}

const w30 = weir.Duration(30 * 24 * time.Hour)

const start weir.Time = 1_767_225_600_000_000 // 2026-01-01

func newAPI(t *testing.T) (*API, *world) {
	t.Helper()
	w := &world{secrets: map[string]string{"github": "It's a Secret to Everybody"}, settled: 1000}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	door := ingest.New(ingest.Options{
		Journal: w, Refusals: w, Blobs: w, Log: log, Limits: ingest.Limits{Data: 64, Body: 2048, Events: 3, Lines: 2},
	})
	return New(Options{
		Tokens: w, Door: door, Hooks: webhook.New(webhook.Options{Door: door, State: w, Secrets: w, Log: log}),
		Reader: w, Streams: w, Orders: w, State: w, Secrets: w, Settler: w, Nodes: w, Projects: w, Keeps: Keeps{Retention: w30, Least: w30 / 30 * 7}, Backup: w.backup,
		Ready: func(context.Context) (string, error) { return w.warning, nil }, Version: "test", Log: log,
	}), w
}

func (w *world) Append(_ context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.appendErr != nil {
		return nil, w.appendErr
	}
	var receipts []weir.Receipt
	for _, b := range batches {
		var receipt weir.Receipt
		for _, r := range b.Records {
			item := weir.Item{Seq: weir.Seq(len(w.records) + 1)}
			for _, old := range w.records {
				if old.Identity() == r.Identity() {
					item.Seq, item.Repeated = old.Seq, true
				}
			}
			item.At = start.Add(time.Duration(item.Seq) * time.Millisecond)
			if !item.Repeated {
				r.Seq, r.At = item.Seq, item.At
				w.records = append(w.records, r)
			}
			receipt.Items = append(receipt.Items, item)
		}
		receipts = append(receipts, receipt)
	}
	return receipts, nil
}

// Create makes a blob that nobody reads.
func (w *world) Create(context.Context) (ingest.BlobWriter, error) { return &scrap{}, nil }

// Remove removes it.
func (w *world) Remove(context.Context, string) error { return nil }

type scrap struct{ size int64 }

func (s *scrap) Write(b []byte) (int, error) {
	s.size += int64(len(b))
	return len(b), nil
}

func (s *scrap) Commit() (weir.Blob, error) { return weir.Blob{ID: "b1", Size: s.size}, nil }

func (s *scrap) Discard() {}

func (w *world) AddRefusals(_ context.Context, all []weir.Refusal) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range all {
		f.N, f.At = int64(len(w.refusals)+1), start
		w.refusals = append(w.refusals, f)
	}
	return nil
}

func (w *world) Counters(context.Context, weir.ProjectID) (map[string]weir.TriggerCounters, error) {
	return map[string]weir.TriggerCounters{"ship": {"matched": 3}}, nil
}

func (w *world) ListRefusals(_ context.Context, project weir.ProjectID, before int64, limit int) ([]weir.Refusal, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []weir.Refusal
	for _, f := range slices.Backward(w.refusals) {
		if f.Project == project && (before == 0 || f.N < before) && len(out) < limit {
			out = append(out, f)
		}
	}
	return out, nil
}

// Authenticate knows tokens that are called as their role.
func (w *world) Authenticate(_ context.Context, header string) (auth.Principal, error) {
	name, found := strings.CutPrefix(header, "Bearer weir_")
	if name == "shop" {
		return auth.Principal{Name: name, Role: auth.Publisher, Project: 2}, nil
	}
	if name == "shop-admin" {
		return auth.Principal{Name: name, Role: auth.Admin, Project: 2}, nil
	}
	role, err := auth.ParseRole(name)
	if !found || err != nil {
		return auth.Principal{}, weir.E("", weir.Unauthenticated, "the token is not known")
	}
	return auth.Principal{Name: name, Role: role}, nil
}

func (w *world) ProjectByName(_ context.Context, name string) (weir.Project, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch name {
	case "default":
		return weir.Project{ID: 1, Name: name, Revision: w.revision}, nil
	case "shop":
		return weir.Project{ID: 2, Name: name}, nil
	}
	for _, p := range w.made {
		if p.Name == name {
			return p, nil
		}
	}
	return weir.Project{}, weir.E("", weir.NotFound, "there is no project %q", name)
}

func (w *world) Definitions(_ context.Context, project weir.ProjectID) ([]weir.Definition, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if project != 1 {
		return nil, 0, nil
	}
	return slices.Clone(w.definitions), w.revision, nil
}

func (w *world) Apply(_ context.Context, _ weir.ProjectID, order *weir.Apply) (weir.Seq, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rivals > 0 {
		w.rivals--
		w.revision++
	}
	if order.Revision != w.revision+1 {
		return 0, weir.E("", weir.Conflict, "another apply made revision %d first", order.Revision)
	}
	w.revision++
	gone := func(d weir.Definition) bool {
		return slices.ContainsFunc(slices.Concat(order.Put, order.Delete), func(o weir.Definition) bool {
			return o.Kind == d.Kind && o.Name == d.Name
		})
	}
	w.definitions = slices.DeleteFunc(w.definitions, gone)
	for _, d := range order.Put {
		d.Revision = w.revision
		w.definitions = append(w.definitions, d)
	}
	slices.SortFunc(w.definitions, func(a, b weir.Definition) int {
		return strings.Compare(string(a.Kind)+" "+a.Name, string(b.Kind)+" "+b.Name)
	})
	return 77, nil
}

func (w *world) Change(_ context.Context, _ weir.ProjectID, order weir.Change) (weir.Seq, error) {
	if w.orderErr != nil {
		return 78, w.orderErr
	}
	if order.Run != runID {
		return 0, weir.E("", weir.NotFound, "there is no run %s in this project", order.Run)
	}
	if order.Kind != weir.Cancelled {
		return 0, weir.E("", weir.Conflict, "run %s is pending, not to be %s", order.Run, order.Kind)
	}
	return 78, nil
}

func (w *world) Set(_ context.Context, _ weir.ProjectID, name string, value []byte) error {
	w.secrets[name] = string(value)
	return nil
}

func (w *world) Names(context.Context, weir.ProjectID) ([]string, error) {
	var names []string
	for name := range w.secrets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (w *world) Delete(_ context.Context, _ weir.ProjectID, name string) error {
	if _, found := w.secrets[name]; !found {
		return weir.E("", weir.NotFound, "there is no secret %q", name)
	}
	delete(w.secrets, name)
	return nil
}

func (w *world) Reveal(_ context.Context, _ weir.ProjectID, name string) (string, error) {
	if value, found := w.secrets[name]; found {
		return value, nil
	}
	return "", weir.E("", weir.NotFound, "there is no secret %q", name)
}

func (w *world) Settle(ctx context.Context, seq weir.Seq) error {
	if seq > w.settled {
		return weir.E("", weir.Behind, "place %d is not folded and written yet: try again", seq)
	}
	return ctx.Err()
}

var runID = weir.RunID{1}

func (w *world) Events(_ context.Context, project weir.ProjectID, f client.EventFilter, p client.Paging) (client.Page[client.Event], error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	page := client.Page[client.Event]{Items: []client.Event{}, AsOf: w.settled}
	for _, r := range slices.Backward(w.records) {
		if r.Project == project && (f.Type == "" || f.Type == r.Event.Type) && len(page.Items) < p.Limit {
			shown := shown(r)
			shown.Execution = "made"
			page.Items = append(page.Items, shown)
		}
	}
	return page, nil
}

func shown(r *weir.Record) client.Event {
	return client.Event{Event: *r.Event, UID: r.UID(0).String(), Seq: r.Seq, At: r.At}
}

func (w *world) Event(_ context.Context, project weir.ProjectID, uid weir.EventUID) (client.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.records {
		if r.Project == project && r.UID(0) == uid {
			return shown(r), nil
		}
	}
	return client.Event{}, weir.E("", weir.NotFound, "there is no event %s", uid)
}

type opened struct{ *bytes.Reader }

func (opened) Close() error { return nil }

func (w *world) EventData(ctx context.Context, project weir.ProjectID, uid weir.EventUID) (*weir.Event, io.ReadSeekCloser, error) {
	shown, err := w.Event(ctx, project, uid)
	if err != nil || shown.Data == nil {
		return nil, nil, weir.E("", weir.NotFound, "there is no data of event %s", uid)
	}
	return &shown.Event, opened{bytes.NewReader(shown.Data)}, nil
}

func (w *world) Runs(_ context.Context, _ weir.ProjectID, f client.RunFilter, p client.Paging) (client.Page[client.Run], error) {
	run := client.Run{ID: runID.String(), State: f.State, Pipeline: f.Pipeline, Made: f.Since, Count: p.Limit}
	return client.Page[client.Run]{Items: []client.Run{run}, Next: "further", AsOf: w.settled}, nil
}

func (w *world) Run(_ context.Context, _ weir.ProjectID, id weir.RunID) (client.Run, error) {
	if id != runID {
		return client.Run{}, weir.E("", weir.Internal, "disk on fire")
	}
	return client.Run{
		ID: id.String(), Pipeline: "p", State: "dead", Reason: "fired", Key: []byte(`{"user":"u"}`), Made: start, Tries: 1,
		Attempts: []client.Attempt{{N: 1, At: start, Outcome: "died", Took: weir.Duration(time.Second), Steps: []client.StepOutcome{{Kind: "http"}}}},
	}, nil
}

// Follow tells of the events that there are, and that the server stops then.
func (w *world) Follow(
	_ context.Context, project weir.ProjectID, f client.StreamFilter, after string,
) iter.Seq2[client.Page[client.StreamItem], error] {
	return func(yield func(client.Page[client.StreamItem], error) bool) {
		if f.Kinds == "cake" {
			yield(client.Page[client.StreamItem]{}, weir.E("", weir.Invalid, "%q is no kind of item", f.Kinds).WithField("kinds"))
			return
		}
		if !yield(client.Page[client.StreamItem]{Next: cmp.Or(after, "7")}, nil) {
			return
		}
		w.mu.Lock()
		var page client.Page[client.StreamItem]
		for _, r := range w.records {
			if r.Project == project && (f.Type == "" || f.Type == r.Event.Type) {
				e := shown(r)
				e.Execution = "made"
				page.Items = append(page.Items, client.StreamItem{Place: strconv.FormatUint(uint64(r.Seq), 10), Event: &e})
			}
		}
		w.mu.Unlock()
		if f.Attempts {
			page.Items = append(page.Items, client.StreamItem{Place: "41.1", Run: &client.RunChange{
				ID: runID.String(), N: 1, At: start, Outcome: "died", State: "dead", Pipeline: f.Pipeline, Attempt: &client.Attempt{N: 1, At: start, Log: "a\nb"},
			}}, client.StreamItem{Place: "50", Gap: &client.Gap{From: 42, To: 50}})
		}
		if len(page.Items) == 0 || yield(page, nil) {
			yield(client.Page[client.StreamItem]{}, weir.E("", weir.Unavailable, "the server stops"))
		}
	}
}

func (w *world) Groups(_ context.Context, _ weir.ProjectID, f client.GroupFilter, _ client.Paging) (client.Page[client.Group], error) {
	if f.Trigger == "panic" {
		panic("a bug")
	}
	return client.Page[client.Group]{Items: []client.Group{}, AsOf: w.settled}, nil
}

func (w *world) Group(_ context.Context, _ weir.ProjectID, id weir.GroupID) (client.Group, error) {
	return client.Group{
		ID: id.String(), Trigger: "guesses", Key: []byte(`{}`), State: "open", Opened: start, First: start, Last: start, Count: 2,
		Criteria: []client.Criterion{{Have: 2, Need: 5}},
	}, nil
}

func (w *world) Nodes(context.Context) ([]weir.Node, error) {
	b := weir.Node{Name: "b", Duties: []weir.Duty{weir.DutyAPI}, Version: "v2", Started: start, Seen: start, Draining: w.drained}
	a := weir.Node{Name: "a", Holds: []string{"shard 0"}, Version: "v1", Started: start, Seen: start, Free: 3, Share: 4}
	c := weir.Node{Name: "c", Version: "v1", Started: start, Seen: start, Draining: true, Dead: true}
	a.Duties = []weir.Duty{weir.DutyDispatch, weir.DutyWork}
	return []weir.Node{a, b, c}, nil
}

func (w *world) Drain(_ context.Context, name string) error { return w.drain(name, true) }

func (w *world) Undrain(_ context.Context, name string) error { return w.drain(name, false) }

func (w *world) drain(name string, to bool) error {
	if name != "b" {
		return weir.E("", weir.NotFound, "there is no node %q", name).WithField("name")
	}
	w.drained = to
	return nil
}

// backup fails where a key is asked for, after the beginning.
func (w *world) backup(_ context.Context, to io.Writer, o BackupOptions) error {
	_, err := io.WriteString(to, "a backup")
	if o.Key {
		err = errors.Join(err, errors.New("the disk is gone"))
	}
	return err
}
