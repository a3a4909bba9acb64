package pg

import (
	"sync/atomic"
	"time"
)

// clock is how far the database's clock is ahead of this machine's, as far as can
// be told from what it said.
type clock struct{ ahead atomic.Int64 }

// tell takes note of what the database's clock showed at some time between sent and
// received. What agrees with what is known changes nothing: answers take time.
func (c *clock) tell(sent, received, shown time.Time) {
	most, least := shown.Sub(sent), shown.Sub(received)
	c.ahead.Store(int64(min(max(time.Duration(c.ahead.Load()), least), most)))
}

// TellTime takes note of what the database's clock showed, in an answer that came
// just now to what was sent then.
func (db *DB) TellTime(sent, shown time.Time) { db.clock.tell(sent, time.Now(), shown) }

// Now is the time by the database's clock, by which records are accepted and leases
// live, as far as this process was told it: a machine whose clock is wrong neither
// starts runs early or late, nor removes what is to be kept.
func (db *DB) Now() time.Time { return time.Now().Add(time.Duration(db.clock.ahead.Load())) }
