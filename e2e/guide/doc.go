// Package guide has the tests that run the documentation: every project file of
// its pages is parsed, every command is typed into a shell as it stands.
package guide
