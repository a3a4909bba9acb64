package sqlite

import (
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/internal/fold"
	"weir/internal/state"
)

// These benchmarks say what a row costs: go test -bench . -benchtime 20x

func BenchmarkFlush5000NewRuns(b *testing.B) {
	s := openBench(b)
	from := weir.Seq(0)
	began := cpu()
	for b.Loop() {
		l := &fold.Layer{From: from, To: from + 5000, Runs: benchRuns(from, 5000)}
		flushBench(b, s, l)
		from = l.To
	}
	perRow(b, 5000, began)
}

func BenchmarkFlush5000RunsAmongAMillion(b *testing.B) {
	s := openBench(b)
	from := fillBench(b, s, 1_000_000)
	i := 0
	began := cpu()
	for b.Loop() {
		// Every 200th of the live rows changes: no two on one page.
		runs := make([]weir.Run, 0, 5000)
		for k := range 5000 {
			r := benchRun(weir.Seq(k*200 + i%200 + 1))
			r.N, r.Tries, r.Error = 1, 1, "connect: connection refused"
			runs = append(runs, r)
		}
		i++
		flushBench(b, s, &fold.Layer{From: from, To: from + 5000, Runs: runs})
		from += 5000
	}
	perRow(b, 5000, began)
}

func BenchmarkFlush5000NewGroups(b *testing.B) {
	s := openBench(b)
	from := weir.Seq(0)
	began := cpu()
	for b.Loop() {
		l := &fold.Layer{From: from, To: from + 5000}
		for i := range 5000 {
			l.Groups = append(l.Groups, benchGroup(from+weir.Seq(i)+1))
		}
		flushBench(b, s, l)
		from = l.To
	}
	perRow(b, 5000, began)
}

func BenchmarkRunsByID5000AmongAMillion(b *testing.B) {
	s := openBench(b)
	fillBench(b, s, 1_000_000)
	ids := make([]weir.RunID, 5000)
	for k := range ids {
		ids[k] = benchRun(weir.Seq(k*200 + 1)).ID
	}
	began := cpu()
	for b.Loop() {
		runs, err := s.Runs(b.Context(), ids)
		if err != nil || len(runs) != len(ids) {
			b.Fatal(len(runs), err)
		}
	}
	perRow(b, 5000, began)
}

func BenchmarkLoadAMillionRuns(b *testing.B) {
	s := openBench(b)
	fillBench(b, s, 1_000_000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var p *fold.Checkpoint
	var err error
	began := cpu()
	for b.Loop() {
		if p, err = s.Load(b.Context()); err != nil || len(p.Runs) != 1_000_000 {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu()-began).Seconds()/float64(b.N), "cpu-s/load")
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(p)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/load")
}

func openBench(b *testing.B) *State {
	b.Helper()
	s, err := Open(b.Context(), Options{Path: filepath.Join(b.TempDir(), "state.db"), DataID: [16]byte{1}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func fillBench(b *testing.B, s *State, n int) weir.Seq {
	b.Helper()
	const step = 50_000
	from := weir.Seq(0)
	for int(from) < n {
		flushBench(b, s, &fold.Layer{From: from, To: from + step, Runs: benchRuns(from, step)})
		from += step
	}
	return from
}

func flushBench(b *testing.B, s *State, l *fold.Layer) {
	b.Helper()
	if err := s.Flush(b.Context(), l); err != nil {
		b.Fatal(err)
	}
}

// cpu returns the processor time that the process took, which other load on the
// machine does not change much.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func perRow(b *testing.B, rows int, began time.Duration) {
	b.ReportMetric(float64(b.Elapsed())/float64(time.Microsecond)/float64(b.N*rows), "us/row")
	b.ReportMetric(float64(cpu()-began)/float64(time.Microsecond)/float64(b.N*rows), "cpu-us/row")
}

func benchRuns(from weir.Seq, n int) []weir.Run {
	runs := make([]weir.Run, n)
	for i := range runs {
		runs[i] = benchRun(from + weir.Seq(i) + 1)
	}
	return runs
}

const benchStart = weir.Time(1_750_000_000_000_000)

func benchRun(seq weir.Seq) weir.Run {
	at := benchStart + weir.Time(seq)*1000
	r := weir.Run{
		ID:      weir.Origin{At: at, Seq: seq, Trigger: "orders", Purpose: "match"}.RunID(),
		Project: weir.DefaultProject, State: weir.RunPending, Pipeline: "notify", Due: at + weir.Minute,
	}
	r.Lane = weir.Lane{Project: r.Project, Pipeline: r.Pipeline, Origin: "https://hooks.example:443"}
	r.Firing = weir.Firing{
		Reason: weir.Matched, Trigger: "orders", Revision: 3, PipeRev: 3, Made: at,
		Executions: []string{fmt.Sprintf("exe-%032x", seq)}, Members: []weir.Member{{Time: at - 5000, Seq: seq}},
	}
	return r
}

func benchGroup(seq weir.Seq) weir.Group {
	at := benchStart + weir.Time(seq)*1000
	return weir.Group{
		ID:      weir.Origin{At: at, Seq: seq, Trigger: "usage", Purpose: "group"}.GroupID(),
		Project: weir.DefaultProject, Trigger: "usage", Revision: 3, Key: fmt.Sprintf(`{"instance":"%032x"}`, seq),
		KeyHash: weir.Fingerprint('k', 1, uint64(seq), "usage", ""), Opened: at, Joined: at + 100, First: at - 5000, Last: at,
		Count: 3, Have: []int{1, 0}, Due: at + 60*weir.Minute, DueReason: weir.Expired,
		Tail: []weir.Member{{Time: at - 5000, Seq: seq}, {Time: at - 3000, Seq: seq + 7}, {Time: at, Seq: seq + 30}},
	}
}

// BenchmarkWalk measures what upkeep's snapshot costs a run.
func BenchmarkWalk(b *testing.B) {
	s := openBench(b)
	const runs = 100_000
	l := &fold.Layer{To: 1, Runs: benchRuns(0, runs)}
	if err := s.Flush(b.Context(), l); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		members := 0
		_, err := s.Walk(b.Context(), func(l *state.Live) error {
			members += len(l.Members)
			return nil
		})
		if err != nil || members < runs {
			b.Fatal(members, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*runs), "ns/run")
}
