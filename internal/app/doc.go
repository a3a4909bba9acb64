// Package app wires the rooms of one server process: it opens the stores, makes
// the loops and doors, starts them, and stops them in reverse order. It decides
// nothing else, and is the only room that knows all others.
package app
