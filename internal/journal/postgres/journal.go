package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"weir"
	"weir/internal/journal"
	"weir/internal/pg"
)

// Options says which journal to use. DB is required.
type Options struct {
	DB     *pg.DB
	Shard  weir.Shard
	Window time.Duration // for which identities are kept; 0: 7 days
	Logger *slog.Logger  // nil: nothing is logged
}

// Journal is a shard's journal in a database. It is safe for concurrent use, by
// many processes.
type Journal struct {
	db       *pg.DB
	shard    int16
	window   time.Duration
	log      *slog.Logger
	appender pgtype.UUID // names this process
	queue    *queue
	clock    clock // the committer's
	hidden   atomic.Pointer[journal.Hidden]
	failing  atomic.Bool        // the last append failed, for a reason that may pass
	stop     context.CancelFunc // ends what runs beside
	unhear   func()
	beside   sync.WaitGroup
	commits  chan struct{} // closed when the committer has ended
	closed   chan struct{}
	closing  sync.Once

	mu      sync.Mutex // guards:
	head    weir.Seq
	floor   weir.Seq      // the first seq that stands in records
	days    []day         // ascending
	moved   chan struct{} // closed when head moves
	waiting int           // that wait for head to move

	// Of who does the upkeep, which is one at a time:
	trim   trimming
	erased map[journal.Erasure]weir.Seq // up to where projects are erased
}

const (
	defaultWindow = 7 * 24 * time.Hour
	topic         = "journal" // of hints: shard and head
	pollEvery     = 500 * time.Millisecond
	makeEvery     = time.Hour
	daysAhead     = 3
	closeGrace    = 5 * time.Second
)

const (
	selectDurable  = `SELECT name || ' = ' || setting FROM pg_settings WHERE name IN ('synchronous_commit', 'fsync') AND setting = 'off'`
	makePartitions = `SELECT make_partitions($1)`
	insertHead     = `WITH made AS (INSERT INTO heads (shard, head, at_us) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING RETURNING shard)
INSERT INTO floors (shard, floor) SELECT shard, 1 FROM made`
)

