package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir"
	"weir/internal/journal"
	"weir/internal/journal/disk"
	"weir/internal/journal/sealed"
)

// Look is what a table and an index have in common. Places count from the
// chapter's first seq; some may hold no record.
type Look interface {
	// Rows fills dst with the rows from a place on.
	Rows(dst []sealed.Row, place int) (int, error)
	// Before returns the last n places at or before place that hold records.
	Before(place, n int) ([]int, error)
	// FirstAt returns the first place accepted at or after at, or one past all.
	FirstAt(at weir.Time) (int, error)
	// Times returns when the first and the last record were accepted.
	Times() (first, last weir.Time)
	Identity(id weir.Identity) (sealed.Row, bool, error)
	// Walk yields the places under a hash in [low, high], newest first, filling
	// dst each time.
	Walk(hash uint64, low, high int) func(dst []int) ([]int, error)
}

// Look returns the table or the index.
func (c *Chapter) Look() Look {
	if t := c.table.Load(); t != nil {
		return t
	}
	return c.index.Load()
}

// Ask asks the table or the index. An index that is damaged is made anew of the
// chapter.
func (c *Chapter) Ask(question func(Look) error) error {
	err := question(c.Look())
	if !errors.Is(err, sealed.ErrDamaged) {
		return err
	}
	if err = c.Mend(err); err != nil {
		return err
	}
	return question(c.Look())
}

// Index is the open index of a sealed chapter, as Look.
type Index struct {
	*sealed.Index
	Disk disk.File
}

// Rows implements Look. Most readers want one record.
func (x *Index) Rows(dst []sealed.Row, place int) (int, error) {
	if len(dst) == 1 {
		row, ok, err := x.Row(place)
		if ok || err != nil {
			dst[0] = row
			return 1, err
		}
	}
	rank, err := x.Rank(place)
	if err != nil {
		return 0, err
	}
	return x.Index.Rows(dst, rank)
}

// Before implements Look.
func (x *Index) Before(place, n int) ([]int, error) {
	rank, err := x.Rank(place + 1)
	if err != nil {
		return nil, err
	}
	rows := make([]sealed.Row, min(n, rank))
	if _, err := x.Index.Rows(rows, rank-len(rows)); err != nil {
		return nil, err
	}
	places := make([]int, len(rows))
	for i := range rows {
		places[i] = rows[i].Place
	}
	return places, nil
}

// FirstAt implements Look.
func (x *Index) FirstAt(at weir.Time) (int, error) {
	rank, err := x.Index.FirstAt(at)
	var rows [1]sealed.Row
	if err == nil && rank < x.Count() {
		_, err = x.Index.Rows(rows[:], rank)
		return rows[0].Place, err
	}
	return x.Last() + 1, err
}

// Walk implements Look.
func (x *Index) Walk(hash uint64, low, high int) func(dst []int) ([]int, error) {
	return func(dst []int) ([]int, error) {
		dst = dst[:cap(dst)]
		n, err := x.Find(dst, hash, low, high)
		if n > 0 {
			high = dst[n-1] - 1
		}
		return dst[:n], err
	}
}

// BuildIndex writes the index of a chapter that takes no more appends, and
// checks its frames as it reads them.
func (c *Chapter) BuildIndex(p *Pacer) (*Index, error) {
	d, err := disk.Write(c.dir.FS, c.IndexName(), func(d disk.File) error {
		b := sealed.NewBuilder(disk.Steady(d), c.indexed())
		var hashes []uint64
		_, err := c.Each(Visit{
			Pause: p.Pause,
			Record: func(r *weir.Record, row sealed.Row, _ []byte) error {
				if row.Place%pauseEvery == 0 {
					if err := p.Pause(); err != nil {
						return err
					}
				}
				hashes = journal.AppendHashes(hashes[:0], r)
				return b.Add(row, hashes)
			},
		})
		if err != nil {
			return err
		}
		return b.Finish(p.Pause)
	})
	if err != nil {
		return nil, fmt.Errorf("index chapter %s: %w", c.Name, err)
	}
	return c.openIndex(d)
}

func (c *Chapter) indexed() sealed.Chapter { return sealed.Chapter{DataID: c.DataID, ID: c.ID} }

func (c *Chapter) openIndex(d disk.File) (*Index, error) {
	x, err := sealed.Open(c.IndexName(), d, c.indexed())
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &Index{x, d}, nil
}

// OpenIndex opens the index of a sealed chapter, and makes it anew where it is
// damaged or gone.
func (c *Chapter) OpenIndex() error {
	d, err := c.dir.FS.Open(c.IndexName())
	if err == nil {
		var x *Index
		if x, err = c.openIndex(d); err == nil {
			c.index.Store(x)
			return nil
		}
	}
	return c.Mend(err)
}

// Mend makes an index anew that is damaged, for a reason. The file of the old
// one stays open until nobody has it.
func (c *Chapter) Mend(why error) error {
	old := c.index.Load()
	c.mending.Lock()
	defer c.mending.Unlock()
	if c.index.Load() != old {
		return nil // somebody else has made it
	}
	c.dir.Log.Error("index of a chapter is made anew", "chapter", c.Name, "err", why)
	x, err := c.BuildIndex(&Pacer{Hurry: true, Context: context.Background()})
	if err != nil {
		return weir.E("read journal", weir.Unavailable, "make a damaged index anew: %w", err)
	}
	c.index.Store(x)
	return nil
}

// pauseEvery is how many records are worth a look at the clock.
const pauseEvery = 64

// workTime is for how long something that nobody waits for keeps the processor
// before it rests for as long: with 5 ms, one append in a hundred waited for 6.
const workTime = time.Millisecond

// Pacer makes room for those that somebody waits for.
type Pacer struct {
	Context context.Context // of what is done
	Hurry   bool            // take no rests
	since   time.Time
}

// Pause rests when it is time to, and returns the context's error.
func (p *Pacer) Pause() error {
	if p.Hurry || time.Since(p.since) < workTime {
		return p.Context.Err()
	}
	rest := time.NewTimer(workTime)
	defer rest.Stop()
	select {
	case <-rest.C:
		p.since = time.Now()
		return nil
	case <-p.Context.Done():
		return p.Context.Err()
	}
}
