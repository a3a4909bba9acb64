package steptest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/expr"
	"weir/internal/step"
)

// Step is a compiled step of the kind under test.
type Step interface {
	Run(ctx context.Context, in *step.Input) (step.Outcome, error)
}

// Kind is a kind of step, by steps that show what it does with Input's batch.
type Kind struct {
	Good    Step // does what it should
	Missing Step // needs data.nowhere, which the events do not have
	Dear    Step // has an expression that costs more than any may; nil where all are as in Missing

	// Wait returns a step that does not end by itself within the suite's time,
	// and what is closed when it has begun. Nil where the kind never waits.
	Wait func(t testing.TB) (Step, <-chan struct{})
	// Flood makes a step that is answered more than limits keep; nil where the kind keeps no answer.
	Flood Step
}

// Input returns a batch of two events and what goes with it.
func Input(t testing.TB) *step.Input {
	t.Helper()
	run := &weir.Run{
		ID: weir.RunID{15: 9}, Project: weir.DefaultProject, Pipeline: "p",
		Firing: weir.Firing{Trigger: "t", Key: `{"k":"v"}`, Executions: []string{"x1", "x2"}, Hops: 3},
	}
	event := func(seq weir.Seq, n string) *weir.Record {
		return &weir.Record{Seq: seq, At: 1_000_000, Project: weir.DefaultProject, Event: &weir.Event{
			ID: "e" + n, Source: "/test", Type: "thing.made", Subject: "s" + n, Execution: "x" + n, Hops: 3,
			Data: []byte(`{"n":` + n + `,"name":"thing ` + n + `"}`),
		}}
	}
	return &step.Input{
		Run:    run,
		Index:  2,
		Events: []*weir.Record{event(1, "1"), event(2, "2")},
		Log:    &step.Log{},
		Limits: step.DefaultLimits(),
		Scope: step.Scope{
			Group:  expr.Fields{"key": expr.JSON(run.Firing.Key)},
			Run:    expr.Fields{"id": run.ID.String()},
			Result: []byte(`{"total":5}`),
			Secret: secret,
		},
	}
}

// Secret is the value of ${secret.tok} in Input.
const Secret = "hunter2"

func secret(name string) (string, error) {
	switch name {
	case "tok":
		return Secret, nil
	case "later":
		return "", weir.E("reveal secret", weir.Unavailable, "the store is away")
	}
	return "", weir.E("reveal secret", weir.NotFound, "there is no secret %q", name)
}

// Run runs the suite.
func Run(t *testing.T, k Kind) {
	t.Helper()
	t.Run("does what it should, again in the same way, and leaves its input alone", func(t *testing.T) { repeats(t, k.Good) })
	t.Run("runs in many goroutines at once", func(t *testing.T) { concurs(t, k.Good) })
	t.Run("a missing field is a final failure that names it", func(t *testing.T) { failsFinally(t, k.Missing, "data.nowhere") })
	if k.Dear != nil {
		t.Run("an expression that costs too much is a final failure", func(t *testing.T) {
			failsFinally(t, k.Dear, expr.ErrCost.Error())
		})
	}
	if k.Wait != nil {
		t.Run("ends when it is told to, and says that nobody can tell", func(t *testing.T) { stops(t, k) })
	}
	if k.Flood != nil {
		t.Run("keeps no more than its limits", func(t *testing.T) { bounded(t, k.Flood) })
	}
}

func repeats(t *testing.T, s Step) {
	in, untouched := Input(t), Input(t)

	first := succeed(t, s, in)
	second := succeed(t, s, in)

	if !reflect.DeepEqual(first, second) {
		t.Errorf("first %+v\nthen %+v", first, second)
	}
	in.Log, in.Scope.Secret, untouched.Log, untouched.Scope.Secret = nil, nil, nil, nil
	if !reflect.DeepEqual(in, untouched) {
		t.Error("the input is not what it was")
	}
}

func concurs(t *testing.T, s Step) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { succeed(t, s, Input(t)) })
	}
	all.Wait()
}

func succeed(t *testing.T, s Step, in *step.Input) step.Outcome {
	t.Helper()
	out, err := s.Run(t.Context(), in)
	if err != nil || out.Failure != nil {
		t.Errorf("failed: %+v, %v", out.Failure, err)
	}
	return out
}

func failsFinally(t *testing.T, s Step, names string) {
	out, err := s.Run(t.Context(), Input(t))
	if err != nil || out.Failure == nil {
		t.Fatalf("got %+v, %v", out, err)
	}
	if !out.Failure.Final || !strings.Contains(out.Failure.Message, names) {
		t.Errorf("got %+v, want a final failure that says %q", out.Failure, names)
	}
	if len(out.Emitted) > 0 || out.Output != nil {
		t.Error("a step that failed has results")
	}
}

func stops(t *testing.T, k Kind) {
	s, begun := k.Wait(t)
	why := errors.New("told to")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := s.Run(ctx, Input(t))
		ended <- err
	}()

	<-begun
	cancel(why)

	select {
	case err := <-ended:
		if !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("goes on")
	}
}

func bounded(t *testing.T, s Step) {
	in := Input(t)
	in.Limits = step.Limits{Output: 1000, Data: 1000, Emitted: 1000}

	out, err := s.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}

	if len(out.Output) > 1000 || len(in.Log.String()) > step.MaxLog {
		t.Errorf("kept %d bytes, and %d of log", len(out.Output), len(in.Log.String()))
	}
	for _, e := range out.Emitted {
		if len(e.Data) > 1000 {
			t.Errorf("emitted %d bytes", len(e.Data))
		}
	}
}