// Open returns the journal in a database that is migrated, and warns where the
// database is set up to lose what it has acknowledged.
func Open(ctx context.Context, o Options) (*Journal, error) {
	if o.Window <= 0 {
		o.Window = defaultWindow
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	j := &Journal{
		db: o.DB, shard: int16(o.Shard), window: o.Window, log: o.Logger, appender: pgtype.UUID{Valid: true}, queue: newQueue(),
		commits: make(chan struct{}), closed: make(chan struct{}), moved: make(chan struct{}), erased: map[journal.Erasure]weir.Seq{},
	}
	_, _ = rand.Read(j.appender.Bytes[:]) // never fails
	if err := j.check(ctx); err != nil {
		return nil, err
	}
	if err := j.makeAhead(ctx); err != nil {
		return nil, err
	}
	if err := j.Look(ctx); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	j.stop = stop
	j.unhear = j.db.Hear(topic, j.hear)
	j.beside.Go(func() { j.poll(run) })
	go j.commit(run)
	return j, nil
}

// check makes the shard's row where it is not, and warns of a loose database.
func (j *Journal) check(ctx context.Context) error {
	if _, err := j.db.Exec(ctx, insertHead, j.shard); err != nil {
		return pg.Failure("open journal", err)
	}
	rows, err := j.db.Query(ctx, selectDurable)
	if err != nil {
		return pg.Failure("open journal", err)
	}
	loose, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err == nil && len(loose) > 0 {
		j.log.Warn("the database may lose what was acknowledged, when its machine stops", "settings", strings.Join(loose, ", "))
	}
	return pg.Failure("open journal", err)
}

// Close takes no more appends, waits for those under way, though not for ever,
// and ends what waits. The database stays open.
func (j *Journal) Close() error {
	j.closing.Do(func() {
		j.queue.close(errClosed("append"))
		timer := time.AfterFunc(closeGrace, j.stop)
		<-j.commits
		timer.Stop()
		j.stop()
		j.unhear()
		close(j.closed)
		j.beside.Wait()
	})
	return nil
}

func errClosed(op string) error { return weir.E(op, weir.Unavailable, "the journal is closed") }

// Head returns the newest place that is known here: at least all that this process
// was answered, and soon what others append.
func (j *Journal) Head() weir.Seq {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.head
}

// First returns the place before which nothing but survivors of Trim is kept.
func (j *Journal) First() weir.Seq {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.floor
}

// Wait returns nil once there are records past after. It is a hint: whoever reads
// then may find more, and need not wait before reading.
func (j *Journal) Wait(ctx context.Context, after weir.Seq) error {
	for {
		moved := j.await(after)
		if moved == nil {
			return nil
		}
		var err error
		select {
		case <-moved:
		case <-j.closed:
			err = errClosed("wait")
		case <-ctx.Done():
			err = ctx.Err()
		}
		j.mu.Lock()
		j.waiting--
		j.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// await returns what is closed when the head moves, nil where it is past after.
func (j *Journal) await(after weir.Seq) <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.head > after {
		return nil
	}
	j.waiting++
	return j.moved
}

// advance makes it known that there are records up to head.
func (j *Journal) advance(head weir.Seq) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if head > j.head {
		j.head = head
		close(j.moved)
		j.moved = make(chan struct{})
	}
}

// hear takes a hint of another node's append; "" is that some were missed.
func (j *Journal) hear(text string) {
	var shard int16
	var head weir.Seq
	if n, _ := fmt.Sscan(text, &shard, &head); n == 2 && shard == j.shard {
		j.advance(head)
	}
}

func (j *Journal) tell(head weir.Seq) { j.db.Notify(topic, fmt.Sprint(j.shard, " ", head)) }

// poll looks at the head while somebody waits, for hints that got lost, and makes
// partitions ahead.
func (j *Journal) poll(ctx context.Context) {
	looks, makes := time.NewTicker(pollEvery), time.NewTicker(makeEvery)
	defer looks.Stop()
	defer makes.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-makes.C:
			if err := j.makeAhead(ctx); err != nil && ctx.Err() == nil {
				j.log.Error("partitions not made ahead", "err", err)
			}
		case <-looks.C:
			j.mu.Lock()
			waiting := j.waiting > 0
			j.mu.Unlock()
			if waiting {
				_ = j.Look(ctx) // appends tell what is wrong with the database
			}
		}
	}
}

func (j *Journal) makeAhead(ctx context.Context) error {
	return j.db.Retry(ctx, "make partitions", func() error {
		_, err := j.db.Exec(ctx, makePartitions, daysAhead)
		return err
	})
}

// day is a day that has records, with the place of its first.
type day struct {
	number int32
	first  weir.Seq
}

const (
	perDay     = 24 * 60 * 60 * 1_000_000
	selectHead = `SELECT h.head, f.floor,
  array(SELECT day FROM days WHERE shard = $1 ORDER BY day), array(SELECT first FROM days WHERE shard = $1 ORDER BY day)
FROM heads AS h JOIN floors AS f USING (shard) WHERE h.shard BETWEEN $1 AND $1 ORDER BY h.shard DESC LIMIT 1`
)

// Look asks the database where the head is now. Who has just been given the shard
// calls it: what others appended before is known here then.
func (j *Journal) Look(ctx context.Context) error {
	var head, floor int64
	var numbers []int32
	var firsts []int64
	err := j.db.QueryRow(ctx, selectHead, j.shard).Scan(&head, &floor, &numbers, &firsts)
	if err != nil {
		return pg.Failure("look at the journal", err)
	}
	days := make([]day, len(numbers))
	for i := range days {
		days[i] = day{numbers[i], weir.Seq(firsts[i])}
	}
	j.mu.Lock()
	j.floor, j.days = max(j.floor, weir.Seq(floor)), days
	j.mu.Unlock()
	j.advance(weir.Seq(head))
	return nil
}

// dayOf returns the days among which that of seq is. What is known may be old, so
// the last known one may have been followed by others.
func (j *Journal) dayOf(seq weir.Seq) (from, to int32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	to = 1<<31 - 1
	for i := len(j.days) - 1; i >= 0; i-- {
		if j.days[i].first <= seq {
			return j.days[i].number, to
		}
		to = j.days[i].number
	}
	return 0, to
}
