package lane

import (
	"cmp"
	"slices"
	"time"

	"weir"
)

// The breaker of an origin opens after BreakerFailures tries in a row that did
// not reach it. From then on nothing starts there but one probe at a time, the
// first after BreakerWait, each further one after twice the time, at most
// BreakerMaxWait. A try that reaches the origin closes the breaker.
const (
	BreakerFailures = 10
	BreakerWait     = 10 * time.Second
	BreakerMaxWait  = 5 * time.Minute
)

// breakerMemory is how long the failures at an origin for which there is no run
// are remembered: longer than runs wait between tries by default.
const breakerMemory = 15 * time.Minute

type breaker struct {
	failures int       // in a row; while open, those of probes are added
	until    weir.Time // while open: when the next probe may start
	last     weir.Time // newest failure
	probe    weir.RunID
}

func (b *breaker) open() bool { return b.failures >= BreakerFailures }

func (b *breaker) shut(now weir.Time) bool {
	return b.open() && (now < b.until || !b.probe.IsZero())
}

// learn takes the verdict of a try that ended. While the breaker is open,
// failures of tries that began before it opened say nothing new.
func (b *breaker) learn(id weir.RunID, v weir.Verdict, now weir.Time) {
	switch {
	case v == weir.Unasked:
		if b.probe == id {
			b.probe = weir.RunID{} // another may ask
		}
	case v == weir.Reached:
		b.failures, b.until, b.probe = 0, 0, weir.RunID{}
	case !b.open() || b.probe == id:
		b.failures++
		b.last, b.probe = now, weir.RunID{}
		if b.open() {
			b.until = now.Add(breakerWait(b.failures))
		}
	}
}

// breakerWait returns how long a breaker stays open after so many failures.
func breakerWait(failures int) time.Duration {
	doublings := min(failures-BreakerFailures, 8)
	return min(BreakerWait<<doublings, BreakerMaxWait)
}

// Breaker is what is kept of an origin at which tries failed.
type Breaker struct {
	Project  weir.ProjectID
	Origin   string
	Failures int       // in a row; from BreakerFailures on it is open
	Until    weir.Time // while open: when the next probe may start; else none
}

// Breakers returns the breakers of all origins at which the last try failed, by
// project and origin, for dispatch to flush. It forgets those that no run has
// gone through for a while.
func (s *Set) Breakers() []Breaker {
	s.forget()
	rows := make([]Breaker, 0, len(s.failing))
	for g := range s.failing {
		b := g.breaker
		rows = append(rows, Breaker{Project: g.owner.id, Origin: g.name.name, Failures: b.failures, Until: b.until})
	}
	slices.SortFunc(rows, func(a, b Breaker) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Origin, b.Origin))
	})
	return rows
}

// forget drops the failures at origins that no run has gone through for a while.
func (s *Set) forget() {
	for g := range s.failing {
		b := g.breaker
		if g.users == 0 && g.used == 0 && s.now > max(b.last, b.until).Add(breakerMemory) {
			b.failures = 0
			delete(s.failing, g)
			s.tidy(g)
		}
	}
	s.manyFailing = 2*len(s.failing) + fewFailing
}

// fewFailing is how many origins may be failing before the first look whether
// some can be forgotten; the next is when they have doubled.
const fewFailing = 64

// RestoreBreakers takes up what Breakers returned before a restart. A probe
// that was under way then is forgotten.
func (s *Set) RestoreBreakers(rows []Breaker, now weir.Time) {
	s.tell(now)
	for _, row := range rows {
		g := s.gate(s.project(row.Project), gateName{kind: OriginLimit, name: row.Origin})
		b := g.breaker
		b.failures, b.until, b.last, b.probe = row.Failures, row.Until, s.now, weir.RunID{}
		s.failing[g] = struct{}{}
		s.settle(&g.node)
	}
}
