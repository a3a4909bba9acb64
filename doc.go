// Package weir holds the nouns of Weir: events, records, identities, triggers,
// groups, pipelines, runs, their ids and states, and the error codes.
//
// It decides nothing and does no I/O; every other room imports it and it
// imports only the standard library. The words are those of docs/glossary.md.
package weir
