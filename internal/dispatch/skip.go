package dispatch

import (
	"context"
	"fmt"
	"time"

	"weir"
	"weir/internal/lane"
)

// skipsAtOnce is how many skipped runs are ended by one append.
const skipsAtOnce = 100

// skip ends the runs that found no place in a pipeline that skips such. Who
// changed one meanwhile was first: the journal refuses its end, and the run is
// placed anew when that change is folded. What cannot be appended is tried
// again later.
func (d *Dispatcher) skip(ctx context.Context) error {
	d.skips = append(d.skips, d.lanes.Skipped()...)
	for len(d.skips) > 0 && !time.Now().Before(d.skipAgain) {
		n := min(len(d.skips), skipsAtOnce)
		batches, err := d.skipBatches(ctx, d.skips[:n])
		if err != nil {
			return err
		}
		if len(batches) > 0 {
			_, err = d.Journal.Append(ctx, batches...)
		}
		if err != nil && ctx.Err() == nil {
			d.Logger.Error("append the ends of skipped runs", "runs", len(d.skips), "err", err)
			d.skipAgain = time.Now().Add(retryFlush)
			return nil
		}
		d.skips = d.skips[n:]
	}
	return nil
}

// skipBatches makes the ends of runs, but for those that changed since: they are
// not fresh, and wait.
func (d *Dispatcher) skipBatches(ctx context.Context, skips []lane.Skip) ([]weir.Batch, error) {
	ids := make([]weir.RunID, len(skips))
	for i := range skips {
		ids[i] = skips[i].Run
	}
	if err := d.loadRuns(ctx, ids); err != nil {
		return nil, err
	}
	var fresh []*weir.Run
	var limits []lane.Skip
	for _, s := range skips {
		run, _ := d.fold.Run(s.Run)
		switch {
		case run == nil:
		case run.N > 0:
			d.place(s.Run, run)
		default:
			whole := *run
			fresh, limits = append(fresh, &whole), append(limits, s)
		}
	}
	if err := d.fillMembers(ctx, fresh); err != nil {
		return nil, err
	}
	batches := make([]weir.Batch, len(fresh))
	for i, run := range fresh {
		batches[i] = skipBatch(run, limits[i])
	}
	return batches, nil
}

func skipBatch(run *weir.Run, s lane.Skip) weir.Batch {
	whose := fmt.Sprintf("pipeline %s", run.Pipeline)
	if s.PerKey {
		whose = fmt.Sprintf("its key %s in pipeline %s", run.Lane.Key, run.Pipeline)
	}
	why := fmt.Sprintf("skipped: all %d places of %s are taken", s.Limit, whose)
	if s.Limit == 1 {
		why = fmt.Sprintf("skipped: the only place of %s is taken", whose)
	}
	return weir.Batch{Bound: true, Records: []*weir.Record{{Project: run.Project, Change: &weir.Change{
		Run:      run.ID,
		N:        1,
		Kind:     weir.Cancelled,
		Pipeline: run.Pipeline,
		Trigger:  run.Firing.Trigger,
		Error:    why,
		By:       "concurrency",
		Firing:   &run.Firing,
	}}}}
}
