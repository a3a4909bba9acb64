// Package cli has tests of the command line against a real server: scripts in
// testdata that a user could type.
package cli
