package show

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// screen is an output that says that it is a terminal.
type screen struct{ strings.Builder }

func (*screen) IsTerminal() bool { return true }

func environment(of map[string]string) func(string) string {
	return func(name string) string { return of[name] }
}

// steps tells of work that takes a second for each hundredth.
func steps(p *Progress, began time.Time, from, to int) Standing {
	var s Standing
	for n := from; n <= to; n++ {
		s = Standing{
			Name: "a.ndjson", Done: int64(n) << 20, Total: 100 << 20, Unit: "events", Units: n * 1000,
			Counts: []Count{{"taken", n*1000 - 1}, {"refused", 1}},
		}
		p.Tell(s, began.Add(time.Duration(n)*time.Second))
	}
	return s
}

func TestProgressIsALineEveryFiveSecondsWhereThereIsNoTerminal(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]map[string]string{"a file": nil, "a dumb terminal": {"TERM": "dumb"}} {
		var out screen
		began := time.Unix(0, 0)
		var w interface {
			Write([]byte) (int, error)
		} = &out.Builder
		if env != nil {
			w = &out
		}
		p := NewProgress(w, environment(env), began)

		s := steps(p, began, 1, 12)
		p.Note("chunk %s", "a\x1b[2J")
		p.End(s, began.Add(12*time.Second))

		want := `a.ndjson  5 %  5.0 MiB of 100.0 MiB  5,000 events  1,000/s  taken 4,999  refused 1  1m35s left
a.ndjson  10 %  10.0 MiB of 100.0 MiB  10,000 events  1,000/s  taken 9,999  refused 1  1m30s left
chunk a [2J
a.ndjson  12 %  12.0 MiB of 100.0 MiB  12,000 events  1,000/s  taken 11,999  refused 1  1m28s left
`
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestProgressIsDrawnAnewOnATerminal(t *testing.T) {
	t.Parallel()
	var out screen
	began := time.Unix(0, 0)
	p := NewProgress(&out, environment(nil), began)

	s := steps(p, began, 1, 1)
	p.Tell(s, began.Add(time.Second+time.Millisecond)) // too soon
	p.Note("refused")
	p.End(s, began.Add(2*time.Second))

	line := "\r\x1b[Ka.ndjson  1 %  1.0 MiB of 100.0 MiB  1,000 events  "
	want := line + "1,000/s  taken 999  refused 1  1m39s left\r\x1b[Krefused\n" + line + "500/s  taken 999  refused 1  3m18s left\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestALiveLineIsNotWiderThanItsTerminal(t *testing.T) {
	t.Parallel()
	var out screen
	began := time.Unix(0, 0)
	p := NewProgress(&out, environment(nil), began)
	p.width = 40

	steps(p, began, 1, 1)

	if got := len([]rune(strings.TrimPrefix(out.String(), clearIt))); got != 39 || !strings.HasSuffix(out.String(), "…") {
		t.Errorf("%d wide: %q", got, out.String())
	}
}

func TestWorkOfUnknownLengthHasNoShareAndNoEnd(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Standing{
		"0 events":                    {Unit: "events"},
		"-  512 B  1,234,567 runs":    {Name: "-", Done: 512, Unit: "runs", Units: 1234567},
		"2.0 GiB  1 events  failed 2": {Done: 2 << 30, Unit: "events", Units: 1, Counts: []Count{{"failed", 2}}},
	} {
		if got := s.line(0); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
