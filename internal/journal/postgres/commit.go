package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"weir"
	"weir/internal/pg"
)

const (
	patience  = 2 * time.Second  // for which free batches wait for a database that was lost
	callTime  = 10 * time.Second // for one try of one statement
	firstWait = 20 * time.Millisecond
	maxWait   = time.Second

	noPartition = "23514" // SQLSTATE check_violation: none of the partitions takes the row
)

// commit appends whatever is queued, one statement after the other, until the
// queue is closed and empty. ctx ends it earlier.
func (j *Journal) commit(ctx context.Context) {
	defer close(j.commits)
	for number := int64(0); ; {
		calls := j.queue.take()
		if len(calls) == 0 {
			return
		}
		var parts []*part
		for _, c := range calls {
			for i := range c.parts {
				parts = append(parts, &c.parts[i])
			}
		}
		for len(parts) > 0 {
			number++
			g := newGroup(number)
			if parts = g.fill(parts); len(g.parts) > 0 {
				o, err := j.append(ctx, g)
				code := weir.CodeOf(err)
				j.failing.Store(code == weir.DiskFull || code == weir.Unavailable)
				g.answer(o, err)
			}
		}
	}
}

// group is what one statement appends. No two of its records have the same
// identity: within a batch the later repeats the earlier, and a batch that has one
// of a batch before it waits for the next group, because it decides about that
// whether the other was refused.
type group struct {
	number int64 // of the statement, in this process
	parts  []*part
	known  map[[16]byte]int // by identity: which of those sent has it

	bodies  [][]byte
	ids     []pgtype.UUID
	batches []int32
	opens   []bool
	hashes  []int64
	owners  []int32
}

func newGroup(number int64) *group { return &group{number: number, known: map[[16]byte]int{}} }

// fill adds what goes together and returns the rest.
func (g *group) fill(parts []*part) (rest []*part) {
	for i, p := range parts {
		if p.call.ended {
			continue
		}
		if g.repeats(p) {
			return parts[i:]
		}
		g.add(p)
	}
	return nil
}

// repeats reports whether a batch has an identity of a batch before it.
func (g *group) repeats(p *part) bool {
	for i := range p.entries {
		if id := p.entries[i].id; id.Valid {
			if _, ok := g.known[id.Bytes]; ok {
				return true
			}
		}
	}
	return false
}

func (g *group) add(p *part) {
	g.parts = append(g.parts, p)
	for i := range p.entries {
		e := &p.entries[i]
		if _, again := g.known[e.id.Bytes]; again {
			continue
		}
		if e.id.Valid {
			g.known[e.id.Bytes] = len(g.bodies)
		}
		g.bodies, g.ids = append(g.bodies, e.body), append(g.ids, e.id)
		g.batches = append(g.batches, int32(len(g.parts)))
		g.opens = append(g.opens, p.call.batches[p.nth].Bound && i == 0)
		for _, h := range e.hashes {
			g.hashes, g.owners = append(g.hashes, int64(h)), append(g.owners, int32(len(g.bodies)))
		}
	}
}

// outcome is what became of a group's entries.
type outcome struct {
	seqs    []int64
	ats     []int64
	written []bool
}

func (g *group) answer(o outcome, err error) {
	sent := 0
	for _, p := range g.parts {
		for i := range p.entries {
			if err != nil {
				break
			}
			nth := sent
			again := false
			if id := p.entries[i].id; id.Valid {
				nth = g.known[id.Bytes]
				again = nth < sent
			}
			if !again {
				sent++
			}
			seq := weir.Seq(o.seqs[nth])
			p.answer(i, weir.Item{Seq: seq, At: weir.Time(o.ats[nth]), Repeated: seq > 0 && (again || !o.written[nth])})
		}
		if err != nil || p.last {
			p.call.end(err)
		}
	}
}

const appendRecords = `CALL append_records($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, NULL, NULL, NULL)`

// clock tells how late it is at least: since it was written the journal's time has
// gone on at half the speed of this machine's, also where the database's was set
// back. So it never stands still, and no node makes it go faster than others.
type clock struct {
	at   weir.Time // of a record that this process appended
	then time.Time // when that was answered
}

func (c *clock) least() int64 {
	if c.at == 0 {
		return 0
	}
	return int64(c.at) + time.Since(c.then).Microseconds()/2
}

// tell goes on from what was written now, where that is later than known so far.
func (c *clock) tell(o outcome) {
	for i, at := range o.ats {
		if o.written[i] && at > c.least() {
			c.at, c.then = weir.Time(at), time.Now()
		}
	}
}

// append sends a group until it is known what became of it: whoever appended a
// change and was told that it is refused must not have been refused by itself.
func (j *Journal) append(ctx context.Context, g *group) (outcome, error) {
	began, told, wait := time.Now(), false, firstWait
	for lost := false; ; wait = min(2*wait, maxWait) {
		o, head, err := j.send(ctx, g)
		if err == nil {
			j.queue.accept()
			j.clock.tell(o)
			j.advance(head)
			j.tell(head)
			return o, nil
		}
		err = pg.Failure("append", err)
		if lost = lost || mayBeDone(err); !lost {
			return o, err
		}
		if ctx.Err() != nil {
			return o, weir.E("append", weir.Unavailable, "the journal closes, and it is not known whether the records were taken in: %w", err)
		}
		if !told {
			told = true
			j.log.Warn("the database was lost during an append, which is tried again", "err", err)
		}
		if time.Since(began) > patience {
			j.turnAway(g, err)
		}
		pause(ctx, wait/2+rand.N(wait))
	}
}

// turnAway answers the group's free batches, and whoever comes while the database
// is away, instead of letting them wait.
func (j *Journal) turnAway(g *group, err error) {
	for _, c := range j.queue.refuse(weir.E("append", weir.Unavailable, "the database cannot be reached: %w", err)) {
		c.end(weir.E("append", weir.Unavailable, "the database cannot be reached: %w", err))
	}
	for _, p := range g.parts {
		if !p.call.bound {
			p.call.end(weir.E("append", weir.Unavailable,
				"the database was lost, and it is not known whether the records were taken in: %w", err))
		}
	}
}

// send sends a group once, and again where another transaction had to go first.
func (j *Journal) send(ctx context.Context, g *group) (o outcome, head weir.Seq, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	call := func() error {
		return j.db.QueryRow(ctx, appendRecords,
			j.shard, j.appender, g.number, j.clock.least(), g.bodies, g.ids, g.batches, g.opens, g.hashes, g.owners,
		).Scan(&o.seqs, &o.ats, &o.written, &head)
	}
	err = j.db.Retry(ctx, "append", call)
	if pg.CodeOf(err) == noPartition {
		if err = j.makeAhead(ctx); err == nil {
			err = j.db.Retry(ctx, "append", call)
		}
	}
	return o, head, err
}

// mayBeDone reports whether what failed so may have been committed all the same.
func mayBeDone(err error) bool {
	if _, never := errors.AsType[*pgconn.ConnectError](err); never || pgconn.SafeToRetry(err) {
		return false
	}
	code := pg.CodeOf(err)
	return code == "" || code[:2] == "57" || code[:2] == "08"
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
