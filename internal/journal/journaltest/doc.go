// Package journaltest holds the suite that every engine of the journal passes:
// what an append promises, what readers see, what is found.
//
// Tests of the engines call Run. What only one engine has, such as files that
// tear, its own tests show.
package journaltest
