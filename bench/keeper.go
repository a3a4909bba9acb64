package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"weir"
	"weir/internal/journal/chapter"
	journaldb "weir/internal/journal/postgres"
	"weir/internal/pg"
	"weir/internal/pg/pgtest"
)

// keeper is an engine of the journal, as far as it is measured here.
type keeper interface {
	Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error)
	// Quiet reports whether nothing is being done beside appends.
	Quiet() bool
	Close() error
}

// embedded removes its directory when it is closed.
type embedded struct {
	*chapter.Journal
	dir string
}

func openEmbedded(ctx context.Context) (keeper, error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return nil, err
	}
	j, err := chapter.Open(ctx, chapter.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return embedded{j, dir}, nil
}

func (e embedded) Quiet() bool {
	s := e.Stats()
	return s.Sealed == s.Chapters-1
}

func (e embedded) Close() error { return errors.Join(e.Journal.Close(), os.RemoveAll(e.dir)) }

// database is a PostgreSQL of its own, which does not sync.
type database struct {
	*journaldb.Journal
	db     *pg.DB
	server *pgtest.Server
}

func openDatabase(ctx context.Context) (_ keeper, err error) {
	d := database{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.server, err = pgtest.Start(); err != nil {
		return nil, err
	}
	if d.db, err = pg.Open(ctx, pg.Options{URL: d.server.URL}); err != nil {
		return nil, err
	}
	d.Journal, err = journaldb.Open(ctx, journaldb.Options{DB: d.db})
	return d, err
}

func (d database) Quiet() bool { return true }

func (d database) Close() (err error) {
	if d.Journal != nil {
		err = d.Journal.Close()
	}
	if d.db != nil {
		d.db.Close()
	}
	if d.server != nil {
		err = errors.Join(err, d.server.Stop())
	}
	return err
}
