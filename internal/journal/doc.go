// Package journal says what every engine of the journal shares: how a record is
// written as bytes, what can be asked for, and under which hashes a record is
// found. The engines are its sub-rooms: chapter (embedded) and postgres.
// journaltest holds the suite that each of them passes.
//
// It does no I/O and keeps nothing. Loops never import it: they declare the few
// methods of an engine that they need.
package journal
