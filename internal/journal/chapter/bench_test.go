package chapter

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/disk"
	"weir/internal/journal/frame"
)

// BenchmarkAppend measures durable appends against bare appends of as many
// bytes to a file, by as many writers, that share writes and syncs in the same
// way. Both build their records, in turns, in the same run.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name           string
		writers, batch int
	}{
		{"single", 64, 1},
		{"batches", 16, 100},
	} {
		b.Run(fmt.Sprintf("%s-%d-writers", c.name, c.writers), func(b *testing.B) {
			dir := b.TempDir()
			j, err := Open(b.Context(), Options{Dir: dir})
			if err != nil {
				b.Fatal(err)
			}
			bare := newBareFile(b, dir)
			record := encodedSize(benchRecords(0, 1)[0])
			chunk := make([]byte, frame.Size+c.batch*record)
			var n atomic.Uint64

			var own, theirs []speed
			for range 3 {
				theirs = append(theirs, measure(c.writers, c.batch, func() error {
					_ = benchRecords(n.Add(1), c.batch)
					return bare.append(chunk)
				}))
				own = append(own, measure(c.writers, c.batch, func() error {
					_, err := j.Append(b.Context(), weir.Batch{Records: benchRecords(n.Add(1), c.batch)})
					return err
				}))
			}

			mine, base := median(own), median(theirs)
			b.ReportMetric(mine.events, "events/s")
			b.ReportMetric(base.events, "bare-events/s")
			b.ReportMetric(mine.events/base.events, "ratio")
			b.ReportMetric(mine.cpu, "us-cpu/event")
			b.ReportMetric(base.cpu, "bare-us-cpu/event")
			b.ReportMetric(mine.p99, "p99-ms")
			b.ReportMetric(base.p99, "bare-p99-ms")
			b.ReportMetric(0, "ns/op")
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkOpen opens a full chapter as after kill -9, and reads all of it.
func BenchmarkOpen(b *testing.B) {
	const records = 1_000_000
	dir := b.TempDir()
	j, err := Open(b.Context(), Options{Dir: dir, MaxBytes: maxChapterSize})
	if err != nil {
		b.Fatal(err)
	}
	for n := range uint64(records / 1000) {
		if _, err := j.Append(b.Context(), weir.Batch{Records: benchRecords(n, 1000)}); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		runtime.GC()
		began := time.Now()
		if j, err = Open(b.Context(), Options{Dir: dir}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-until-appends")
		if err := j.filler.Wait(b.Context(), j.Head()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-until-look-ups")
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/mib, "MiB")
		began = time.Now()
		for after := weir.Seq(0); after < j.Head(); {
			got, err := j.Read(b.Context(), after, 1000)
			if err != nil {
				b.Fatal(err)
			}
			after = got[len(got)-1].Seq
		}
		b.ReportMetric(records/time.Since(began).Seconds(), "read-events/s")
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// speed is events a second, CPU of the process in microseconds an event, and
// the 99th percentile of an append in milliseconds.
type speed struct{ events, cpu, p99 float64 }

func median(s []speed) speed {
	slices.SortFunc(s, func(a, b speed) int { return int(a.events - b.events) })
	return s[len(s)/2]
}

func measure(writers, batch int, do func() error) speed {
	began, cpu := time.Now(), processTime()
	end := began.Add(time.Second)
	var mu sync.Mutex
	var took []time.Duration
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			var own []time.Duration
			for now := time.Now(); now.Before(end); {
				if err := do(); err != nil {
					panic(err)
				}
				then := now
				now = time.Now()
				own = append(own, now.Sub(then))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
		})
	}
	group.Wait()
	slices.Sort(took)
	events := float64(len(took) * batch)
	return speed{
		events: events / time.Since(began).Seconds(),
		cpu:    float64((processTime() - cpu).Microseconds()) / events,
		p99:    float64(took[len(took)*99/100].Microseconds()) / 1000,
	}
}

func processTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchRecords builds events of about 250 bytes.
func benchRecords(n uint64, count int) []*weir.Record {
	out := make([]*weir.Record, count)
	both := make([]struct {
		r weir.Record
		e weir.Event
	}, count)
	data := []byte(`{"order":12345,"lines":[{"sku":"A-1","n":2},{"sku":"B-7","n":1}],"total":99.5,"currency":"EUR"}`)
	for i := range out {
		id := strconv.FormatUint(1_000_000_000_000+n*1000+uint64(i), 10)
		v := &both[i]
		v.e = weir.Event{
			ID: id, Source: "/api/token", Type: "com.example.order.placed", Subject: "order-12345",
			Execution: id, ContentType: "application/json", Time: 1_764_000_000_123_456, Data: data,
		}
		v.r = weir.Record{Project: 1, Event: &v.e}
		out[i] = &v.r
	}
	return out
}

func encodedSize(r *weir.Record) int { return frame.RecordSize + len(journal.AppendRecord(nil, r)) }

// bareFile appends bytes with group commit and nothing else.
type bareFile struct {
	disk  disk.File
	queue chan bareCall
}

type bareCall struct {
	b    []byte
	done chan error
}

func newBareFile(b *testing.B, dir string) *bareFile {
	fs, err := disk.OpenDirectory(dir)
	if err != nil {
		b.Fatal(err)
	}
	d, err := fs.Create("bare")
	if err != nil {
		b.Fatal(err)
	}
	f := &bareFile{disk: d, queue: make(chan bareCall, 1024)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.run()
	}()
	b.Cleanup(func() {
		close(f.queue)
		<-ended
		_ = d.Close()
	})
	return f
}

func (f *bareFile) append(b []byte) error {
	done := make(chan error, 1)
	f.queue <- bareCall{b, done}
	return <-done
}

func (f *bareFile) run() {
	var calls []bareCall
	var buf []byte
	var end, allocated int64
	for first := range f.queue {
		calls, buf = append(calls[:0], first), append(buf[:0], first.b...)
		for more := true; more && len(buf) < groupBytes; {
			select {
			case c, ok := <-f.queue:
				if more = ok; ok {
					calls, buf = append(calls, c), append(buf, c.b...)
				}
			default:
				more = false
			}
		}
		var err error
		if need := end + int64(len(buf)); need > allocated {
			allocated = need + maxAllocate
			err = f.disk.Allocate(allocated)
		}
		if err == nil {
			_, err = f.disk.WriteAt(buf, end)
		}
		if err == nil {
			err = f.disk.Sync()
		}
		end += int64(len(buf))
		for _, c := range calls {
			c.done <- err
		}
	}
}
