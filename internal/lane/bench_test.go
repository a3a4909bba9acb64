package lane

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"weir"
)

const many = 1_000_000

// BenchmarkAdmitAndFinish is one run's way through the set, while others wait.
// The ratio of the cases is what counts: what cannot start should cost what can
// nothing.
func BenchmarkAdmitAndFinish(b *testing.B) {
	keyed := func(i int) string { return fmt.Sprint(i) }
	for _, c := range []struct {
		name   string
		limits Limits
		behind int                         // runs that wait at the dead origin
		lane   func(i int) weir.Lane       // of those
		start  func(s *Set, now weir.Time) // what shuts their gate
	}{
		{name: "nothing waits"},
		{
			name: "one lane at a dead origin", behind: many, start: breakDead,
			lane: func(int) weir.Lane { return weir.Lane{Project: 1, Pipeline: "p", Origin: dead} },
		},
		{
			name: "many lanes at a dead origin", behind: many, start: breakDead,
			lane: func(i int) weir.Lane { return weir.Lane{Project: 1, Pipeline: "p", Origin: dead, Key: keyed(i)} },
		},
		{
			name: "many lanes at a full pipeline", behind: many, limits: limits(1, 0, 0), start: fillP,
			lane: func(i int) weir.Lane { return weir.Lane{Project: 1, Pipeline: "p", Origin: alive, Key: keyed(i)} },
		},
		{
			name: "not due", behind: many, start: func(*Set, weir.Time) {},
			lane: func(int) weir.Lane { return weir.Lane{Project: 1, Pipeline: "p", Origin: alive} },
		},
	} {
		b.Run(c.name, func(b *testing.B) {
			now := weir.Time(0).Add(time.Hour)
			s, due := New(c.limits, 0), weir.Time(1)
			if c.name == "not due" {
				due = now.Add(24 * time.Hour)
			}
			for i := range c.behind {
				s.Add(Run{ID: runID(-1 - i), Lane: c.lane(i), Due: due + weir.Time(i)})
			}
			if c.start != nil {
				c.start(s, now)
			}
			s.Admit(now, 1, nil)
			ids := make([]weir.RunID, 1000)
			for i := range ids {
				ids[i] = runID(i + 1)
			}
			var dst []weir.RunID
			runtime.GC()
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				s.Add(Run{ID: ids[n%len(ids)], Lane: weir.Lane{Project: 1, Pipeline: "q", Origin: alive}, Due: now})
				for _, id := range s.Admit(now, 100, dst[:0]) {
					s.Finish(id, weir.Reached, now)
				}
				n++
			}
			if s.waitingCount() != c.behind && c.start != nil {
				b.Fatalf("%d wait, want %d", s.waitingCount(), c.behind)
			}
		})
	}
}

func breakDead(s *Set, now weir.Time) { named{Set: s}.fail(now, BreakerFailures) }

func fillP(s *Set, _ weir.Time) { s.adopt(runID(0), weir.Lane{Project: 1, Pipeline: "p"}) }

// BenchmarkTwoFullGates has many lanes behind a pipeline and an origin that are
// both full, and whose places are freed in turn.
func BenchmarkTwoFullGates(b *testing.B) {
	for _, lanes := range []int{100, 100_000} {
		b.Run(fmt.Sprint(lanes, " lanes"), func(b *testing.B) {
			s := New(limits(1, 0, 1), 0)
			for i := range lanes {
				s.Add(Run{ID: runID(i), Lane: weir.Lane{Project: 1, Pipeline: "p", Origin: dead, Key: fmt.Sprint(i)}, Due: weir.Time(1 + i)})
			}
			inPipe, atOrigin := runID(-1), runID(-2)
			now := weir.Time(lanes) + 10
			for b.Loop() {
				s.adopt(inPipe, weir.Lane{Project: 1, Pipeline: "p"})
				s.adopt(atOrigin, weir.Lane{Project: 1, Pipeline: "other", Origin: dead})
				s.Finish(inPipe, weir.Reached, now)
				s.Admit(now, 9, nil)
				s.adopt(inPipe, weir.Lane{Project: 1, Pipeline: "p"})
				s.Finish(atOrigin, weir.Reached, now)
				if got := s.Admit(now, 9, nil); len(got) > 0 {
					b.Fatalf("started %v", got)
				}
				s.Finish(inPipe, weir.Reached, now)
				for _, id := range s.Admit(now, 9, nil) {
					s.Finish(id, weir.Reached, now)
					s.Add(Run{ID: id, Lane: weir.Lane{Project: 1, Pipeline: "p", Origin: dead, Key: id.String()}, Due: now})
				}
			}
		})
	}
}

// BenchmarkAdd makes many runs wait, and reports what each takes.
func BenchmarkAdd(b *testing.B) {
	keys := make([]string, many)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	for _, c := range []struct {
		name string
		keys int // 0: not ordered
	}{{"one lane", 0}, {"one ordered key", 1}, {"a thousand ordered keys", 1000}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				before := heap()
				s := New(Limits{}, 0)
				for i := range many {
					r := Run{ID: runID(i), Lane: weir.Lane{Project: 1, Pipeline: "p", Origin: alive}, Due: weir.Time(1 + i*7919%many)}
					if c.keys > 0 {
						r.Turn, r.Lane.Key = weir.Precedence{Due: r.Due, Seq: weir.Seq(i)}, keys[i%c.keys]
					}
					s.Add(r)
				}
				b.ReportMetric(float64(heap()-before)/many, "B/run")
				runtime.KeepAlive(s)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/run")
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
