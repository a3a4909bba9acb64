package postgres

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"weir"
	"weir/internal/journal"
	"weir/internal/pg"
	"weir/internal/pg/pgtest"
)

// BenchmarkAppend appends batches by some writers, and copies the same bytes into a
// table without an index in the same groups, in turns. Time and CPU are this
// process's; the server's stands in pg_stat_database only in part.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ writers, size int }{{64, 1}, {16, 100}} {
		b.Run(fmt.Sprintf("writers=%d/batch=%d", c.writers, c.size), func(b *testing.B) {
			db := openDB(b, pgtest.New(b))
			j := open(b, db)
			var n atomic.Int64
			b.ResetTimer()
			run := func(send func([]*weir.Record) error) (perSecond, cpu float64) {
				began, used := time.Now(), cpuTime(b)
				var left atomic.Int64
				left.Store(int64(b.N))
				var all sync.WaitGroup
				for range c.writers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							records := make([]*weir.Record, c.size)
							for i := range records {
								records[i] = event(fmt.Sprint(n.Add(1)))
								records[i].Event.Data = []byte(strings.Repeat("x", 120))
							}
							if err := send(records); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				events := float64(b.N * c.size)
				return events / time.Since(began).Seconds(), (cpuTime(b) - used).Seconds() / events * 1e6
			}

			rate, cpu := run(func(records []*weir.Record) error {
				_, err := j.Append(b.Context(), free(records...))
				return err
			})
			bare := newCopier(b, db)
			copied, copyCPU := run(bare.send)

			b.ReportMetric(rate, "events/s")
			b.ReportMetric(cpu, "us-cpu/event")
			b.ReportMetric(copied, "copied/s")
			b.ReportMetric(copyCPU, "us-cpu/copied")
			b.ReportMetric(rate/copied, "of-copy")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// copier groups what is queued as the committer does.
type copier struct {
	db    *pg.DB
	queue chan copied
}

type copied struct {
	bodies [][]byte
	done   chan error
}

func newCopier(b *testing.B, db *pg.DB) *copier {
	if _, err := db.Exec(b.Context(), `CREATE TABLE IF NOT EXISTS bare (body bytea)`); err != nil {
		b.Fatal(err)
	}
	c := &copier{db, make(chan copied, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.run(b)
	}()
	b.Cleanup(func() {
		close(c.queue)
		<-ended
	})
	return c
}

func (c *copier) send(records []*weir.Record) error {
	x := copied{done: make(chan error, 1)}
	for _, r := range records {
		x.bodies = append(x.bodies, journal.AppendRecord(nil, r))
	}
	c.queue <- x
	return <-x.done
}

func (c *copier) run(b *testing.B) {
	for first := range c.queue {
		group, rows := []copied{first}, [][]any{}
		for more := true; more && len(group) < groupRecords; {
			select {
			case x, ok := <-c.queue:
				if more = ok; ok {
					group = append(group, x)
				}
			default:
				more = false
			}
		}
		for _, x := range group {
			for _, body := range x.bodies {
				rows = append(rows, []any{body})
			}
		}
		_, err := c.db.CopyFrom(b.Context(), pgx.Identifier{"bare"}, []string{"body"}, pgx.CopyFromRows(rows))
		for _, x := range group {
			x.done <- err
		}
	}
}

func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	runtime.GC()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
