// Package postgres is the engine of state for many nodes: tables in one
// PostgreSQL database, beside those of the journal, so that the journal and the
// state in it belong together. app makes it; everybody else knows it by the
// interfaces that they declare.
//
// Everybody reads and writes control data. Live state is written by flushes
// alone, and only by the node that holds the shard: see Tenure.
package postgres
