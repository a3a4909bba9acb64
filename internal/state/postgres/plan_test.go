package postgres

import (
	"encoding/binary"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"weir"
	"weir/internal/fold"
	"weir/internal/state"
)

var scansLarge = regexp.MustCompile(`Seq Scan on (runs|groups|chunks|refusals|tokens|definitions) `)

// TestHotStatementsUseTheirIndex looks at PostgreSQL's plans over 100,000 rows,
// those made for the arguments and the generic ones: none may scan a large table.
func TestHotStatementsUseTheirIndex(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	fillPlan(t, s)
	project, ids := int64(weir.DefaultProject), bytesOf([]weir.RunID{planID(0), planID(500), planID(70_000)})
	after := weir.RunID(planID(50_000))
	page := func(st weir.RunState, f state.RunFilter) statement {
		f.Project, f.After, f.Limit = weir.DefaultProject, after, 100
		text, args := dialect.RunsPage(state.RunsWhere(st, f), st, f)
		return statement{text, args}
	}
	groupPage := func(f state.GroupFilter) statement {
		f.Project, f.After, f.Limit = weir.DefaultProject, weir.GroupID(after), 100
		text, args := dialect.GroupsPage(state.GroupsWhere(f), f)
		return statement{text, args}
	}
	nth := func(w *state.Where, table string) statement {
		text, args := w.Nth(table, 1000)
		return statement{text, args}
	}
	layer := s.Tenure(1).flushArgs(&fold.Layer{
		Runs: []weir.Run{benchRun(1)}, RunsGone: []weir.RunID{benchRun(2).ID}, Groups: []weir.Group{benchGroup(1)},
		GroupsGone: []weir.GroupID{benchGroup(2).ID}, ChunksGone: []weir.GroupID{benchGroup(2).ID},
	})
	for name, c := range map[string]struct {
		statement
		index string
	}{
		"groups by ids":             {statement{groupsByID, []any{int16(0), ids}}, "groups_pkey"},
		"runs by ids":               {statement{runsByID, []any{int16(0), ids}}, "runs_pkey"},
		"chunks by groups":          {statement{chunksByGroup, []any{int16(0), ids}}, "chunks_pkey"},
		"flush":                     {statement{flush, layer}, "runs_pkey"},
		"pending runs":              {page(weir.RunPending, state.RunFilter{}), "runs_by_state"},
		"waiting runs":              {page(weir.RunWaiting, state.RunFilter{}), "runs_by_state"},
		"dead runs":                 {page(weir.RunDead, state.RunFilter{Pipeline: "p", Trigger: "t", Execution: "x"}), "runs_by_state"},
		"running runs":              {page(weir.RunRunning, state.RunFilter{}), "runs_pkey"},
		"groups of a project":       {groupPage(state.GroupFilter{}), "groups_by_project"},
		"groups of a trigger":       {groupPage(state.GroupFilter{Trigger: "t7"}), "groups_by_trigger"},
		"how far to look at runs":   {nth(state.RunsWhere(weir.RunDead, state.RunFilter{Project: 1, After: after}), "runs"), "runs_by_state"},
		"how far to look at groups": {nth(state.GroupsWhere(state.GroupFilter{Project: 1, Trigger: "t7"}), "groups"), "groups_by_trigger"},
		"refusals":                  {statement{selectRefusals, []any{project, int64(5000), int64(100)}}, "refusals_pkey"},
		"new refusals":              {statement{trimRefusals, []any{project, int64(10_000)}}, "refusals_pkey"},
		"token":                     {statement{selectToken, []any{ids[0]}}, "tokens_pkey"},
		"definition":                {statement{selectVersion, []any{project, "trigger", "n7", int64(7)}}, "definitions_pkey"},
	} {
		for _, generic := range []bool{false, true} {
			plan := explain(t, s, c.statement, generic)
			if !strings.Contains(plan, c.index) || scansLarge.MatchString(plan) {
				t.Errorf("%s (generic: %v) does not use %s alone:\n%s", name, generic, c.index, plan)
			}
		}
	}
}

// explain returns how a statement is executed with its arguments, or with any.
func explain(t *testing.T, s *State, x statement, generic bool) string {
	t.Helper()
	var lines []string
	err := s.snapshot(t.Context(), "explain", func(q *reading) error {
		text, args := "EXPLAIN "+x.text, x.args
		if generic {
			if _, err := q.tx.Exec(t.Context(), "SET LOCAL plan_cache_mode = force_generic_plan"); err != nil {
				return err
			}
			if _, err := q.tx.Exec(t.Context(), "PREPARE explained AS "+x.text, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
			defer func() { _, _ = q.tx.Exec(t.Context(), "DEALLOCATE explained") }()
			text, args = "EXPLAIN EXECUTE explained ("+strings.TrimSuffix(strings.Repeat("NULL, ", len(x.args)), ", ")+")", nil
		}
		return q.each(t.Context(), text, args, func(r row) error {
			lines = append(lines, r.text(0))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n") + "\n"
}

// fillPlan writes 100,000 rows into each large table.
func fillPlan(t *testing.T, s *State) {
	t.Helper()
	const n, id = ` FROM generate_series(1, 100000) AS n`, `decode(lpad(to_hex(n), 32, '0'), 'hex')`
	for _, text := range [...]string{
		`INSERT INTO runs (shard, ` + runColumns + `) SELECT 0, ` + id + `, 1, 1 + n % 3 * 2, 'p', '', 'o', 0, 0, 0, false, 't', 'x', ''` + n,
		`INSERT INTO groups (shard, ` + groupColumns + `) SELECT 0, ` + id + `, 1, 't' || n % 20, ` + id + `, 0, ''` + n,
		`INSERT INTO chunks (shard, ` + chunkColumns + `) SELECT 0, ` + id + `, 0, ''` + n,
		`INSERT INTO leases SELECT 0, ` + id + `, 'n', 1, 0, true, 0` + n + ` WHERE n % 500 = 0`,
		`INSERT INTO refusals (` + refusalColumns + `) SELECT 1 + n % 5, n, 0, '', '', '', '', '', '', ''` + n,
		`INSERT INTO tokens (` + tokenColumns + `) SELECT sha256(n::text::bytea), n::text, '', 'r', 1, 0, 0` + n,
		`INSERT INTO definitions (` + definitionColumns + `) SELECT 1, 'trigger', 'n' || n % 100, n, '', ''` + n,
		`ANALYZE`,
	} {
		if _, err := s.exec(t.Context(), "fill", text); err != nil {
			t.Fatal(err)
		}
	}
}

func planID(n int) (id [16]byte) {
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}
