// Package node is what makes several processes on one database one server: each
// registers itself and says with every beat that it lives; each tries runs that
// the dispatching node granted it; and each answers what only the dispatcher
// knows, by asking it, where it is in this process, or else the database.
//
// A granted run is a row (fold.LeaseRow). The Taker takes those of its node,
// which marks them as begun, makes leases of them, and renews all in one
// statement:
//
//	granted ──► begun, renewed every third of a lease ──► the change is on record,
//	   │                │                                  the next flush removes it
//	   │                └─ not renewed: over. The dispatcher appends that it is lost
//	   └─ removed: given back, uncounted
//
// Time is the database's, except that the Taker reckons from when it sent its
// last renewal: when that is a lease less a margin ago, it stops its tries,
// whatever the database may say later, before anybody else begins them. A row
// that it does not get back from a renewal was taken from it: the run was
// cancelled, or its time was up.
//
// Nothing here decides. Where a process stops at any line, rows run out, and the
// identity of a run's next change lets only one outcome into the journal.
package node
