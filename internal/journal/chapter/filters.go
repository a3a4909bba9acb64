package chapter

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"weir"
	"weir/internal/journal/disk"
	"weir/internal/journal/file"
	"weir/internal/journal/sealed"
)

// filterSuffix ends the names of filters.
const filterSuffix = ".filter"

// cover returns the filters of the window with the identities of a chapter's
// index, and the names of their files, of which the last may be new.
func (j *Journal) cover(f *file.Chapter, x *file.Index, p *file.Pacer) (filters []*sealed.Filter, names []string, err error) {
	since := weir.TimeOf(j.opts.Now().Add(-j.opts.Window))
	for i, old := range *j.filters.Load() {
		if old.Span().To >= since {
			filters, names = append(filters, old), append(names, j.manifest.Filters[i])
		}
	}
	_, to := x.Times()
	if x.Count() == 0 || to < since {
		return filters, names, nil
	}
	room := sealed.Room(filters, x.Count(), to, j.opts.Window)
	if n := len(filters); n > 0 && filters[n-1] == room {
		filters, names = filters[:n-1], names[:n-1]
	}
	filter, err := room.With(x.Index, f.First, p.Pause)
	if err != nil {
		return nil, nil, err
	}
	name := fmt.Sprintf("%08d%s", j.manifest.Serial+1, filterSuffix)
	d, err := disk.Write(j.fs, name, func(d disk.File) error { return filter.Write(disk.Steady(d), j.dataID, p.Pause) })
	if err == nil {
		err = d.Close()
	}
	return append(filters, filter), append(names, name), err
}

// openFilters opens the filters, and makes them anew where one is damaged.
func (j *Journal) openFilters(ctx context.Context, files []*file.Chapter) error {
	var filters []*sealed.Filter
	for _, name := range j.manifest.Filters {
		d, err := j.fs.Open(name)
		var filter *sealed.Filter
		if err == nil {
			filter, err = sealed.OpenFilter(name, d, j.dataID)
			err = errors.Join(err, d.Close())
		}
		if err != nil {
			j.log.Error("filters of the journal are made anew", "err", err)
			return j.coverAll(ctx, files)
		}
		filters = append(filters, filter)
	}
	j.filters.Store(&filters)
	return nil
}

func (j *Journal) coverAll(ctx context.Context, files []*file.Chapter) error {
	old := j.manifest.Filters
	j.manifest.Filters = nil
	for _, f := range files {
		x := f.Index()
		if x == nil {
			continue
		}
		filters, names, err := j.cover(f, x, &file.Pacer{Context: ctx, Hurry: true})
		if err != nil {
			return weir.E("open journal", weir.Unavailable, "make the filters anew: %w", err)
		}
		j.filters.Store(&filters)
		old = append(old, names...)
		j.manifest.Filters, j.manifest.Serial = names, j.manifest.Serial+1
	}
	if err := j.install(j.manifest); err != nil {
		return weir.E("open journal", weir.Unavailable, "write the manifest: %w", err)
	}
	j.discard(slices.DeleteFunc(old, func(name string) bool { return slices.Contains(j.manifest.Filters, name) })...)
	return nil
}
