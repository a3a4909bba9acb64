package work

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir"
	"weir/internal/pipeline"
)

// timeless ignores what the clock decides.
var timeless = cmp.Options{
	cmpopts.IgnoreFields(weir.Attempt{}, "Began", "Took"),
	cmpopts.IgnoreFields(weir.StepOutcome{}, "Took"),
}

func TestEmptyPipelineEndsAtOnceAndRecordsTheFiring(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	run := b.run(`1`, `2`)
	run.Pipeline = ""
	m := run.Firing.Members
	m[0], m[1] = m[1], m[0]
	run.Firing.Chunks = 3

	_, changes := b.try(run, nil)

	firing := run.Firing
	firing.Members, firing.Chunks = []weir.Member{m[1], m[0]}, 0
	want := []*weir.Change{{
		Run: run.ID, N: 1, Kind: weir.Succeeded, Trigger: "t", Attempt: &weir.Attempt{Try: 1, Node: "n1"}, Firing: &firing,
	}}
	if diff := cmp.Diff(want, changes, timeless); diff != "" {
		t.Error(diff)
	}
}

func TestStepThatHadItsEffectIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	a, z := newReceiver(t), newReceiver(t, 500, 503)
	p := steps(httpStep(a.URL), httpStep(z.URL))
	run := b.run(`{"n":1}`)

	var kinds []string
	for range 3 {
		_, changes := b.try(run, p)
		c := changes[0]
		kinds = append(kinds, c.Kind.String())
		if (c.Firing != nil) != (c.N == 1) {
			t.Errorf("change %d: firing %v", c.N, c.Firing)
		}
		run = folded(run, c)
	}

	if diff := cmp.Diff([]string{"retrying", "retrying", "succeeded"}, kinds); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{run.ID.String() + ".0"}, a.got()); diff != "" {
		t.Errorf("first: %s", diff)
	}
	key := run.ID.String() + ".1"
	if diff := cmp.Diff([]string{key, key, key}, z.got()); diff != "" {
		t.Errorf("second: %s", diff)
	}
	last := b.journal.changes()[2]
	if last.N != 3 || last.Attempt.Try != 3 || len(last.Attempt.Steps) != 1 || last.Attempt.Steps[0].Index != 1 {
		t.Errorf("last change: %+v, %+v", last, last.Attempt)
	}
}

func TestTransformStepsAreDoneAgainAndEmptyBatchSucceeds(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	r := newReceiver(t, 500)
	run := b.run(`{"n":1}`, `{"n":2}`)

	_, changes := b.try(run, steps(filterStep("data.n > 1"), httpStep(r.URL+"/${data.n}")))
	run = folded(run, changes[0])
	_, changes = b.try(run, steps(filterStep("data.n > 1"), httpStep(r.URL+"/${data.n}")))
	if c := changes[0]; c.Kind != weir.Succeeded || len(c.Attempt.Steps) != 2 || c.Attempt.Steps[0].Detail != "kept 1 of 2 events" {
		t.Errorf("second try: %+v, %+v", c, c.Attempt)
	}
	run.Pipeline = "q"
	run = folded(run, changes[0])
	_, changes = b.try(run, steps(filterStep("data.n > 2"), httpStep(r.URL)))
	if c := changes[0]; c.Kind != weir.Succeeded || len(c.Attempt.Steps) != 1 {
		t.Errorf("filtered to nothing: %+v", c)
	}
	if len(r.got()) != 2 {
		t.Errorf("requests: %v", r.got())
	}
}

func TestResultIsTheNewestOutputAlsoOfAnEarlierTry(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	run := b.run(`{"n":1}`)
	run.N, run.Tries = 1, 1
	run.Done = []weir.StepOutcome{{Index: 0, Kind: "http", Finished: true, Output: []byte(`{"total":5}`)}}

	_, changes := b.try(run, steps(httpStep("http://127.0.0.1:1"), logStep("total ${result.total}")))

	if c := changes[0]; c.Kind != weir.Succeeded || !strings.Contains(c.Attempt.Log, "info total 5\n") || c.Firing != nil {
		t.Errorf("got %+v, %+v", c, c.Attempt)
	}
}

