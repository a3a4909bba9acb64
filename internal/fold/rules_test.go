package fold_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir"
	"weir/internal/fold"
)

// bench folds one record after another, each in a turn of its own.
type bench struct {
	t     *testing.T
	fold  *fold.Fold
	store *store
	seq   weir.Seq
	at    weir.Time
	rev   uint64
	runs  []weir.Run // that were made, in order
}

func newBench(t *testing.T, triggers ...weir.Trigger) *bench {
	t.Helper()
	f := fold.New(testShard, &fold.Checkpoint{})
	b := &bench{t: t, fold: f, store: newStore(), at: start}
	b.apply(triggers)
	return b
}

func (b *bench) apply(put []weir.Trigger, remove ...string) {
	b.t.Helper()
	b.rev++
	order := &weir.Apply{Revision: b.rev}
	for _, t := range put {
		order.Put = append(order.Put, definition(weir.KindTrigger, t.Name, t))
	}
	for _, name := range remove {
		order.Delete = append(order.Delete, weir.Definition{Kind: weir.KindTrigger, Name: name})
	}
	b.add(weir.Record{Apply: order})
}

// event adds an event of type "a" that was at the given time, and returns its
// place.
func (b *bench) event(at weir.Time, data string) weir.Seq {
	b.t.Helper()
	return b.add(weir.Record{Event: &weir.Event{ID: fmt.Sprint(b.seq), Source: "/s", Type: "a", Time: at, Data: []byte(data)}})
}

func (b *bench) events(n int) (seqs []weir.Seq) {
	b.t.Helper()
	for range n {
		seqs = append(seqs, b.event(0, `{}`))
	}
	return seqs
}

// tick lets time pass.
func (b *bench) tick(by weir.Time) {
	b.t.Helper()
	b.at += by
	b.add(weir.Record{})
}

func (b *bench) add(rec weir.Record) weir.Seq {
	b.t.Helper()
	b.seq++
	rec.Seq, rec.At, rec.Project = b.seq, b.at, 1
	n, needs := b.fold.Plan([]*weir.Record{&rec})
	groups, runs, err := b.store.load(needs)
	if n != 1 || err != nil {
		b.t.Fatalf("plan %d records: %v", n, err)
	}
	b.fold.Give(groups, runs)
	for _, touch := range b.fold.Turn() {
		if touch.Kind == 0 {
			run := copyRun(*touch.Run)
			chunks, _ := b.fold.Chunks(&run)
			run.Firing.Join(chunks)
			b.runs = append(b.runs, run)
		}
	}
	return rec.Seq
}

// flush writes what changed, and keeps nothing in memory.
func (b *bench) flush() *fold.Layer {
	b.t.Helper()
	layer := b.fold.Freeze()
	if err := b.store.flush(layer); err != nil {
		b.t.Fatal(err)
	}
	b.fold.Flushed(layer, 0, func(weir.RunID) bool { return false })
	return layer
}

// made is what the tests look at in a run.
type made struct {
	Reason weir.Reason
	Made   weir.Time // after start
	Seqs   []weir.Seq
}

func (b *bench) want(want ...made) {
	b.t.Helper()
	var got []made
	for _, run := range b.runs {
		m := made{Reason: run.Firing.Reason, Made: run.Firing.Made - start}
		for _, member := range run.Firing.Members {
			m.Seqs = append(m.Seqs, member.Seq)
		}
		got = append(got, m)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		b.t.Errorf("runs made (-want +got):\n%s", diff)
	}
}

// countsTo is a trigger that fires at n events, or expires.
func countsTo(n int, expire string) weir.Trigger {
	return weir.Trigger{
		Name: "t", Match: []weir.Criterion{{}}, Fire: []weir.Criterion{{Count: n}}, Expire: expire,
	}
}

func TestFiresOnCountAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(3, "last + 1h"))

	seqs := b.events(3)

	b.want(made{weir.Fired, 0, seqs})
}

func TestNextEventAfterAFiringOpensANewGroup(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(2, "last + 1h"))

	first, second, third := b.events(2), b.events(2), b.events(1)

	b.want(made{weir.Fired, 0, first}, made{weir.Fired, 0, second})
	if g := b.flush().Groups; len(g) != 1 || g[0].Tail[0].Seq != third[0] {
		t.Errorf("the group that is open has %v, want the event %v", g, third)
	}
}

func TestAnEmptyFireIsMetByTheFirstEvent(t *testing.T) {
	t.Parallel()
	trigger := countsTo(1, "last + 1h")
	trigger.Fire = []weir.Criterion{}
	b := newBench(t, trigger)

	seqs := b.events(1)

	b.want(made{weir.Fired, 0, seqs})
}

