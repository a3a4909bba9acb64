package demo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"weir/client"
)

// Report is what the demo saw, read back through the API.
type Report struct {
	URL       string         `json:"url"`
	Delivered int            `json:"delivered"`
	Events    map[string]int `json:"events"`   // by type
	Firings   map[string]int `json:"firings"`  // runs by trigger
	Fired     Found          `json:"fired"`    // a group that fired on count
	Expired   Found          `json:"expired"`  // a group that expired
	Retried   Found          `json:"retried"`  // a run that failed twice and then succeeded
	Redriven  Found          `json:"redriven"` // a run that went dead and succeeded when redriven
}

// Found is a run of the report, with its group where it has one.
type Found struct {
	Run    string   `json:"run"`
	Group  string   `json:"group,omitempty"`
	Key    string   `json:"key,omitempty"`
	Events []string `json:"events"`
	Tries  []string `json:"tries"` // outcomes, oldest first
}

// observe reads everything back.
func (d *demo) observe(ctx context.Context) (*Report, error) {
	r := &Report{URL: d.client.URL, Events: map[string]int{}, Firings: map[string]int{}}
	events, err := all(func(p client.Paging) (client.Page[client.Event], error) {
		return d.client.Events(ctx, client.EventFilter{}, p)
	})
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		r.Events[e.Type]++
		if strings.HasPrefix(e.Type, "github.") {
			r.Delivered++
		}
	}
	runs, err := d.runs(ctx, client.RunFilter{})
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		r.Firings[run.Trigger]++
	}
	slices.Reverse(runs) // oldest last change first
	for _, want := range []struct {
		what string
		into *Found
		is   func(client.Run) bool
	}{
		{"a group that fired on count", &r.Fired, func(run client.Run) bool {
			return run.Reason == "fired" && run.State == "succeeded" && run.Count > 1
		}},
		{"a group that expired", &r.Expired, func(run client.Run) bool {
			return run.Reason == "expired" && run.State == "succeeded"
		}},
		{"a run that failed twice and then succeeded", &r.Retried, func(run client.Run) bool {
			return strings.Join(outcomes(run), " ") == "retrying retrying succeeded"
		}},
		{"a run that went dead and succeeded when redriven", &r.Redriven, func(run client.Run) bool {
			return strings.HasSuffix(strings.Join(outcomes(run), " "), "died redriven succeeded")
		}},
	} {
		if err := d.find(ctx, runs, want.is, want.into); err != nil {
			return r, fmt.Errorf("%s: %w", want.what, err)
		}
	}
	return r, nil
}

// find looks for the first run that is what is wanted, shown alone.
func (d *demo) find(ctx context.Context, runs []client.Run, is func(client.Run) bool, into *Found) error {
	for _, listed := range runs {
		run, err := d.client.Run(ctx, listed.ID)
		if err != nil {
			return err
		}
		if is(run) {
			*into = Found{Run: run.ID, Group: run.Group, Key: string(run.Key), Events: run.Events, Tries: outcomes(run)}
			return nil
		}
	}
	return fmt.Errorf("there is none among %d runs", len(runs))
}

func outcomes(run client.Run) []string {
	var list []string
	for _, a := range run.Attempts {
		list = append(list, a.Outcome)
	}
	return list
}

func (d *demo) runs(ctx context.Context, f client.RunFilter) ([]client.Run, error) {
	return all(func(p client.Paging) (client.Page[client.Run], error) { return d.client.Runs(ctx, f, p) })
}

// all reads a list to its end.
func all[T any](page func(client.Paging) (client.Page[T], error)) ([]T, error) {
	var list []T
	for p := (client.Paging{Limit: 1000}); ; {
		part, err := page(p)
		if err != nil {
			return nil, err
		}
		list = append(list, part.Items...)
		if part.Next == "" {
			return list, nil
		}
		p.After = part.Next
	}
}

// write prints the report for people.
func (r *Report) write(w io.Writer) {
	fmt.Fprintf(w, "\n%d webhooks became events:\n", r.Delivered)
	writeCounts(w, r.Events)
	fmt.Fprintf(w, "\nWhat triggers made of them, in runs:\n")
	writeCounts(w, r.Firings)
	fmt.Fprintf(w, "\nA group fired on its count:   %s of %d events, %s\n", r.Fired.Key, len(r.Fired.Events), r.Fired.Run)
	fmt.Fprintf(w, "A group expired:              %s after %d events, %s\n", r.Expired.Key, len(r.Expired.Events), r.Expired.Run)
	fmt.Fprintf(w, "Failed twice, then succeeded: %s (%s)\n", r.Retried.Run, strings.Join(r.Retried.Tries, ", "))
	fmt.Fprintf(w, "Went dead, was redriven:      %s (%s)\n", r.Redriven.Run, strings.Join(r.Redriven.Tries, ", "))
	fmt.Fprintf(w, `
Look further:
  weir events --type 'github.issues'
  weir events show %s
  weir groups show %s
  weir runs
  weir runs show %s
`, r.Fired.Events[0], r.Fired.Group, r.Redriven.Run)
}

func writeCounts(w io.Writer, counts map[string]int) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "  %5d  %s\n", counts[name], name)
	}
}
