// Package demo runs Weir's main job for a person to watch: a real server on a
// temporary store, the project file of examples/github, real webhook bodies
// through the real door, a receiver that fails, and a look at what became of
// it all, read back through the API. The CLI calls it.
package demo
