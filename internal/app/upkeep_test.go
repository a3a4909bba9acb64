package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir"
	"weir/client"
	"weir/internal/blob"
	"weir/internal/config"
	"weir/internal/dispatch"
	"weir/internal/journal"
	"weir/internal/journal/chapter"
	"weir/internal/order"
	"weir/internal/state"
	"weir/internal/state/sqlite"
	"weir/internal/step/httpcall"
	"weir/internal/track"
	"weir/internal/work"
)

// kept is a server without its doors, on small chapters, in a bubble.
type kept struct {
	*App
	t      *testing.T
	dir    string
	orders *order.Orders
	reader *track.Reader
	events int
}

func keepUp(t *testing.T, retention time.Duration) *kept {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	j, err := chapter.Open(t.Context(), chapter.Options{Dir: filepath.Join(dir, journalDir), MaxRecords: 300, MaxBytes: 1 << 20, Window: retention, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(dir, stateFile), DataID: j.DataID(), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	b, err := blob.New(filepath.Join(dir, blobDir))
	if err != nil {
		t.Fatal(err)
	}
	a := &App{config: config.Default(), log: log, engine: &engine{
		journal: j, state: s, control: s, kept: s, past: j, blobs: blobs[*blob.Writer]{b}, sweeper: sweeperOf(b), prepare: s.Checkpoint,
	}}
	a.config.Retention = weir.Duration(retention)
	if err := a.wireUpkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := dispatch.New(dispatch.Options{Journal: j, State: s, Blobs: a.blobs, Logger: log, Node: "n"})
	a.rooms.dispatch = &counted{Dispatcher: d}
	w := work.New(work.Options{Journal: j, Blobs: a.blobs, Dispatcher: d, Logger: log, Node: "n", HTTP: httpcall.Options{}})
	k := &kept{App: a, t: t, dir: dir, reader: &track.Reader{Journal: j, State: s, Dispatcher: d, Blobs: a.blobs}}
	k.orders = &order.Orders{Journal: j, State: s, Dispatcher: d, Past: k.reader, Erasures: s, Hide: a.hiding.Refresh}
	base := context.WithoutCancel(t.Context())
	dispatching := begin(base, func(ctx context.Context) error { return d.Run(ctx, w) })
	working, keeping := begin(base, w.Run), begin(base, a.upkeep.Run)
	t.Cleanup(func() {
		for _, err := range []error{keeping.end(), working.end(), dispatching.end(), s.Close(), j.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return k
}

// apply installs triggers: each acts on every event, fails has a run die, three
// waits for three events of a subject.
func (k *kept) apply(project weir.ProjectID) {
	k.t.Helper()
	put := func(kind weir.DefinitionKind, name string, body any) weir.Definition {
		b, err := json.Marshal(body)
		if err != nil {
			k.t.Fatal(err)
		}
		return weir.Definition{Kind: kind, Name: name, Body: b}
	}
	match := func(kind string) []weir.Criterion { return []weir.Criterion{{Types: []string{kind}}} }
	order := &weir.Apply{Revision: 1, Put: []weir.Definition{
		put(weir.KindTrigger, "each", weir.Trigger{Match: match("e"), Run: "tell"}),
		put(weir.KindTrigger, "fails", weir.Trigger{Match: match("f"), Run: "call"}),
		put(weir.KindTrigger, "three", weir.Trigger{
			Match: match("g"), GroupBy: []weir.KeyPart{{Name: "n", Of: "data.n"}}, Fire: []weir.Criterion{{Count: 3}}, Expire: "opened + 60d", Run: "tell",
		}),
		put(weir.KindPipeline, "tell", weir.Pipeline{Steps: []weir.Step{{Log: &weir.LogStep{Message: "${size(events)}"}}}}),
		put(weir.KindPipeline, "call", weir.Pipeline{Steps: []weir.Step{{HTTP: &weir.HTTPStep{URL: "http://127.0.0.1:1/"}}}}),
	}}
	if _, err := k.orders.Apply(k.t.Context(), project, order); err != nil {
		k.t.Fatal(err)
	}
}

// publish appends events of a type and subject, and waits until they are folded.
func (k *kept) publish(project weir.ProjectID, n int, kind, subject string) {
	k.t.Helper()
	batch := weir.Batch{}
	for range n {
		k.events++
		batch.Records = append(batch.Records, &weir.Record{Project: project, Event: &weir.Event{
			ID: fmt.Sprint(k.events), Source: "/s", Type: kind, Subject: subject, Data: []byte(`{"n":1}`),
		}})
	}
	receipts, err := k.journal.Append(k.t.Context(), batch)
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.orders.Dispatcher.Settle(k.t.Context(), receipts[0].Items[n-1].Seq); err != nil {
		k.t.Fatal(err)
	}
}

// only returns the one run that a filter finds, with its events.
func (k *kept) only(project weir.ProjectID, f client.RunFilter) client.Run {
	k.t.Helper()
	page, err := k.reader.Runs(k.t.Context(), project, f, client.Paging{})
	if err != nil || len(page.Items) != 1 {
		k.t.Fatalf("%+v: %d runs, %v", f, len(page.Items), err)
	}
	id, err := weir.ParseRunID(page.Items[0].ID)
	if err != nil {
		k.t.Fatal(err)
	}
	run, err := k.reader.Run(k.t.Context(), project, id)
	if err != nil {
		k.t.Fatal(err)
	}
	return run
}

func (k *kept) size() (bytes int64) {
	k.t.Helper()
	err := filepath.WalkDir(k.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return bytes
}

func TestDisksFillNoFurtherAndWhatIsLiveStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := keepUp(t, 24*time.Hour)
		k.apply(1)
		k.publish(1, 1, "f", "")
		k.publish(1, 2, "g", "")
		var sizes []int64
		for range 8 {
			for range 24 {
				k.publish(1, 40, "e", "")
				time.Sleep(time.Hour)
			}
			sizes = append(sizes, k.size())
		}

		t.Logf("%d events; bytes day by day: %v", k.events, sizes)
		level := sizes[3]
		for day, size := range sizes[4:] {
			if size > level+level/20 {
				t.Errorf("day %d: %d bytes, after %d on day 4", day+5, size, level)
			}
		}
		if first := k.journal.(*chapter.Journal).First(); first < weir.Seq(k.events) {
			t.Errorf("nothing was trimmed before %d", first)
		}
		dead := k.only(1, client.RunFilter{State: "dead"})
		if len(dead.Events) != 1 || len(dead.Attempts) != 1 || dead.Missing != 0 {
			t.Errorf("the dead run: %+v", dead)
		}
		id, err := weir.ParseRunID(dead.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.orders.Change(t.Context(), 1, weir.Change{Run: id, Kind: weir.Redriven}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if again := k.only(1, client.RunFilter{State: "dead"}); len(again.Attempts) != 3 || again.Attempts[2].Steps[0].Kind != "http" {
			t.Errorf("redriven: %+v", again.Attempts)
		}
		k.publish(1, 1, "g", "")
		time.Sleep(time.Second)
		fired := k.only(1, client.RunFilter{Trigger: "three"})
		if fired.State != "succeeded" || len(fired.Events) != 3 {
			t.Errorf("the group's run: %+v", fired)
		}
	})
}

// until waits until an erasure has ended, and returns it.
func (k *kept) until(id int64) weir.Erasure {
	k.t.Helper()
	for range 100 {
		time.Sleep(5 * time.Second)
		all, err := k.control.Erasures(k.t.Context())
		if err != nil {
			k.t.Fatal(err)
		}
		for _, e := range all {
			if e.ID == id && e.Ended != 0 {
				return e
			}
		}
	}
	k.t.Fatal("the erasure does not end")
	return weir.Erasure{}
}

func TestAnErasedSubjectIsHiddenAtOnceAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := keepUp(t, 24*time.Hour)
		k.apply(1)
		k.publish(1, 5, "e", "bob")
		k.publish(1, 1, "g", "bob")
		k.publish(1, 7, "e", "ann")
		k.publish(1, 1, "g", "ann")
		k.publish(1, 1, "f", "ann")
		shown := func(subject string) int {
			page, err := k.reader.Events(t.Context(), 1, client.EventFilter{Subject: subject}, client.Paging{})
			if err != nil {
				t.Fatal(err)
			}
			return len(page.Items)
		}

		ordered, err := k.orders.Erase(t.Context(), 1, "ann", "admin")

		if err != nil || shown("ann") != 0 || shown("bob") != 6 {
			t.Fatalf("%v; of ann %d, of bob %d", err, shown("ann"), shown("bob"))
		}
		if ended := k.until(ordered.ID); ended.Records != 9 || shown("ann") != 0 || shown("bob") != 6 {
			t.Errorf("%+v; of ann %d, of bob %d", ended, shown("ann"), shown("bob"))
		}
		k.publish(1, 1, "g", "ann") // what comes later is shown again
		time.Sleep(time.Second)
		if fired := k.only(1, client.RunFilter{Trigger: "three"}); fired.State != "succeeded" || fired.Count != 3 || fired.Missing != 1 ||
			!strings.Contains(fired.Attempts[0].Log, "1 of 3 events of the batch are erased") {
			t.Errorf("the group's run: %+v", fired)
		}
		dead := k.only(1, client.RunFilter{State: "dead"})
		id, err := weir.ParseRunID(dead.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.orders.Change(t.Context(), 1, weir.Change{Run: id, Kind: weir.Redriven}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if again, err := k.reader.Run(t.Context(), 1, id); err != nil || again.State != "cancelled" || again.Error != "all events of the batch are erased" {
			t.Errorf("redriven: %+v, %v", again, err)
		}
	})
}

func TestADeletedProjectIsGoneAndOneOfItsNameSharesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := keepUp(t, 24*time.Hour)
		k.apply(1)
		shop, err := k.control.CreateProject(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		k.apply(shop.ID)
		k.publish(1, 2, "e", "")
		k.publish(shop.ID, 20, "e", "")
		k.publish(shop.ID, 3, "f", "")
		k.publish(shop.ID, 2, "g", "")

		if err := k.orders.DeleteProject(t.Context(), shop, "admin"); err != nil {
			t.Fatal(err)
		}
		if _, err := k.state.ProjectByName(t.Context(), "shop"); weir.CodeOf(err) != weir.NotFound {
			t.Error(err)
		}
		events := func(project weir.ProjectID) int {
			page, err := k.reader.Events(t.Context(), project, client.EventFilter{}, client.Paging{})
			if err != nil {
				t.Fatal(err)
			}
			return len(page.Items)
		}
		if n := events(shop.ID); n != 0 {
			t.Errorf("%d events are shown", n)
		}
		anew, err := k.control.CreateProject(t.Context(), "shop")
		if err != nil || anew.ID == shop.ID {
			t.Fatal(anew, err)
		}
		k.publish(shop.ID, 1, "e", "") // by who entered before
		k.publish(anew.ID, 1, "e", "")

		ended := k.until(1)

		if wait := ended.Ended.Sub(ended.Ordered); wait < time.Minute {
			t.Errorf("ended after %v, when there may still be appends", wait)
		}
		if all, live, one := events(shop.ID), k.alive(shop.ID), events(anew.ID); all != 0 || live != 0 || one != 1 || events(1) != 2 {
			t.Errorf("%d events and %d live things are left, of the one made anew %d", all, live, one)
		}
		found, err := k.journal.Find(t.Context(), journal.Query{Project: shop.ID})
		if err != nil || len(found.Records) != 0 {
			t.Errorf("%d records are left, %v", len(found.Records), err)
		}
		if inForce, _, err := k.state.Definitions(t.Context(), shop.ID); err != nil || len(inForce) != 0 {
			t.Errorf("definitions: %v, %v", inForce, err)
		}
	})
}

// alive counts what is live of a project.
func (k *kept) alive(project weir.ProjectID) (n int) {
	k.t.Helper()
	_, err := k.kept.Walk(k.t.Context(), func(l *state.Live) error {
		if l.Project == project {
			n++
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return n
}
