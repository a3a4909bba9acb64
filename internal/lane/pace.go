package lane

import (
	"math"
	"time"

	"weir"
)

// pace lets so many through in a time, by the generic cell rate algorithm
// (ITU-T I.371): next is when the one after the last would come if all came
// evenly, and it may come earlier than that by slack. Its times are nanoseconds
// since 1970, because a microsecond is too coarse for high rates. The zero pace
// lets everything through.
type pace struct {
	rate  weir.Rate
	every int64
	slack int64
	next  int64
}

// burst is the part of a second whose worth may come at once.
const burst = 100 * time.Millisecond

// maxAhead is how far in the future a request may be let through: the worker
// waits for its time. What would wait longer is held.
const maxAhead = time.Second

// set gives p another rate. What was let through before counts on, but for no
// more than that the new rate is used up. Where there was no rate nobody counted:
// p let through all it could until began.
func (p *pace) set(r weir.Rate, began, now weir.Time) {
	if r == p.rate {
		return
	}
	last := now
	if p.rate.IsZero() {
		p.next, last = math.MaxInt64, began
	}
	p.rate, p.every, p.slack = r, 0, 0
	if r.IsZero() {
		return
	}
	p.every = (int64(r.Per) + int64(r.N) - 1) / int64(r.N)
	p.slack = max(int64(burst)/p.every-1, 0) * p.every
	p.next = min(p.next, int64(last)*1000+p.every+p.slack)
}

// opens returns from when on p lets one through.
func (p *pace) opens() weir.Time {
	if p.every == 0 {
		return 0
	}
	return weir.Time((p.next - p.slack + 999) / 1000)
}

// pay takes note of one that was let through.
func (p *pace) pay(now weir.Time) {
	if p.every > 0 {
		p.next = max(p.next, int64(now)*1000) + p.every
	}
}
