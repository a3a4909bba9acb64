package chapter

import (
	"context"
	"errors"
	"slices"

	"weir/internal/journal/file"
	"weir/internal/journal/manifest"
)

// rewrite puts in the place of neighbouring sealed chapters one with the records
// that stay, or none. It is written beside the old ones and comes in force by the
// manifest. The caller has shape.
func (j *Journal) rewrite(ctx context.Context, from []*file.Chapter, r removal) (done file.Rewritten, err error) {
	err = j.fromReserve(func() error {
		done, err = j.dir().Rewrite(from, randomID(), r.goes, &file.Pacer{Context: ctx})
		return err
	})
	if err != nil {
		return done, err
	}
	m := j.manifest
	first := slices.IndexFunc(m.Chapters, func(c manifest.Chapter) bool { return c.File == from[0].Name })
	var entries []manifest.Chapter
	if f := done.Chapter; f != nil {
		entries = append(entries, entryOf(f, f.Index().Count()))
	}
	m.Chapters = slices.Replace(slices.Clone(m.Chapters), first, first+len(from), entries...)
	if r.floor && done.Records > 0 {
		m.Floor = max(m.Floor, done.Last+1)
	}
	if err := j.fromReserve(func() error { return j.install(m) }); err != nil {
		if f := done.Chapter; f != nil {
			j.discard(f.Name, f.IndexName())
			err = errors.Join(err, f.Close())
		}
		return done, err
	}
	j.swap(from, done)
	j.reserve()
	return done, nil
}

// swap shows readers what came of chapters, and removes these.
func (j *Journal) swap(from []*file.Chapter, done file.Rewritten) {
	j.renew(func(files []*file.Chapter) []*file.Chapter {
		first := slices.Index(files, from[0])
		var to []*file.Chapter
		if done.Chapter != nil {
			to = append(to, done.Chapter)
		}
		j.floor = j.manifest.Floor
		j.tail.Drop(done.Last)
		return slices.Replace(slices.Clone(files), first, first+len(from), to...)
	})
	for _, f := range from {
		j.discard(f.Name, f.IndexName())
	}
}

// mergeNext makes one of neighbouring small chapters, if there are enough.
func (j *Journal) mergeNext(ctx context.Context) (more bool, err error) {
	if err := lock(ctx, j.shape); err != nil {
		return false, err
	}
	defer func() { <-j.shape }()
	e := j.use()
	defer j.done(e)
	files := file.Mergeable(e.full(), j.opts.MaxRecords, j.opts.MaxBytes)
	if len(files) == 0 {
		return false, nil
	}
	if _, err := j.rewrite(ctx, files, removal{}); err != nil {
		return false, err
	}
	j.log.Info("chapters merged", "first", files[0].Name, "last", files[len(files)-1].Name)
	return true, nil
}
