// Package chapter is the embedded engine of the journal: append-only files of
// our own, called chapters, in one directory that one process has.
//
//	chapter file:  | header, 4096 bytes | frame | frame | ... | zeros, allocated ahead |
//	frame:         | chapter, first seq, at, synced, count, length, CRC before, CRC | record | record | ... |
//	record:        | length | bytes of package journal |
//
// An Append becomes one frame, so that it is there whole or not at all. One
// committer decides which identities are new, gives out seq and at, and writes
// whatever is queued with one write and one fdatasync; while it waits for the
// disk, others queue. Nobody reads past what is durable.
//
// A frame says how far the file was durable when it was written (synced). So
// at open a frame that is bad can be told apart: past the greatest synced of
// any good frame it is the torn end of an unanswered write and is cut off;
// before it something was lost that had been promised, and the chapter is
// refused by name.
//
// Look-ups are tables in memory, made again at open by reading the chapters,
// and filled by an indexer that follows the committer.
//
// The room decides nothing about what records mean. It is opened by app;
// everybody else sees it through an interface of their own.
package chapter
