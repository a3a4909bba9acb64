// Package bulk has the test of a million events, published from a file by the
// command line.
package bulk
