package sqlite

import (
	"database/sql/driver"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/state"
)

var update = flag.Bool("update", false, "write the golden files")

// TestHotQueriesUseTheirIndex looks at SQLite's plans: none may scan a table or
// sort.
func TestHotQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	id := weir.RunID{1}
	pending := runsQuery(weir.RunPending, state.RunFilter{Project: 1, After: id})
	dead := runsQuery(weir.RunDead, state.RunFilter{Project: 1, After: id, Pipeline: "p", Trigger: "t", Execution: "x"})
	running := runsQuery(weir.RunRunning, state.RunFilter{Project: 1, After: id})
	lookRuns, _ := state.RunsWhere(weir.RunDead, state.RunFilter{Project: 1, After: id}).Nth("runs", 9)
	lookGroups, _ := state.GroupsWhere(state.GroupFilter{Project: 1, Trigger: "t", After: weir.GroupID(id)}).Nth("groups", 9)
	for _, c := range []struct{ name, text, plan string }{
		{"groups by ids", groupsByID[2], "SEARCH groups USING PRIMARY KEY (id=?)"},
		{"runs by ids", runsByID[2], "SEARCH runs USING PRIMARY KEY (id=?)"},
		{"chunks by groups", chunksByGroup[2], "SEARCH chunks USING PRIMARY KEY (grp=?)"},
		{"remove groups", removeGroups.texts[0], "SEARCH groups USING PRIMARY KEY (id=?)"},
		{"remove runs", removeRuns.texts[0], "SEARCH runs USING PRIMARY KEY (id=?)"},
		{"remove chunks", removeChunks.texts[0], "SEARCH chunks USING PRIMARY KEY (grp=?)"},
		{"pending runs", pending, "SEARCH runs USING INDEX runs_by_state (project=? AND state=? AND id<?); " +
			"CORRELATED SCALAR SUBQUERY; SEARCH leases USING PRIMARY KEY (run=?)"},
		{"dead runs", dead, "SEARCH runs USING INDEX runs_by_state (project=? AND state=? AND id<?)"},
		{"running runs", running, "SEARCH leases USING PRIMARY KEY (run<?); SEARCH runs USING PRIMARY KEY (id=?); USE TEMP B-TREE FOR ORDER BY"},
		{
			"groups of a project", groupsQuery(state.GroupFilter{Project: 1, After: weir.GroupID(id)}),
			"SEARCH groups USING INDEX groups_by_project (project=? AND id<?)",
		},
		{
			"groups of a trigger", groupsQuery(state.GroupFilter{Project: 1, Trigger: "t", After: weir.GroupID(id)}),
			"SEARCH groups USING INDEX groups_by_trigger (project=? AND trigger=? AND id<?)",
		},
		{"how far to look at runs", lookRuns, "SEARCH runs USING COVERING INDEX runs_by_state (project=? AND state=? AND id<?)"},
		{"how far to look at groups", lookGroups, "SEARCH groups USING COVERING INDEX groups_by_trigger (project=? AND trigger=? AND id<?)"},
		{"references to runs", selectRunRefs, "SCAN runs"},
		{"refusals", selectRefusals, "SEARCH refusals USING PRIMARY KEY (project=? AND n<?)"},
		{"last refusal", lastRefusal, "SEARCH refusals USING PRIMARY KEY (project=?)"},
		{"token", selectToken, "SEARCH tokens USING PRIMARY KEY (hash=?)"},
		{"definition", selectVersion, "SEARCH definitions USING PRIMARY KEY (project=? AND kind=? AND name=? AND revision=?)"},
	} {
		if plan := plan(t, s, c.text); plan != c.plan {
			t.Errorf("%s: %s\n got %s\nwant %s", c.name, c.text, plan, c.plan)
		}
	}
}

// plan returns the steps of a query's plan, with the numbers of subqueries cut.
func plan(t *testing.T, s *State, text string) string {
	t.Helper()
	var steps []string
	err := s.read(t.Context(), "explain", func(c *conn) error {
		args := make([]driver.Value, 600)
		return c.query(t.Context(), "EXPLAIN QUERY PLAN "+text, args, func(r row) error {
			steps = append(steps, strings.TrimRight(r.text(3), " 0123456789"))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "; ")
}

func groupsQuery(f state.GroupFilter) string {
	text, _ := dialect.GroupsPage(state.GroupsWhere(f), f)
	return text
}

func runsQuery(st weir.RunState, f state.RunFilter) string {
	text, _ := dialect.RunsPage(state.RunsWhere(st, f), st, f)
	return text
}

// TestSchemaIsTheGoldenOne shows what all migrations together make, for review.
func TestSchemaIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	var all []string
	err := s.read(t.Context(), "read schema", func(c *conn) error {
		const text = `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY tbl_name, type DESC, name`
		return c.query(t.Context(), text, nil, func(r row) error {
			all = append(all, r.text(0)+";\n")
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	got, golden := strings.Join(all, "\n"), filepath.Join("testdata", "schema.sql")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the schema is not the golden one; look at it, then run with -update (-want +got):\n%s", diff)
	}
}

func openTest(t *testing.T) *State {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "state.db"))
}

func openAt(t *testing.T, path string) *State {
	t.Helper()
	s, err := Open(t.Context(), Options{Path: path, DataID: [16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
