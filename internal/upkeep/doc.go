// Package upkeep keeps a server from filling its disks: it removes what happened
// longer ago than is to be kept, ends erasures, and drops blobs, versions of
// definitions and refusals that nothing needs any more.
//
// It works in small steps and rests between them, so that nobody who appends
// feels it. It decides which records stay; the engines of journal and state do
// the rest. One process does it at a time; what it had begun when it stops is
// found and done again.
//
// # Why nothing is removed that is needed
//
// Trimming goes by one snapshot of state, as of its cursor c, which is taken
// before: the members of all that is live in it, and its runs. A record goes
// only if it stands at or below c, is older than its project keeps, is no member
// and no change of one of those runs. Whatever is live later needs no such
// record:
//
//   - A group that is open later was open at c, and its members up to c are in
//     the snapshot; or it was opened by a record past c, and has no older member.
//   - A run that is in state later was there at c (waiting, pending or dead: a
//     redrive changes none of its members); or it was made past c, of a group
//     that was open at c or later, or of the very record that made it.
//   - A run that had left state at c never comes back. So nobody needs its
//     changes, nor those of runs that are made past c, which are past c too.
//
// The fold in memory is ahead of c, and all of this holds for it as well: what it
// reads again after a crash begins past c.
package upkeep
