// Package backup puts all that the embedded engine holds into one file, takes it
// out again, and checks stores from end to end.
//
// The file is a tar (or a gzip of one):
//
//	backup.json   what it is: format, version, data id, when
//	state.db      the state, as of one moment
//	journal/...   the journal's files, as of a later one, so that it reaches at least as far as the state's cursor
//	blobs/...     what records up to then name, and maybe more
//	secret.key    only where it was asked for
//	sums.json     size and SHA-256 of each of them; a file without it is incomplete
//
// The names are those in a data directory. The stores are known through the
// interfaces that are declared here.
package backup

import "weir"

// The names that a backup's own parts have in it.
const (
	headName = "backup.json"
	sumsName = "sums.json"
)

// Format is the form of the files that this program writes, and the newest that
// it reads.
const Format = 1

// Head says what a backup is.
type Head struct {
	Format  int       `json:"format"`
	Version string    `json:"version"` // of the weir that wrote it
	Data    string    `json:"data"`    // the data's id, in hex
	Made    weir.Time `json:"made"`
	Key     bool      `json:"key"` // it holds the key of the secrets
}

// Sum is what a part must be.
type Sum struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// sums is the last part.
type sums struct {
	Parts []Sum `json:"parts"`
}

// Standing says how far writing or reading is.
type Standing struct {
	Part  string
	Parts int   // done
	Bytes int64 // of parts, done
}
