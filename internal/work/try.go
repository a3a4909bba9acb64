package work

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
	"weir/internal/step"
)

// try is one try of a run, as far as it has come.
type try struct {
	lease   *weir.Lease
	began   time.Time
	events  []*weir.Record     // the batch, as the transform steps have made it
	room    int64              // bytes that it takes there, to be given back
	steps   []weir.StepOutcome // of this try
	result  []byte             // newest output of a step, of earlier tries too
	emitted []*weir.Event
	log     step.Log
	mask    mask
	origin  string // at which the run has a place
	let     bool   // its first request there was let through with the run
	asked   bool   // a request to it is under way, or was the last thing that the try did
	reached bool   // it answered in this try
	at      int    // the step that is being done

	places map[weir.Seq]int // of events in the run's batch, from 1; nil: not asked for yet
}

// ending says how a try ended.
type ending struct {
	kind    weir.ChangeKind
	after   time.Duration
	origin  string // weir.Held: whose gate was shut
	message string
	verdict weir.Verdict
}

// attempt does the steps that are not done yet. It does not fail: what goes
// wrong is how the try ends.
func (l *Loop) attempt(ctx context.Context, t *try) (end ending) {
	defer l.unload(ctx, t)
	defer func() {
		if t.reached && end.verdict == weir.Unasked {
			end.verdict = weir.Reached
		}
	}()
	defer func() {
		if r := recover(); r != nil {
			l.Logger.Error("a step panicked", "run", t.lease.Run.ID.String(), "step", t.at, "err", fmt.Sprint(r), "stack", string(debug.Stack()))
			end = t.died("internal error in the step: the server's log says more")
		}
	}()
	if t.lease.Pipe == nil {
		if t.lease.Run.Pipeline != "" {
			return t.died(fmt.Sprintf("there is no pipeline %q", t.lease.Run.Pipeline))
		}
		return ending{kind: weir.Succeeded}
	}
	prog := l.programs.of(t.lease)
	if prog.err != nil {
		return t.died(prog.err.Error())
	}
	if len(prog.steps) == 0 {
		return ending{kind: weir.Succeeded}
	}
	if err := l.load(ctx, t); err != nil {
		return l.failed(ctx, t, unloaded(err), fmt.Errorf("load the batch: %w", err))
	}
	t.log.Mask, t.log.Max = t.mask.text, l.Limits.Log
	if gone := len(t.lease.Run.Firing.Members) - len(t.events); gone > 0 {
		t.log.Write(time.Now(), "warn", fmt.Sprintf("%d of %d events of the batch are erased, and left out", gone, len(t.lease.Run.Firing.Members)))
		if len(t.events) == 0 {
			return ending{kind: weir.Cancelled, message: "all events of the batch are erased"}
		}
	}
	in := &step.Input{
		Run: &t.lease.Run, Log: &t.log, Limits: l.Limits, Scope: l.scope(ctx, t), Destinations: t.lease.Destinations,
	}
	if l.Blobs != nil {
		in.Open = l.open
	}
	for i := range prog.steps {
		t.at = i
		in.Index, in.Events, in.Scope.Result = i, t.events, t.result
		if pipeline.IsDone(t.lease.Run.Done, i) {
			if err := t.takeResult(&prog.steps[i], in); err != nil {
				return t.died(err.Error())
			}
			continue
		}
		if end, stop := l.do(ctx, t, &prog.steps[i], in); stop {
			return end
		}
	}
	return ending{kind: weir.Succeeded}
}

// errShut says that the gate of the origin that a step wants to go to is shut.
var errShut = errors.New("the gate is shut")

// do does one step, and says whether the try ends with it.
func (l *Loop) do(ctx context.Context, t *try, s *compiled, in *step.Input) (ending, bool) {
	began := time.Now()
	record := weir.StepOutcome{Index: in.Index, Kind: s.kind}
	var out step.Outcome
	var err error
	if s.each {
		out, record.Acted, err = l.each(ctx, t, s, in)
	} else {
		out, err = l.once(ctx, t, s, in)
	}
	if errors.Is(err, errShut) && record.Acted == 0 {
		return t.held(), true
	}
	if s.replaces && err == nil && out.Failure == nil && len(in.Events) > 0 {
		if why := t.replaced(s, in, out.Output); why != nil {
			out.Failure = step.Final("the answer: " + why.Error()).Failure
		}
	}
	record.Finished = s.acts && err == nil && out.Failure == nil
	record.Took, record.Detail, record.Output, record.Emitted = time.Since(began), out.Detail, out.Output, len(out.Emitted)
	t.steps = append(t.steps, record)
	t.emitted = append(t.emitted, out.Emitted...)
	switch {
	case errors.Is(err, errShut):
		return t.held(), true
	case err != nil || out.Failure != nil:
		return l.failed(ctx, t, out, err), true
	}
	if out.Output != nil {
		t.result = out.Output
	}
	if !s.acts {
		t.events = out.Events
	}
	return ending{kind: weir.Succeeded}, len(t.events) == 0 && (s.replaces || !s.acts)
}

