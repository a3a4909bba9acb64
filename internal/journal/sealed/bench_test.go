package sealed_test

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"weir"
	"weir/internal/journal/sealed"
)

const million = 1_000_000

// full is the index of a million records such as events are: a hash that all
// share, one of seven, three of their own.
func full(b *testing.B) (*os.File, *sealed.Index) {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "a.index"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	fill(b, f)
	x, err := sealed.Open("a.index", f, chapter)
	if err != nil {
		b.Fatal(err)
	}
	return f, x
}

func fill(b *testing.B, f *os.File) {
	b.Helper()
	w := sealed.NewBuilder(f, chapter)
	for i := range million {
		row := sealed.Row{Place: i, Offset: int64(i), At: weir.Time(i), Identity: fingerprint(i)}
		if err := w.Add(row, hashes(i)); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Finish(goOn); err != nil {
		b.Fatal(err)
	}
}

func fingerprint(i int) weir.Identity {
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
	return weir.Identity(sum[:16])
}

func hashes(i int) []uint64 {
	n := uint64(i)
	return []uint64{mix(n % 7), mix(31), mix(n / 3), mix(n << 20), mix(n << 30)}
}

func mix(n uint64) uint64 {
	n = (n + 1) * 0x9e3779b97f4a7c15
	n ^= n >> 29
	return n * 0xd6e8feb86659fd93
}

func BenchmarkBuildAMillion(b *testing.B) {
	for b.Loop() {
		f, err := os.Create(filepath.Join(b.TempDir(), "a.index"))
		if err != nil {
			b.Fatal(err)
		}
		longest, last := time.Duration(0), time.Now()
		w := sealed.NewBuilder(f, chapter)
		ids := make([]weir.Identity, 1)
		for i := range million {
			ids[0] = weir.Identity{}
			binary.LittleEndian.PutUint64(ids[0][:], mix(uint64(i)))
			row := sealed.Row{Place: i, Offset: int64(i), At: weir.Time(i), Identity: ids[0]}
			if err := w.Add(row, hashes(i)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(last).Nanoseconds())/million, "add-ns/record")
		last = time.Now()
		began := last
		err = w.Finish(func() error {
			longest = max(longest, time.Since(last))
			last = time.Now()
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Nanoseconds())/million, "finish-ns/record")
		b.ReportMetric(float64(longest.Microseconds()), "longest-us")
		info, _ := f.Stat()
		b.ReportMetric(float64(info.Size())/million, "disk-B/record")
		_ = f.Close()
	}
}

func BenchmarkOpen(b *testing.B) {
	f, _ := full(b)
	var x *sealed.Index
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		var err error
		if x, err = sealed.Open("a.index", f, chapter); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1024, "resident-KiB")
	runtime.KeepAlive(x)
}

func BenchmarkFind(b *testing.B) {
	_, x := full(b)
	places := make([]int, 16)
	for _, c := range []struct {
		name string
		hash func(i int) uint64
	}{
		{"own", func(i int) uint64 { return mix(uint64(i%million) << 20) }},
		{"shared", func(i int) uint64 { return mix(uint64(i % 7)) }},
		{"absent", func(i int) uint64 { return mix(uint64(i) << 40) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			i, hits := 0, 0
			for b.Loop() {
				i += 7919
				n, err := x.Find(places, c.hash(i), 0, million)
				if err != nil {
					b.Fatal(err)
				}
				hits += n
			}
			b.ReportMetric(float64(hits)/float64(b.N), "hits/op")
		})
	}
}

func BenchmarkIdentity(b *testing.B) {
	_, x := full(b)
	i := 0
	for b.Loop() {
		i += 7919
		if _, ok, err := x.Identity(fingerprint(i % million)); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkFilter(b *testing.B) {
	_, x := full(b)
	f, err := sealed.Room(nil, 16*million, 0, time.Hour).With(x, 1, goOn)
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]weir.Identity, million)
	for i := range ids {
		ids[i] = fingerprint(million + i)
	}
	b.Run("may", func(b *testing.B) {
		i, hits := 0, 0
		for b.Loop() {
			if i++; i == len(ids) {
				i = 0
			}
			if f.May(ids[i]) {
				hits++
			}
		}
	})
	b.Run("with", func(b *testing.B) {
		for b.Loop() {
			if _, err := f.With(x, 1, goOn); err != nil {
				b.Fatal(err)
			}
		}
	})
}
