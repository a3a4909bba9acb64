package crash

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/client"
	"weir/internal/app"
	"weir/internal/backup"
	"weir/internal/config"
)

// TestARestoredBackupGoesOnFromWhereItWasMade backs a server up under load, kills
// it, and serves what is restored.
func TestARestoredBackupGoesOnFromWhereItWasMade(t *testing.T) {
	t.Parallel()
	to := newReceiver(t, func(_, _ string, n int) bool { return n == 1 }) // so that most runs wait for their second try
	first := newServer(t)
	first.start(t)
	first.apply(t, fmt.Sprintf(`
triggers:
  each: {match: {type: order}, run: call}
  many: {match: {type: order}, group_by: {tens: data.tens}, fire: [{type: order, count: 100}], expire: last + 1h, run: count}
pipelines:
  call: {steps: [{http: {url: "%s/each"}}], retry: {attempts: 20, backoff: 500ms, factor: 1}}
  count: {steps: [{log: {message: "${size(events)}"}}]}
`, to.url))
	acked := newOrders()
	ctx, stop := context.WithCancel(t.Context())
	var publishers sync.WaitGroup
	for n := range 4 {
		publishers.Go(func() { acked.publish(ctx, first.Client, n) })
	}
	<-acked.count.reached(2000)

	before := acked.known()
	from, err := first.Backup(ctx, client.BackupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	restored := newServer(t)
	head, report, err := app.Restore(ctx, from, restored.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	from.Close()
	first.process.kill()
	stop()
	publishers.Wait()
	to.drain(t)
	calls := len(to.all())
	second := restored.start(t).caughtUp(t)
	fmt.Printf("seen: backup as of %v with %d records and %d runs, %d events acknowledged before it and %d in all; restored: %v\n",
		head.Made, report.Records, report.Runs, len(before), len(acked.known()), second)

	if report.Faults != 0 || report.Runs == 0 {
		t.Errorf("restored %+v", report)
	}
	restored.settle(t.Context(), t)
	there := map[string]bool{}
	for _, e := range all(t, func(p client.Paging) (client.Page[client.Event], error) {
		return restored.Events(t.Context(), client.EventFilter{Type: "order"}, p)
	}) {
		there[e.ID] = true
	}
	for id := range before {
		if !there[id] {
			t.Errorf("event %s was acknowledged before the backup, and is not there", id)
		}
	}
	wantEffects(t, to.all(), calls, there)
	if report := verified(t, restored); report.Records == 0 {
		t.Errorf("afterwards %+v", report)
	}
}

// wantEffects checks that the run of each event had its effect, under one key on
// both servers, and at most once more on the second.
func wantEffects(t *testing.T, calls []call, before int, events map[string]bool) {
	t.Helper()
	keys, again := map[string]string{}, map[string]int{}
	for i, c := range calls {
		id := strings.Join(c.members, " ")
		if key := keys[id]; key != "" && key != c.key {
			t.Errorf("event %s was sent under two keys", id)
		}
		keys[id] = c.key
		if i >= before && !c.refused {
			again[id]++
		}
	}
	for id := range events {
		if keys[id] == "" {
			t.Errorf("event %s had no effect", id)
		}
		if again[id] > 1 {
			t.Errorf("the restored server sent event %s %d times", id, again[id])
		}
	}
}

// verified stops a server and verifies what it left.
func verified(t *testing.T, s *server) backup.Report {
	t.Helper()
	s.HTTP.CloseIdleConnections()
	s.process.stop(t)
	cfg := config.Default()
	cfg.Data = s.dir
	report, err := app.Verify(t.Context(), cfg, nil, func(f backup.Fault) { t.Errorf("%s: %s", f.Where, f.What) })
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// orders are events that were acknowledged.
type orders struct {
	count *counter

	mu  sync.Mutex // guards:
	ids map[string]bool
}

func newOrders() *orders { return &orders{count: newCounter(), ids: map[string]bool{}} }

func (o *orders) known() map[string]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make(map[string]bool, len(o.ids))
	for id := range o.ids {
		all[id] = true
	}
	return all
}

// publish publishes until ctx ends or the server is gone.
func (o *orders) publish(ctx context.Context, c *client.Client, publisher int) {
	for n := 0; ctx.Err() == nil; n++ {
		var events []*weir.Event
		for i := range 20 {
			id := fmt.Sprintf("%d-%d-%d", publisher, n, i)
			events = append(events, &weir.Event{
				ID: id, Source: source + "/orders", Type: "order", Data: fmt.Appendf(nil, `{"tens": %d}`, n/10),
			})
		}
		if _, err := c.Publish(ctx, events...); err != nil {
			return // it was killed
		}
		o.mu.Lock()
		for _, e := range events {
			o.ids[e.ID] = true
		}
		o.mu.Unlock()
		o.count.add(len(events))
		pause(10 * time.Millisecond)
	}
}
