// Package timex parses and evaluates time expressions: when a group expires, as
// `last + 1h`, `opened + 1d` or `never`.
//
// It is told every time that it needs. The trigger room calls it.
package timex
