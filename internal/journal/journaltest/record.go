package journaltest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"weir"
)

func event(id string) *weir.Record {
	return &weir.Record{Project: 1, Event: &weir.Event{
		ID: id, Source: "/s", Type: "a.made", Subject: "s-" + id, Execution: "x-" + id, Data: []byte(`{"id": "` + id + `"}`),
	}}
}

func change(run byte, n uint32) *weir.Record {
	return &weir.Record{Project: 1, Change: &weir.Change{
		Run: weir.RunID{run, 15: 1}, N: n, Kind: weir.Succeeded, Pipeline: "p", Trigger: "t",
	}}
}

func free(records ...*weir.Record) weir.Batch  { return weir.Batch{Records: records} }
func bound(records ...*weir.Record) weir.Batch { return weir.Batch{Bound: true, Records: records} }

// every returns a record of each sort, with all that it may hold.
func every() []*weir.Record {
	e := event("full")
	*e.Event = weir.Event{
		ID: "full", Source: "urn:x", Type: "b", Subject: "ü", Time: 1_700_000_000_123_456, ContentType: "text/plain",
		Schema: "https://x.example/s", Data: []byte("not JSON \x00"), Execution: "e", Cause: weir.RunID{1, 2, 3}, Hops: 3,
		Extensions: []weir.Extension{{Name: "a", Kind: weir.ExtensionInt, Value: "-5"}, {Name: "b", Value: "x"}},
	}
	c := change(7, 1)
	c.Change.Kind, c.Change.After, c.Change.Error, c.Change.By = weir.Retrying, time.Second, "503", "node-1"
	c.Change.Attempt = &weir.Attempt{
		Try: 2, Node: "n", Began: weir.TimeOf(time.Now()), Took: time.Minute, Log: "a line\n",
		Steps: []weir.StepOutcome{
			{Index: 0, Kind: "http", Finished: true, Took: 3, Detail: "POST", Output: []byte(`{"ok":true}`), Emitted: 2},
			{Index: 1, Kind: "log", Error: "no", Output: []byte{}},
		},
	}
	c.Change.Firing = &weir.Firing{
		Reason: weir.Fired, Trigger: "t", Revision: 4, Key: `{"k":1}`, Group: weir.GroupID{9}, PipeRev: 2, Made: 77,
		Executions: []string{"e", "f"}, Hops: 3, Quiet: true,
		Members: []weir.Member{{Time: 10, Seq: 3}, {Time: 10, Seq: 9}, {Time: 11, Seq: 1}},
	}
	return []*weir.Record{
		e,
		{Project: 1, Event: &weir.Event{ID: "bare", Source: "s", Type: "t"}},
		c,
		change(7, 2),
		{Project: 2, Apply: &weir.Apply{
			Revision: 3, By: "me",
			Put:    []weir.Definition{{Kind: weir.KindTrigger, Name: "t", Revision: 3, Body: []byte(`{}`)}},
			Delete: []weir.Definition{{Kind: weir.KindPipeline, Name: "old"}},
		}},
		{Project: 2, Start: &weir.Start{Application: "a", Key: "k", Generation: 1, Pipeline: "p", Due: 9, By: "me"}},
		{},
	}
}

// drawn returns records made by chance out of few values, so that look-ups by
// each find several.
func drawn(rng *rand.Rand, n int) []*weir.Record {
	pick := func(words ...string) string { return words[rng.IntN(len(words))] }
	run := func() weir.RunID { return weir.RunID{0, byte(1 + rng.IntN(5))} }
	var out []*weir.Record
	for i := range n {
		r := &weir.Record{Project: weir.ProjectID(1 + rng.IntN(2))}
		switch rng.IntN(8) {
		case 0, 1, 2, 3:
			r.Event = &weir.Event{
				ID: fmt.Sprint(i), Source: pick("/a", "/b"), Type: pick("x.made", "x.gone", "y"), Subject: pick("", "s", "a-longer-subject"),
				Execution: pick("e1", "e2", "e3", ""),
			}
			if rng.IntN(2) == 0 {
				r.Event.Cause = run()
			}
			if id := pick("b1", "b2", ""); id != "" {
				r.Event.Blob = &weir.Blob{ID: id, Size: 1}
			}
		case 4, 5, 6:
			r.Change = &weir.Change{Run: run(), N: uint32(i), Kind: weir.Died, Pipeline: pick("p", "q", ""), Trigger: pick("t", "u", "")}
			if rng.IntN(2) == 0 {
				r.Change.Firing = &weir.Firing{Executions: []string{pick("e1", "e2"), "e4"}}
				for range rng.IntN(5) {
					r.Change.Firing.Members = append(r.Change.Firing.Members, weir.Member{Seq: weir.Seq(1 + rng.IntN(n))})
				}
			}
		}
		out = append(out, r)
	}
	return out
}
