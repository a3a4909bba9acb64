package state

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

func someRun() *weir.Run {
	r := &weir.Run{N: 3, Tries: 2, Error: "connect: refused", Ended: 1_750_000_000_000_001}
	r.Firing = weir.Firing{
		Reason: weir.Fired, Revision: 7, Key: `{"a":1}`, Group: weir.GroupID{1, 2}, PipeRev: 9, Made: 1_750_000_000_000_000,
		Members: []weir.Member{{Time: 1_750_000_000_000_000, Seq: 10}, {Time: 1_749_000_000_000_000, Seq: 5}}, Chunks: 2, Hops: 3, Quiet: true,
	}
	r.Done = []weir.StepOutcome{{Index: 1, Kind: "http", Finished: true, Took: time.Second, Detail: "POST 200", Output: []byte(`{}`), Emitted: 1}}
	return r
}

func someGroup() *weir.Group {
	return &weir.Group{
		Revision: 7, Key: `{"a":1}`, Late: true, Full: true, Quiet: true, Opened: 1, Joined: 2, First: -3, Last: 4, Count: 5,
		Have: []int{1, 200}, DueReason: weir.Expired, Hops: 3, Executions: []string{"x", "y"}, Chunks: 2,
		Tail: []weir.Member{{Time: 1_750_000_000_000_000, Seq: 10}, {Time: 1_749_000_000_000_000, Seq: 5}},
	}
}

func TestBodiesReadBackAsWritten(t *testing.T) {
	t.Parallel()

	run, group := &weir.Run{}, &weir.Group{}
	if err := DecodeRun(AppendRun(nil, someRun()), run); err != nil {
		t.Error(err)
	}
	if err := DecodeGroup(AppendGroup(nil, someGroup()), group); err != nil {
		t.Error(err)
	}

	if diff := cmp.Diff(someRun(), run); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(someGroup(), group); diff != "" {
		t.Errorf("group (-want +got):\n%s", diff)
	}
}

// TestADamagedBodyIsAnError cuts bodies short, makes them longer, and names
// another form; none may be taken for whole.
func TestADamagedBodyIsAnError(t *testing.T) {
	t.Parallel()
	bodies := map[string][]byte{
		"run": AppendRun(nil, someRun()), "group": AppendGroup(nil, someGroup()), "chunk": AppendChunk(nil, someGroup().Tail),
	}
	for name, body := range bodies {
		for n := range body {
			if decode(name, body[:n]) == nil {
				t.Errorf("%s cut to %d of %d bytes is taken for whole", name, n, len(body))
			}
		}
		if decode(name, append(body[:len(body):len(body)], 0)) == nil {
			t.Errorf("%s with a byte too many is taken for whole", name)
		}
		other := append([]byte{form + 1}, body[1:]...)
		if weir.CodeOf(decode(name, other)) != weir.Internal {
			t.Errorf("%s of another form is taken", name)
		}
	}
}

func FuzzBodies(f *testing.F) {
	f.Add("run", AppendRun(nil, someRun()))
	f.Add("group", AppendGroup(nil, someGroup()))
	f.Add("chunk", []byte{form, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		_ = decode(name, body) // neither panics nor asks for more memory than the body gives reason to
	})
}

func decode(name string, body []byte) error {
	switch name {
	case "run":
		return DecodeRun(body, &weir.Run{})
	case "group":
		return DecodeGroup(body, &weir.Group{})
	}
	_, err := DecodeChunk(body)
	return err
}

func BenchmarkRunBody(b *testing.B) {
	r := someRun()
	b.Run("own", func(b *testing.B) {
		var body []byte
		for b.Loop() {
			body = AppendRun(body[:0], r)
			_ = DecodeRun(body, &weir.Run{})
		}
		b.ReportMetric(float64(len(body)), "bytes")
	})
	b.Run("json", func(b *testing.B) {
		var body []byte
		for b.Loop() {
			body, _ = json.Marshal(r)
			_ = json.Unmarshal(body, &weir.Run{})
		}
		b.ReportMetric(float64(len(body)), "bytes")
	})
}
