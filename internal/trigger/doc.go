// Package trigger compiles triggers and says what they make of an event: which
// triggers it matches, with which key, and which criteria of fire it meets.
//
// It keeps nothing: groups and counters are the fold's, which calls it, as do
// project files, to check a definition.
package trigger
