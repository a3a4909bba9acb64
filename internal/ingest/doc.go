// Package ingest is the one door for every event: it decodes what came in,
// checks it, appends it to the journal in one batch, and remembers what it
// turned away. The API, webhooks and later sources call it; it knows no
// project, trigger or caller.
package ingest
