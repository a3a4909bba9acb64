// Package whole has tests of a whole server: real doors and real stores in one
// process, driven through the API as a client would, with receivers of the
// tests' own.
package whole
