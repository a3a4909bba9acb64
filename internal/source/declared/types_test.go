package declared

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"weir"
)

// state holds the definitions of project 1.
type state struct {
	asked atomic.Int64
	err   error
	held  chan struct{} // not nil: it says that it has read, and waits

	mu   sync.Mutex // guards:
	defs []weir.Definition
}

func (s *state) Definitions(_ context.Context, project weir.ProjectID) ([]weir.Definition, uint64, error) {
	s.mu.Lock()
	defs := s.defs
	s.mu.Unlock()
	s.asked.Add(1)
	if s.held != nil {
		s.held <- struct{}{}
		<-s.held
	}
	if project != 1 || s.err != nil {
		return nil, 0, s.err
	}
	return defs, 1, nil
}

func (s *state) put(defs ...weir.Definition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.defs = defs
}

func declare(name, body string) weir.Definition {
	return weir.Definition{Kind: weir.KindEventType, Name: name, Body: []byte(body)}
}

func strict(value string) weir.Definition {
	return weir.Definition{Kind: weir.KindSetting, Name: "strict", Body: []byte(value)}
}

const numbered = `{"schema":{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}}`

func types(t testing.TB, defs ...weir.Definition) (*Types, *state) {
	s := &state{defs: defs}
	return New(s, slog.New(slog.NewTextHandler(t.Output(), nil))), s
}

func TestEventsAreHeldToTheirTypes(t *testing.T) {
	t.Parallel()
	ty, _ := types(t, declare("order.placed", numbered), declare("order.seen", `{}`), strict("false"))
	for _, c := range []struct {
		event weir.Event
		want  string // field: message
	}{
		{weir.Event{Type: "order.placed", Data: []byte(`{"n":1}`)}, ""},
		{weir.Event{Type: "order.placed", Data: []byte(`{"n":"1"}`)}, "data/n: is string, and should be integer"},
		{weir.Event{Type: "order.placed"}, `data: is missing, and "order.placed" is declared with a schema`},
		{weir.Event{Type: "order.placed", Blob: &weir.Blob{File: true}}, `data: is a file, and "order.placed" is declared with a schema`},
		{
			weir.Event{Type: "order.placed", ContentType: "text/plain", Data: []byte("n")},
			`datacontenttype: "text/plain" is not JSON, and "order.placed" is declared with a schema`,
		},
		{weir.Event{Type: "order.seen", Data: []byte(`1`)}, ""},
		{weir.Event{Type: "other"}, ""},
	} {
		if got := told(ty.Check(t.Context(), 1, &c.event)); got != c.want {
			t.Errorf("%s %s: %s", c.event.Type, c.event.Data, got)
		}
	}
}

func told(err error) string {
	switch e, ok := errors.AsType[*weir.Error](err); {
	case err == nil:
		return ""
	case ok && e.Code == weir.Invalid:
		return e.Field + ": " + e.Message
	}
	return err.Error()
}

func TestAStrictProjectTakesOnlyWhatItDeclares(t *testing.T) {
	t.Parallel()
	ty, _ := types(t, declare("order.placed", `{}`), strict("true"))

	for kind, want := range map[string]string{
		"order.placed": "",
		"order.paced":  `type: "order.paced" is not declared, and the project is strict; is "order.placed" meant?`,
		"x":            `type: "x" is not declared, and the project is strict`,
	} {
		if got := told(ty.Check(t.Context(), 1, &weir.Event{Type: kind})); got != want {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

func TestStateIsAskedOnceUntilDefinitionsAreApplied(t *testing.T) {
	t.Parallel()
	ty, s := types(t, declare("a", numbered))
	e := &weir.Event{Type: "a", Data: []byte(`{}`)}
	for range 3 {
		for _, project := range []weir.ProjectID{1, 2} {
			if err := ty.Check(t.Context(), project, e); (err == nil) != (project == 2) {
				t.Errorf("project %d: %v", project, err)
			}
		}
	}
	if n := s.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}

	s.put(declare("a", `{}`))
	ty.Applied(1)

	if err := ty.Check(t.Context(), 1, e); err != nil {
		t.Error(err)
	}
}

// Definitions that were read before an apply are not kept after it.
func TestAnApplyDuringCompilingIsNotMissed(t *testing.T) {
	t.Parallel()
	ty, s := types(t, declare("a", numbered))
	s.held = make(chan struct{})
	e := &weir.Event{Type: "a", Data: []byte(`{}`)}
	done := make(chan error)
	go func() { done <- ty.Check(t.Context(), 1, e) }()
	<-s.held // it has read the old ones

	s.put(declare("a", `{}`))
	ty.Applied(1)
	s.held <- struct{}{}

	if err := <-done; err == nil {
		t.Error("the first check was not made with the old definitions")
	}
	s.held = nil
	if err := ty.Check(t.Context(), 1, e); err != nil {
		t.Error(err)
	}
}

func TestAStateThatCannotAnswerRefuses(t *testing.T) {
	t.Parallel()
	ty, s := types(t)
	s.err = weir.E("definitions", weir.Unavailable, "closed")

	if err := ty.Check(t.Context(), 1, &weir.Event{}); weir.CodeOf(err) != weir.Unavailable {
		t.Error(err)
	}
	s.err = nil
	if err := ty.Check(t.Context(), 1, &weir.Event{}); err != nil {
		t.Error(err)
	}
}

func TestADeclarationThatDoesNotCompileRefusesItsEventsAlone(t *testing.T) {
	t.Parallel()
	ty, _ := types(t, declare("bad", `{"schema":{"type":"strong"}}`), declare("good", `{}`))

	err := ty.Check(t.Context(), 1, &weir.Event{Type: "bad"})
	if weir.CodeOf(err) != weir.Unavailable || !strings.Contains(err.Error(), "bad") {
		t.Error(err)
	}
	if err := ty.Check(t.Context(), 1, &weir.Event{Type: "good"}); err != nil {
		t.Error(err)
	}
}

func BenchmarkNothingDeclared(b *testing.B) {
	ty, _ := types(b)
	e := &weir.Event{Type: "a"}
	b.ReportAllocs()
	for b.Loop() {
		if err := ty.Check(b.Context(), 1, e); err != nil {
			b.Fatal(err)
		}
	}
}
