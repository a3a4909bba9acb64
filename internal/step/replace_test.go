package step

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// batch returns an input with events whose data are given.
func batch(data ...string) *Input {
	in := &Input{Run: &weir.Run{ID: weir.RunID{15: 9}, Project: 3, Firing: weir.Firing{Made: 1_000_000, Executions: []string{"x"}, Hops: 2}}}
	for i, d := range data {
		in.Events = append(in.Events, &weir.Record{Seq: weir.Seq(i + 10), At: 5, Project: 3, Event: &weir.Event{
			ID: string(rune('a' + i)), Source: "/s", Type: "t", ContentType: "text/plain", Schema: "https://x.example/s", Data: []byte(d),
		}})
	}
	return in
}

func TestAnswerReplacesTheDataAndNotTheEvent(t *testing.T) {
	t.Parallel()
	in, untouched := batch("1", "2"), batch("1", "2")

	got, err := Replace(in, []byte(`[{"n":1}, {"n":12345678901234567890.0}]`))
	if err != nil {
		t.Fatal(err)
	}

	want := batch(`{"n":1}`, `{"n":12345678901234567890.0}`).Events
	for _, rec := range want {
		rec.Event.ContentType, rec.Event.Schema = "", ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(untouched, in); diff != "" {
		t.Errorf("the input is not what it was: %s", diff)
	}
}

func TestAnyValueReplacesTheDataOfTheOnlyEvent(t *testing.T) {
	t.Parallel()
	for _, value := range []string{`{"a":1}`, `5`, `null`, `"x"`, ` true `} {
		got, err := Replace(batch("1"), []byte(value))
		if err != nil || string(got[0].Event.Data) != value {
			t.Errorf("%s: got %v, %v", value, got, err)
		}
	}
}

func TestCloudEventsAreTheNewBatch(t *testing.T) {
	t.Parallel()
	got, err := Replace(batch("1"), []byte(`[
		{"specversion":"1.0","id":"1","source":"/x","type":"t","time":"2026-01-31T09:30:00Z","flag":true,"level":-7,"word":"w","none":null,"data":{"n":1}},
		{"specversion":"1.0","id":"2","source":"/x","type":"t","execution":"y","hops":9,"datacontenttype":"text/plain","data":"hi"},
		{"specversion":"1.0","id":"3","source":"/x","type":"t","datacontenttype":"image/png","data_base64":"/wA="}]`))
	if err != nil {
		t.Fatal(err)
	}

	event := func(seq weir.Seq, e weir.Event) *weir.Record {
		e.Source, e.Type, e.Cause, e.Hops = "/x", "t", weir.RunID{15: 9}, 2
		return &weir.Record{Seq: seq, At: 1_000_000, Project: 3, Event: &e}
	}
	at, _ := weir.ParseTime("2026-01-31T09:30:00Z")
	want := []*weir.Record{
		event(1, weir.Event{ID: "1", Time: at, Execution: "x", Data: []byte(`{"n":1}`), Extensions: []weir.Extension{
			{Name: "flag", Kind: weir.ExtensionBool, Value: "true"}, {Name: "level", Kind: weir.ExtensionInt, Value: "-7"}, {Name: "word", Value: "w"},
		}}),
		event(2, weir.Event{ID: "2", Execution: "y", ContentType: "text/plain", Data: []byte("hi")}),
		event(3, weir.Event{ID: "3", Execution: "x", ContentType: "image/png", Data: []byte{0xff, 0}}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzReplace(f *testing.F) {
	f.Add([]byte(`{"n":1}`))
	f.Add([]byte(`[{"n":1},{"n":2}]`))
	f.Add([]byte(`[{"specversion":"1.0","id":"1","source":"/x","type":"t","data":"a","x":[1]}]`))
	f.Add([]byte(`[null,{"specversion":null}]`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if !IsJSON(answer) {
			return
		}
		in := batch("1", "2")
		got, err := Replace(in, answer)
		if err != nil {
			if weir.CodeOf(err) != weir.Invalid || len(got) > 0 {
				t.Errorf("got %v, %v", got, err)
			}
			return
		}
		for _, rec := range got {
			e := *rec.Event
			if err := e.Validate(); err != nil || e.IsJSON() && e.Data != nil && !json.Valid(e.Data) {
				t.Errorf("event %+v: %v", e, err)
			}
		}
		again, _ := Replace(in, answer)
		if diff := cmp.Diff(got, again); diff != "" {
			t.Error(diff)
		}
	})
}

func TestKeyNamesRunStepAndPlace(t *testing.T) {
	t.Parallel()
	in := batch("1")
	in.Index = 4
	whole, wholeID := in.Key(), in.EventID()
	in.Place = 12

	id := in.Run.ID.String()
	if whole != id+".4" || wholeID != "4.0" || in.Key() != id+".4.11" || in.EventID() != "4.11" {
		t.Errorf("got %s, %s, %s, %s", whole, wholeID, in.Key(), in.EventID())
	}
	if strings.Count(in.Key(), ".") != 2 {
		t.Error(in.Key())
	}
}
