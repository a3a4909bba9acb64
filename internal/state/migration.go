package state

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"regexp"
	"strconv"

	"weir"
)

// Migration is one step of a schema: a file NNNN_name.sql, applied once, in
// order, in a transaction of its own. The same number means the same on every
// engine.
type Migration struct {
	Number int    // from 1 without gaps
	Name   string // of the file
	Text   string
	Sum    string // hex of the text's SHA-256
}

// Applied is a migration as the database remembers it.
type Applied struct {
	Number  int
	Name    string
	Sum     string
	Version string // of the weir that applied it
	At      weir.Time
}

var migrationName = regexp.MustCompile(`^([0-9]{4})_[a-z0-9_]+\.sql$`)

// ReadMigrations reads the migrations in the root of fsys, in order.
func ReadMigrations(fsys fs.FS) ([]Migration, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, weir.E("read migrations", weir.Internal, "%w", err)
	}
	var all []Migration
	for _, e := range entries {
		match := migrationName.FindStringSubmatch(e.Name())
		if match == nil {
			return nil, weir.E("read migrations", weir.Internal, "%s is not named NNNN_name.sql", e.Name())
		}
		n, err := strconv.Atoi(match[1])
		if err != nil || n != len(all)+1 {
			return nil, weir.E("read migrations", weir.Internal, "%s stands where number %d belongs", e.Name(), len(all)+1)
		}
		text, err := fs.ReadFile(fsys, e.Name())
		if err != nil {
			return nil, weir.E("read migrations", weir.Internal, "%w", err)
		}
		sum := sha256.Sum256(text)
		all = append(all, Migration{Number: n, Name: e.Name(), Text: string(text), Sum: hex.EncodeToString(sum[:])})
	}
	return all, nil
}

// Pending returns the migrations that a database with the given ones still
// needs. It refuses a database that a newer weir wrote, and one whose
// migrations are not those of this weir.
func Pending(all []Migration, applied []Applied) ([]Migration, error) {
	if n := len(applied); n > len(all) {
		last := applied[n-1]
		return nil, weir.E("open state", weir.Conflict,
			"its schema %d (%s) was made by weir %s, and this weir knows schemas up to %d: run weir %[3]s or newer",
			last.Number, last.Name, last.Version, len(all))
	}
	for i, a := range applied {
		if a.Number != all[i].Number || a.Sum != all[i].Sum {
			return nil, weir.E("open state", weir.Conflict,
				"its schema %d (%s) was made by weir %s from another text than this weir has: run that weir",
				a.Number, a.Name, a.Version)
		}
	}
	return all[len(applied):], nil
}
