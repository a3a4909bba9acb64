package whole

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"weir/client"
	"weir/examples/github"
	"weir/internal/demo"
)

func TestDemoReportsIdsThatTheAPIKnows(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	looked := false
	err := demo.Run(t.Context(), demo.Options{
		Once: true, JSON: true, Out: &out,
		Looked: func(ctx context.Context, r *demo.Report, c *client.Client) error {
			looked = true
			return lookUp(ctx, r, c)
		},
	})
	if err != nil || !looked {
		t.Fatalf("looked: %v, %v", looked, err)
	}

	var r demo.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("the report is no JSON document: %v\n%s", err, &out)
	}
	if r.Delivered != 42 || r.Firings["busy"] != 1 || len(r.Fired.Events) != 5 || r.Events["weir.run.dead"] != 2 {
		t.Errorf("got %+v", r)
	}
}

// lookUp reads each id of the report back.
func lookUp(ctx context.Context, r *demo.Report, c *client.Client) error {
	for name, found := range map[string]demo.Found{"fired": r.Fired, "expired": r.Expired, "retried": r.Retried, "redriven": r.Redriven} {
		run, err := c.Run(ctx, found.Run)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if run.State != "succeeded" || len(run.Attempts) != len(found.Tries) {
			return fmt.Errorf("%s: run %s is %s after %d attempts", name, run.ID, run.State, len(run.Attempts))
		}
		for _, uid := range found.Events {
			if e, err := c.Event(ctx, uid); err != nil || e.UID != uid {
				return fmt.Errorf("%s: event %s: %w", name, uid, err)
			}
		}
		if found.Group == "" {
			continue
		}
		g, err := c.Group(ctx, found.Group)
		if err != nil || g.Run != found.Run || g.State != name || len(g.Events) != len(found.Events) {
			return fmt.Errorf("%s: group %+v, %w", name, g, err)
		}
	}
	return nil
}

func TestDemoFollowsItsProjectFile(t *testing.T) {
	t.Parallel()
	text, err := github.Files.ReadFile("weir.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const threshold = "type: github.issues, count: 5"
	if !strings.Contains(string(text), threshold) {
		t.Fatalf("the example no longer says %q", threshold)
	}
	for count, check := range map[int]func(*demo.Report, error) string{
		4: func(r *demo.Report, err error) string {
			if err != nil || r.Firings["busy"] != 2 || len(r.Fired.Events) != 4 {
				return fmt.Sprintf("want two groups of four, got %+v, %v", r, err)
			}
			return ""
		},
		100: func(_ *demo.Report, err error) string {
			if err == nil || !strings.Contains(err.Error(), "a group that fired on count") {
				return fmt.Sprintf("want an error that says what was not seen, got %v", err)
			}
			return ""
		},
	} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			t.Parallel()
			var seen *demo.Report
			err := demo.Run(t.Context(), demo.Options{
				Once: true, JSON: true, Out: &bytes.Buffer{},
				ProjectFile: bytes.Replace(text, []byte(threshold), fmt.Appendf(nil, "type: github.issues, count: %d", count), 1),
				Looked:      func(_ context.Context, r *demo.Report, _ *client.Client) error { seen = r; return nil },
			})
			if wrong := check(seen, err); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}