func TestWithoutFireAGroupOnlyExpires(t *testing.T) {
	t.Parallel()
	b := newBench(t, weir.Trigger{Name: "t", Match: []weir.Criterion{{}}, Expire: "opened + 10s"})

	seqs := b.events(20)
	b.tick(10 * second)

	b.want(made{weir.Expired, 10 * second, seqs})
}

func TestExpiresBeforeRecordAtDue(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(2, "opened + 10s"))

	first := b.event(0, `{}`)
	b.at += 10 * second
	b.event(0, `{}`)

	b.want(made{weir.Expired, 10 * second, []weir.Seq{first}})
}

func TestARecordJustBeforeDueStillJoins(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(2, "opened + 10s"))

	first := b.event(0, `{}`)
	b.at += 10*second - 1
	last := b.event(0, `{}`)

	b.want(made{weir.Fired, 10*second - 1, []weir.Seq{first, last}})
}

func TestLateEventsOpenALateGroup(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(3, "last + 1m"))
	old := start - 3600*second

	one := b.event(old, `{}`)
	b.at += 50 * second
	two := b.event(old, `{}`)
	b.tick(60*second - 1)
	b.want()
	b.tick(1)

	b.want(made{weir.Late, 110 * second, []weir.Seq{one, two}})
}

func TestALateGroupFiresAsUsual(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(2, "last + 1m"))
	old := start - 3600*second

	one, two := b.event(old, `{}`), b.event(old, `{}`)

	b.want(made{weir.Fired, 0, []weir.Seq{one, two}})
}

func TestAnOldEventBesideAHealthyGroupJoinsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(2, "last + 1m"))

	fresh := b.event(0, `{}`)
	old := b.event(start-3600*second, `{}`)

	b.want(made{weir.Fired, 0, []weir.Seq{old, fresh}})
}

func TestAnOldEventThatWouldEndAHealthyGroupIsLate(t *testing.T) {
	t.Parallel()
	b := newBench(t, countsTo(2, "first + 1m"))

	fresh := b.event(0, `{}`)
	old := b.event(start-3600*second, `{}`)
	b.tick(60 * second)

	if len(b.runs) != 2 || b.runs[0].Firing.Group == b.runs[1].Firing.Group {
		t.Fatalf("runs %v, want the one of the group and the one of the late group", b.runs)
	}
	reasons := map[weir.Seq]weir.Reason{}
	for _, run := range b.runs {
		reasons[run.Firing.Members[0].Seq] = run.Firing.Reason
	}
	if diff := cmp.Diff(map[weir.Seq]weir.Reason{fresh: weir.Expired, old: weir.Late}, reasons); diff != "" {
		t.Errorf("reasons by event (-want +got):\n%s", diff)
	}
}

func TestATimeTooFarAheadCountsAsAcceptance(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ ahead, ends weir.Time }{
		"at the skew":     {300 * second, 360 * second},
		"beyond the skew": {300*second + 1, 60 * second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, countsTo(2, "last + 1m"))

			seq := b.event(start+c.ahead, `{}`)
			b.tick(c.ends - 1)
			b.want()
			b.tick(1)

			b.want(made{weir.Expired, c.ends, []weir.Seq{seq}})
			if got := b.runs[0].Firing.Members[0].Time; got != start+c.ahead {
				t.Errorf("the member's time is %s, want the event's own %s", got, start+c.ahead)
			}
		})
	}
}

func TestFullGroupFiresWhereTheCriteriaAreMet(t *testing.T) {
	t.Parallel()
	trigger := countsTo(3, "never")
	trigger.MaxEvents = 3
	b := newBench(t, trigger)

	seqs := b.events(3)

	b.want(made{weir.Fired, 0, seqs})
}

func TestFullGroupExpiresAtOnceWhereTheyAreNot(t *testing.T) {
	t.Parallel()
	trigger := countsTo(3, "never")
	trigger.MaxEvents, trigger.Run, trigger.OnExpire = 2, "run", "expire"
	b := newBench(t, trigger)

	seqs := b.events(2)

	b.want(made{weir.Full, 0, seqs})
	if got := b.runs[0].Pipeline; got != "expire" {
		t.Errorf("it runs %q, want the pipeline of on_expire", got)
	}
}

func TestFullGroupIsOneOfTenThousandUnlessTheTriggerSays(t *testing.T) {
	t.Parallel()
	b := newBench(t, weir.Trigger{Name: "t", Match: []weir.Criterion{{}}, Expire: "last + 1h"})

	b.events(weir.DefaultMaxEvents - 1)
	if len(b.runs) != 0 {
		t.Fatalf("it ended with one event less")
	}
	b.events(1)

	if len(b.runs) != 1 || b.runs[0].Firing.Reason != weir.Full {
		t.Errorf("runs %v, want one of a full group", b.runs)
	}
}