func TestEmittedEventsComeWithTheTryInWhichTheirStepFinished(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	r := newReceiver(t, 400)
	run := b.run(`{"n":1}`, `{"n":2}`)

	_, changes := b.try(run, steps(emitStep("made"), httpStep(r.URL), emitStep("never")))

	var got []string
	for _, e := range b.journal.emitted(2) {
		got = append(got, e.Source+" "+e.ID+" "+e.Type)
	}
	id := run.ID.String()
	want := []string{"/weir " + id + ".1 weir.run.dead", "/runs/" + id + " 0.0 made", "/runs/" + id + " 0.1 made"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c := changes[0]; c.Kind != weir.Died || c.Attempt.Steps[0].Emitted != 2 || !strings.HasSuffix(c.Error, ": 400 Bad Request") {
		t.Errorf("got %+v, %+v", c, c.Attempt)
	}
}

func TestQuietRunDiesWithoutAnEvent(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	run := b.run(`{}`)
	run.Firing.Quiet = true

	_, changes := b.try(run, steps(logStep("${data.nowhere}")))

	if c := changes[0]; c.Kind != weir.Died || c.Error != "message: missing data.nowhere" || c.Attempt.Steps[0].Error != c.Error {
		t.Errorf("got %+v", c)
	}
	if events := b.journal.emitted(1); len(events) > 0 {
		t.Errorf("emitted %v", events)
	}
}

func TestFailureSaysWhatFollowsAndWhetherTheDestinationWasReached(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	hanging := newHanging(t, hang)
	for name, c := range map[string]struct {
		step    weir.Step
		retry   weir.Retry
		timeout time.Duration
		kind    weir.ChangeKind
		verdict weir.Verdict
		want    string
	}{
		"no connection":    {step: httpStep("http://127.0.0.1:1/x"), kind: weir.Retrying, verdict: weir.Unreached, want: "connection refused"},
		"retry none":       {step: httpStep("http://127.0.0.1:1/x"), retry: weir.Retry{None: true}, kind: weir.Died, verdict: weir.Unreached, want: "refused"},
		"last attempt":     {step: httpStep("http://127.0.0.1:1/x"), retry: weir.Retry{Attempts: 1}, kind: weir.Died, verdict: weir.Unreached, want: "refused"},
		"forbidden":        {step: httpStep("http://10.0.0.1/x"), kind: weir.Died, want: "10.0.0.1 is a forbidden address"},
		"500":              {step: httpStep(newReceiver(t, 500).URL), kind: weir.Retrying, verdict: weir.Reached, want: "500 Internal Server Error"},
		"404":              {step: httpStep(newReceiver(t, 404).URL), kind: weir.Died, verdict: weir.Reached, want: "404 Not Found"},
		"the try's time":   {step: httpStep(hanging), timeout: 30 * time.Millisecond, kind: weir.Retrying, verdict: weir.Unreached, want: "the try took longer than 30ms"},
		"missing field":    {step: httpStep(hanging + "/${data.nowhere}"), kind: weir.Died, want: "url: missing data.nowhere"},
		"does not build":   {step: httpStep(hanging + "/${"), kind: weir.Died, want: "step 0: http: url: "},
		"unknown kind":     {step: weir.Step{}, kind: weir.Died, want: "step 0: is of a kind that this version does not know"},
		"several events":   {step: filterStep("data.n.m.o == 1"), kind: weir.Died, want: "filter: "},
		"secret is absent": {step: logStep("${secret.none}"), kind: weir.Died, want: `there is no secret "none"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{})
			p := steps(c.step)
			p.Timeout = weir.Duration(c.timeout)
			if c.retry.None || c.retry.Attempts > 0 {
				p.Retry = c.retry
			}

			verdict, changes := b.try(b.run(`{"n":1}`), p)

			got := changes[0]
			if got.Kind != c.kind || verdict != c.verdict || !strings.Contains(got.Error, c.want) {
				t.Errorf("got %v, verdict %d, %q; want %v, %d, %q", got.Kind, verdict, got.Error, c.kind, c.verdict, c.want)
			}
			if (got.After > 0) != (c.kind == weir.Retrying) || got.Attempt.Steps[0].Finished {
				t.Errorf("got %+v, %+v", got, got.Attempt)
			}
		})
	}
	t.Cleanup(func() { close(hang) })
}

func TestRunIsHeldBeforeAShutGateAndKeepsWhatIsDone(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	a, z := newReceiver(t), newReceiver(t)
	b.gate.shut[z.URL] = true
	run := b.run(`{"n":1}`)
	run.Lane.Origin = a.URL

	_, changes := b.try(run, steps(httpStep(a.URL), httpStep(z.URL+"/x")))

	c := changes[0]
	if c.Kind != weir.Held || c.After != 0 || c.Origin != z.URL || !c.Attempt.Steps[0].Finished || c.Attempt.Try != 1 {
		t.Errorf("got %+v, %+v", c, c.Attempt)
	}
	if asked := <-b.gate.asked; asked != z.URL || len(b.gate.asked) > 0 || len(z.got()) > 0 {
		t.Errorf("asked for %s; requests %v", asked, z.got())
	}

	run = folded(run, c)
	run.Lane.Origin, run.Firing.PipeRev = "", 5
	_, changes = b.try(run, steps(httpStep(a.URL), httpStep("${'"+z.URL+"'}/x")))
	if c := changes[0]; c.Kind != weir.Held || c.After != 0 || c.Origin != z.URL || c.Attempt.Try != 0 {
		t.Errorf("not literal: got %+v, %+v", c, c.Attempt)
	}
}

func TestEveryRequestIsAskedForButTheFirstAtTheOriginOfTheLane(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	a, z := newReceiver(t), newReceiver(t)
	b.gate.wait = time.Millisecond
	run := b.run(`{"n":1}`)
	run.Lane.Origin = a.URL

	_, changes := b.try(run, steps(httpStep(a.URL), httpStep(a.URL), httpStep(z.URL), httpStep(a.URL)))

	if len(b.gate.asked) != 3 || changes[0].Kind != weir.Succeeded {
		t.Fatalf("asked %d times: %+v", len(b.gate.asked), changes[0])
	}
	for _, want := range []string{a.URL, z.URL, a.URL} {
		if got := <-b.gate.asked; got != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
	}
}

func TestCancelEndsTheWaitBeforeARequest(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	z := newReceiver(t)
	b.gate.wait = time.Hour
	run := b.run(`{"n":1}`)

	b.Take([]weir.Lease{lease(run, steps(httpStep(z.URL)))})
	<-b.gate.asked
	b.Cancel(run.ID)
	<-b.gate.ended

	if changes := b.journal.changes(); changes[0].Kind != weir.Stale || len(z.got()) > 0 {
		t.Errorf("got %+v, requests %v", changes[0], z.got())
	}
}

func TestTimeThatIsUpBeforeARequestIsNotItsDestinationsFault(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	z := newReceiver(t)
	b.gate.wait = time.Hour
	p := steps(httpStep(z.URL))
	p.Timeout = weir.Duration(20 * time.Millisecond)

	verdict, changes := b.try(b.run(`{"n":1}`), p)

	if c := changes[0]; verdict != weir.Unasked || c.Kind != weir.Retrying || c.Error != "the try took longer than 20ms" {
		t.Errorf("got %+v, verdict %d", c, verdict)
	}
}

func TestCancelledTryLeavesAStaleAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	hang, begun := make(chan struct{}), make(chan struct{})
	run := b.run(`{"n":1}`)
	before := len(b.journal.changes())

	b.Take([]weir.Lease{lease(run, steps(logStep("before"), httpStep(newSignalling(t, begun, hang))))})
	<-begun
	b.Cancel(run.ID)
	<-b.gate.ended
	close(hang)

	changes := b.journal.changes()[before:]
	if len(changes) != 1 || changes[0].Kind != weir.Stale || changes[0].N != 0 || changes[0].Firing != nil {
		t.Fatalf("got %+v", changes)
	}
	if a := changes[0].Attempt; len(a.Steps) != 2 || a.Steps[1].Error == "" || !strings.Contains(a.Log, "before") {
		t.Errorf("attempt %+v", a)
	}
	if b.Free() != defaultSlots {
		t.Errorf("%d free", b.Free())
	}
}

func TestLeaseOfARunIsGivenBackWhileACancelledTryOfItGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	hang, begun := make(chan struct{}), make(chan struct{})
	first := lease(b.run(`{"n":1}`), steps(httpStep(newSignalling(t, begun, hang))))
	b.Take([]weir.Lease{first})
	<-begun
	again := first
	again.Began++

	b.Take([]weir.Lease{again})

	if f := <-b.gate.ended; !f.Unbegun || f.Began != again.Began {
		t.Errorf("got %+v", f)
	}
	b.Cancel(first.Run.ID)
	if f := <-b.gate.ended; f.Unbegun || f.Began != first.Began {
		t.Errorf("got %+v", f)
	}
	close(hang)
}

func TestWorkerThatComesSecondLeavesAStaleAttemptAndNoEvents(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*weir.Pipeline{
		"quick": steps(emitStep("made")),
		"slow":  steps(emitStep("made"), httpStep(newReceiver(t).URL)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{})
			run := b.run(`{"n":1}`)
			first := weir.Batch{Bound: true, Records: []*weir.Record{{
				Project: run.Project, Change: &weir.Change{Run: run.ID, N: 1, Kind: weir.Cancelled},
			}}}
			if _, err := b.journal.Append(t.Context(), first); err != nil {
				t.Fatal(err)
			}

			_, changes := b.try(run, p)

			if len(changes) != 1 || changes[0].Kind != weir.Stale || changes[0].Attempt.Try != 1 {
				t.Errorf("got %+v", changes)
			}
			if events := b.journal.emitted(1); len(events) > 0 {
				t.Errorf("emitted %+v", events)
			}
		})
	}
}

func TestSecretsAreMaskedInAllThatIsKept(t *testing.T) {
	t.Parallel()
	const value = `p&w "x"`
	b := newBench(t, Options{Secrets: vault{"tok": value}})
	echo := newEcho(t, 200)
	run := b.run(`{"n":1}`)
	p := steps(
		logStep("tok is ${secret.tok}"),
		weir.Step{HTTP: &weir.HTTPStep{URL: echo + "/?q=x", Headers: []weir.NamedText{{Name: "X-Tok", Text: "${secret.tok}"}}}},
		logStep("echoed ${result.tok}"),
		weir.Step{HTTP: &weir.HTTPStep{URL: newEcho(t, 400) + "/y", Headers: []weir.NamedText{{Name: "X-Tok", Text: "${secret.tok}"}}}},
	)

	_, changes := b.try(run, p)

	a := changes[0].Attempt
	if string(a.Steps[1].Output) != `{"tok":"***"}` {
		t.Errorf("output %s", a.Steps[1].Output)
	}
	if strings.Count(a.Log, "***") != 3 || strings.Contains(a.Log, "p&w") {
		t.Errorf("log %s", a.Log)
	}
	run = folded(run, changes[0])
	run.Done, run.Firing.PipeRev = nil, 5
	_, changes = b.try(run, steps(weir.Step{HTTP: &weir.HTTPStep{URL: newEcho(t, 400) + "/${secret.tok}/z"}}))
	if c := changes[0]; !strings.Contains(c.Error, "/***/z: 400") || !strings.Contains(c.Attempt.Steps[0].Detail, "/***/z 400") {
		t.Errorf("error %q, detail %q", c.Error, c.Attempt.Steps[0].Detail)
	}
}

func TestPanicEndsItsRunAndNoOther(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	run := b.run(`{"n":1}`)
	broken := lease(run, steps(httpStep("http://127.0.0.1:1")))
	broken.Events = []*weir.Record{nil} // nothing that a step is ever given

	b.Take([]weir.Lease{broken})
	<-b.gate.ended

	if c := b.journal.changes()[0]; c.Kind != weir.Died || !strings.HasPrefix(c.Error, "internal error in the step") {
		t.Errorf("got %+v", c)
	}
	run.ID, run.Firing.PipeRev = weir.RunID{15: 8}, 5
	if _, changes := b.try(run, steps(logStep("x"))); changes[0].Kind != weir.Succeeded {
		t.Errorf("the next one: %+v", changes[0])
	}
}

func TestManyQuickRunsShareAnAppend(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	run := b.run(`{"n":1}`)
	run.Pipeline = ""
	leases := make([]weir.Lease, 1000)
	for i := range leases {
		run.ID = weir.RunID{14: byte(i >> 8), 15: byte(i)}
		leases[i] = lease(run, nil)
	}

	b.Take(leases)
	for range leases {
		<-b.gate.ended
	}

	if n := len(b.journal.changes()); n != 1000 || b.journal.appends > 10 {
		t.Errorf("%d changes in %d appends", n, b.journal.appends)
	}
	if b.Free() != defaultSlots {
		t.Errorf("%d free", b.Free())
	}
}

func TestAppendIsRepeatedAndStepsAreNot(t *testing.T) {
	t.Parallel()
	for _, code := range []weir.Code{weir.Unavailable, weir.DiskFull, weir.Internal} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Options{})
			down := 5
			b.journal.fail = func([]weir.Batch) error {
				if down--; down >= 0 {
					return weir.E("append", code, "not now")
				}
				return nil
			}
			began := time.Now()

			_, changes := b.try(b.run(`{"n":1}`), steps(logStep("once")))

			if len(changes) != 1 || strings.Count(changes[0].Attempt.Log, "once") != 1 {
				t.Errorf("got %+v", changes)
			}
			if waited := time.Since(began); waited < firstPause || waited > 10*lastPause {
				t.Errorf("waited %v", waited)
			}
			b.stop()
		})
	}
}

func TestOutcomeThatTheJournalRefusesKillsItsRunAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	bad, refusals := weir.RunID{15: 66}, 3 // together, alone, and once more though it is bare
	b.journal.fail = func(batches []weir.Batch) error {
		for _, batch := range batches {
			if batch.Records[0].Change.Run == bad && refusals > 0 {
				refusals--
				return weir.E("append", weir.TooLarge, "a record of 20 MiB")
			}
		}
		return nil
	}
	run := b.run(`{"n":1}`)
	run.Pipeline = ""
	var leases []weir.Lease
	for i := range 5 {
		run.ID = weir.RunID{15: byte(64 + i)}
		leases = append(leases, lease(run, nil))
	}

	b.Take(leases)
	for range leases {
		<-b.gate.ended
	}

	for _, c := range b.journal.changes() {
		if (c.Kind == weir.Died) != (c.Run == bad) {
			t.Errorf("got %+v", c)
		}
		if c.Run == bad && (c.Error != "the outcome cannot be kept: append: a record of 20 MiB" || c.Firing == nil) {
			t.Errorf("got %+v", c)
		}
	}
	told := b.journal.emitted(1) // without the batch
	if len(told) != 1 || told[0].Type != pipeline.DeadType || told[0].Cause != bad {
		t.Errorf("emitted %+v, want one event that tells of the death", told)
	}
}

func TestStepsWhoseEventsCannotBeKeptAreNotDone(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	b.journal.fail = func(batches []weir.Batch) error {
		if len(batches[0].Records) > 2 {
			return weir.E("append", weir.TooLarge, "over 32 MiB")
		}
		return nil
	}

	_, changes := b.try(b.run(`{"n":1}`), steps(logStep("x"), emitStep("y"), emitStep("z")))

	var done []bool
	for _, s := range changes[0].Attempt.Steps {
		done = append(done, s.Finished)
	}
	if diff := cmp.Diff([]bool{true, false, false}, done); diff != "" || changes[0].Kind != weir.Died {
		t.Errorf("%+v, steps done (-want +got):\n%s", changes[0], diff)
	}
}

// TestAnOutcomeThatTheJournalTakesTooLateEndsItsRun is what a disk that was full
// for longer than identities are known leaves of a try.
func TestAnOutcomeThatTheJournalTakesTooLateEndsItsRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	b.journal.fail = func(batches []weir.Batch) error {
		if batches[0].Records[0].Change.Attempt.Began != 0 {
			return weir.E("append", weir.Invalid, "it began before the window").WithField("attempt.began")
		}
		return nil
	}

	_, changes := b.try(b.run(`{"n":1}`), steps(logStep("x")))

	if len(changes) != 1 || changes[0].Kind != weir.Died || !strings.Contains(changes[0].Error, "began before the window") {
		t.Errorf("got %+v", changes)
	}
}

func TestFinishIsToldOnlyWhatIsDurable(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	b.gate.before = func() {
		if len(b.journal.changes()) != 1 {
			t.Error("told before it was durable")
		}
	}

	b.try(b.run(`{"n":1}`), steps(logStep("x")))
}

func TestStoppingLetsTriesEndThenHoldsThem(t *testing.T) {
	t.Parallel()
	hang, begun := make(chan struct{}), make(chan struct{})
	for name, c := range map[string]struct {
		retry weir.Retry
		kind  weir.ChangeKind
	}{
		"may be tried again": {weir.Retry{}, weir.Held},
		"retry none":         {weir.Retry{None: true}, weir.Died},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{Grace: 10 * time.Millisecond})
			a := newReceiver(t)
			p := steps(httpStep(a.URL), httpStep(newSignalling(t, begun, hang)))
			p.Retry = c.retry
			b.Take([]weir.Lease{lease(b.run(`{"n":1}`), p)})
			<-begun

			b.stop()

			got := b.journal.changes()[0]
			if got.Kind != c.kind || !got.Attempt.Steps[0].Finished || got.Attempt.Steps[1].Error != errStopping.Error() {
				t.Errorf("got %+v, %+v", got, got.Attempt)
			}
			if b.Free() != 0 {
				t.Error("still takes")
			}
		})
	}
	close(hang)
}

func TestBatchThatCannotBeReadIsALostTry(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	b.Journal = unreadable{b.journal}

	_, changes := b.try(b.run(`{"n":1}`), steps(logStep("x")))

	if c := changes[0]; c.Kind != weir.Retrying || c.Error != "load the batch: damaged" {
		t.Errorf("got %+v", c)
	}
}

var errDamaged = errors.New("damaged")

func TestARunThatFollowsADeathSeesWhatDiedAndOfWhat(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	dead := weir.RunID{15: 9}
	run := b.run(`{}`)
	b.journal.records[0].Event.Cause = dead
	run.Firing.Reason, run.Firing.Error, run.Error = weir.Failed, "no such host", "of an earlier try"

	_, changes := b.try(run, steps(logStep("${run.of}: ${run.error}")))

	if log := changes[0].Attempt.Log; !strings.Contains(log, dead.String()+": no such host") {
		t.Errorf("log %q, change %+v", log, changes[0])
	}
}
