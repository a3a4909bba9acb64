package crash

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/internal/fold"
	embedded "weir/internal/journal/chapter"
	"weir/internal/state/sqlite"
)

const (
	// asFiller in the environment makes this binary fill the data directory that
	// it names, and die.
	asFiller = "WEIR_CRASH_FILL"

	fullChapter = 1_000_000 // records; a chapter takes about 48,000 more
	unflushed   = 20_000    // of them: what a busy second leaves
)

// An hour's work waits, a chapter is about to be full, and the server is killed.
// The CPU that its start takes is what is held to a bound, since it hardly
// depends on what else the machine does: two cores for two seconds. The best of
// some starts counts.
func TestAFullServerIsReadySoonAfterItWasKilled(t *testing.T) {
	const cpu, resident = 4 * time.Second, 2 * 500 << 20 // of memory, 500 MB are promised
	s := newServer(t)
	s.start(t)
	s.apply(t, `
triggers:
  orders:
    match: [{type: order.placed}]
    run: notify
pipelines:
  notify:
    rate: 1/h
    steps:
      - http: {url: http://127.0.0.1:9/}
`)
	s.process.stop(t)
	fill(t, s.dir)
	s.start(t).caughtUp(t)
	s.process.kill()

	for round := 1; ; round++ {
		began := time.Now()
		p := s.start(t)
		s.awaitReady(t)
		took, used := time.Since(began), cpuOf(t, p.cmd.Process.Pid)
		peak := memory(t, p.cmd.Process.Pid)
		r := p.caughtUp(t)
		p.kill()

		fmt.Printf("seen: ready %v after the start, for %v of CPU, with %d MB resident at most; %v\n", took, used, peak>>20, r)
		if used <= cpu && peak <= resident {
			return
		}
		if round == 3 {
			t.Fatalf("the start took %v of CPU and %d MB, want %v and %d MB at most", used, peak>>20, cpu, resident>>20)
		}
	}
}

func fill(t *testing.T, dir string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), asFiller+"="+dir)
	out, err := cmd.CombinedOutput()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("fill %s: %v\n%s", dir, err, out)
	}
}

// fillAndDie appends events to what a server left, as many as nearly fill a
// chapter, makes of all but the last a run that is due tomorrow, and kills the
// process.
func fillAndDie(dir string) error {
	ctx := context.Background()
	j, err := embedded.Open(ctx, embedded.Options{Dir: filepath.Join(dir, "journal")})
	if err != nil {
		return err
	}
	st, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "state.db"), DataID: j.DataID()})
	if err != nil {
		return err
	}
	p, err := st.Load(ctx)
	if err != nil {
		return err
	}
	const step = 10_000
	for from := p.Cursor; from < fullChapter; from += step {
		records := make([]*weir.Record, 0, step)
		for i := range step {
			records = append(records, &weir.Record{Project: weir.DefaultProject, Event: fullEvent(i + int(from))})
		}
		if _, err := j.Append(ctx, weir.Batch{Records: records}); err != nil {
			return err
		}
		if from+step > fullChapter-unflushed {
			continue
		}
		l := &fold.Layer{From: from, To: from + step, At: j.At()}
		for _, r := range records {
			l.Runs = append(l.Runs, fullRun(r))
		}
		if err := st.Flush(ctx, l); err != nil {
			return err
		}
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func fullEvent(i int) *weir.Event {
	return &weir.Event{
		ID: fmt.Sprintf("order-%d", i), Source: "/shop", Type: "order.placed", Subject: fmt.Sprintf("c-%d", i%100_000),
		Execution: fmt.Sprintf("%032x", i), ContentType: "application/json",
		Data: []byte(`{"order":17,"total":140.5,"customer":"c-12345","items":[{"sku":"a","n":1},{"sku":"b","n":2}]}`),
	}
}

func fullRun(rec *weir.Record) weir.Run {
	r := weir.Run{
		ID:      weir.Origin{At: rec.At, Seq: rec.Seq, Trigger: "orders", Purpose: "match"}.RunID(),
		Project: rec.Project, State: weir.RunPending, Pipeline: "notify", Due: rec.At + 24*60*weir.Minute + weir.Time(rec.Seq*7919%1000),
	}
	r.Lane = weir.Lane{Project: r.Project, Pipeline: r.Pipeline, Origin: "http://127.0.0.1:9"}
	r.Firing = weir.Firing{
		Reason: weir.Matched, Trigger: "orders", Revision: 1, PipeRev: 1, Made: rec.At,
		Executions: []string{rec.Event.Execution}, Members: []weir.Member{{Time: rec.At, Seq: rec.Seq}},
	}
	return r
}

// awaitReady waits until the server says that it takes events and shows what
// became of them.
func (s *server) awaitReady(t *testing.T) {
	t.Helper()
	until(t.Context(), t, "the server to be ready", func() (bool, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/readyz", nil)
		if err != nil {
			return false, err
		}
		resp, err := s.HTTP.Do(req)
		if err != nil {
			return false, err
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusNoContent, nil
	})
}

// memory returns how much of a process was in memory at most, in bytes.
func memory(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no peak in\n%s", b)
	return 0
}

// cpuOf returns the CPU that a process has used.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	var ticks time.Duration
	for _, f := range fields[11:13] { // in the program and in the kernel
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond // of which there are always 100 a second
}
