// Package expr compiles and evaluates the expressions of project files: CEL
// where a value or a condition is asked for, templates with ${…} where text is,
// type globs, and the index that finds the criteria an event may meet.
//
// It sees no clock and no randomness, and its budget is counted cost, so that
// the same event gives the same answer on any machine. The trigger, step,
// project and ingest rooms call it. docs/guide/language.md says which fields
// see which variables.
package expr
