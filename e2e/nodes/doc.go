// Package nodes tests several processes of the real program on one real
// PostgreSQL: they are killed, stopped for longer than a lease, restarted one
// after the other behind something that spreads requests, and drained, while
// events come in. What is acknowledged is never lost, no event is folded twice,
// and every run ends.
package nodes
