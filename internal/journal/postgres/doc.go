// Package postgres is the engine of the journal for many nodes: partitioned tables
// in one PostgreSQL database, beside those of state. app makes it; everybody else
// knows it by the interfaces that they declare.
//
// An append is one statement: package pg's procedure append_records gives out the
// seqs while it holds the row of the shard, so that seqs are in the order in which
// they are committed, and who has read one has read all before it.
//
//	records, links   by day: what was accepted, and under which hashes it is found
//	seen             by week: the identities that are taken
//	kept, kept_links what had to stay when its day was dropped
//
// An erased record's identity stays taken for the window.
package postgres