// once does a step on the batch of in, when the gate of its origin lets it
// through, and takes the secrets out of what it answers.
func (l *Loop) once(ctx context.Context, t *try, s *compiled, in *step.Input) (step.Outcome, error) {
	t.asked = false
	if ctx.Err() == nil && !l.enters(ctx, t, s, in) && ctx.Err() == nil {
		return step.Outcome{}, errShut
	}
	if ctx.Err() != nil {
		return step.Outcome{}, context.Cause(ctx)
	}
	_, t.asked = s.Step.(originer)
	out, err := s.Run(ctx, in)
	if t.asked && err == nil && (out.Failure == nil || out.Failure.Kind == pipeline.Status) {
		t.reached = true
	}
	out.Detail, out.Output = t.mask.text(out.Detail), t.mask.json(out.Output)
	for _, e := range out.Emitted {
		e.Data = t.mask.data(e)
	}
	return out, err
}

// enters passes the gate of the step's origin, before every request, and waits
// as long as its rate asks. The first one at the origin of the run's lane was
// let through with the run.
func (l *Loop) enters(ctx context.Context, t *try, s *compiled, in *step.Input) bool {
	o, ok := s.Step.(originer)
	if !ok {
		return true
	}
	origin := o.Origin(in)
	switch {
	case origin == "":
		return true
	case origin != t.origin:
		t.origin, t.reached = origin, false
	case t.let:
		t.let = false
		return true
	}
	t.let = false
	wait, ok := l.Dispatcher.Enter(ctx, t.lease.Run.ID, origin)
	return ok && pause(ctx, wait)
}

// pause waits, and reports false where ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// held ends a try before a shut gate: its lane will be one that has that gate.
func (t *try) held() ending { return ending{kind: weir.Held, origin: t.origin} }

// failed ends a try whose step failed, or whose outcome nobody can tell.
func (l *Loop) failed(ctx context.Context, t *try, out step.Outcome, err error) ending {
	f := out.Failure
	switch {
	case f != nil:
	case errors.Is(err, errCancelled):
		return ending{kind: weir.Stale, message: t.fail(err.Error())}
	case errors.Is(err, errStopping) && !t.lease.Pipe.Retry.None:
		t.fail(err.Error())
		return ending{kind: weir.Held}
	case errors.Is(err, errTooLong):
		f = &step.Failure{Message: fmt.Sprintf("the try took longer than %v", t.lease.Pipe.Timeout)}
		f.Kind = pipeline.Timeout
	default:
		f = &step.Failure{Message: err.Error()}
		f.Kind = pipeline.Lost
	}
	message := t.fail(f.Message)
	d := pipeline.Decide(t.lease.Pipe.Retry, t.lease.Try, f.Failure, rand.Float64())
	end := ending{kind: d.Kind, after: d.After, message: message}
	if t.asked && !f.Final && (f.Kind == pipeline.Connect || f.Kind == pipeline.Timeout) {
		end.verdict = weir.Unreached
	}
	return end
}

// died ends a try that trying again does not mend.
func (t *try) died(message string) ending {
	return ending{kind: weir.Died, message: t.fail(message)}
}

// fail writes what went wrong into the outcome of the step at fault, which may
// not have one yet, and returns it as one line that may be shown.
func (t *try) fail(message string) string {
	message = oneLine(t.mask.text(message))
	if n := len(t.steps); n > 0 && t.steps[n-1].Index == t.at {
		t.steps[n-1].Error = message
	} else if t.lease.Pipe != nil && t.at < len(t.lease.Pipe.Steps) {
		t.steps = append(t.steps, weir.StepOutcome{Index: t.at, Kind: t.lease.Pipe.Steps[t.at].Kind(), Error: message})
	}
	return message
}

// takeResult takes what a step left that was done in an earlier try.
func (t *try) takeResult(s *compiled, in *step.Input) error {
	done := t.partOf(in.Index)
	if done.Output == nil {
		return nil
	}
	t.result = done.Output
	if s.replaces {
		return t.replaced(s, in, done.Output)
	}
	return nil
}

// scope is what expressions see of the run.
func (l *Loop) scope(ctx context.Context, t *try) step.Scope {
	run := &t.lease.Run
	s := step.Scope{
		Run: expr.Fields{
			"id":       run.ID.String(),
			"pipeline": run.Pipeline,
			"trigger":  run.Firing.Trigger,
			"reason":   run.Firing.Reason.String(),
			"made":     run.Firing.Made,
			"try":      t.lease.Try,
			"error":    run.Error,
		},
		Group: expr.Fields{},
		Secret: func(name string) (string, error) {
			value, err := patiently(ctx, l.Patience, func() (string, error) { return l.Secrets.Reveal(ctx, run.Project, name) })
			if err == nil {
				t.mask.add(value)
			}
			return value, err
		},
	}
	if run.Firing.Reason == weir.Failed {
		s.Run["error"] = run.Firing.Error
		if len(t.events) == 1 { // the event that tells of it
			s.Run["of"] = t.events[0].Event.Cause.String()
		}
	}
	if run.Firing.Key != "" {
		s.Group["key"] = expr.JSON(run.Firing.Key)
	}
	if !run.Firing.Group.IsZero() {
		s.Group["id"] = run.Firing.Group.String()
		s.Group["count"] = len(run.Firing.Members)
	}
	return s
}

const maxError = 1000 // bytes of a change's error

// oneLine makes a text fit for a list.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxError {
		s = strings.ToValidUTF8(s[:maxError], "") + "…"
	}
	return s
}
