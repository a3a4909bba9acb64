package postgres

import (
	"context"
	"math"
	"slices"

	"weir"
	"weir/internal/state"
)

const (
	refusalColumns      = `project, n, at_us, door, code, reason, field, source, id, type`
	refusalCountColumns = `project, code, door, n`

	// Refusals are numbered by one at a time.
	lockRefusals = `SELECT pg_advisory_xact_lock(1465149778, 4)`
	putRefusals  = `INSERT INTO refusals (` + refusalColumns + `)
SELECT project, coalesce((SELECT max(n) FROM refusals WHERE project = f.project), 0) + row_number() OVER (PARTITION BY project ORDER BY nth),
  at_us, door, code, reason, field, source, id, type
FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
  WITH ORDINALITY AS f (project, at_us, door, code, reason, field, source, id, type, nth)`
	addRefusals = `INSERT INTO refusal_counts (` + refusalCountColumns + `)
SELECT project, code, door, count(*) FROM unnest($1::int[], $2::text[], $3::text[]) AS f (project, code, door) GROUP BY 1, 2, 3
ON CONFLICT (project, code, door) DO UPDATE SET n = refusal_counts.n + excluded.n`
	trimRefusals = `DELETE FROM refusals WHERE project = $1 AND n <= (SELECT max(n) FROM refusals WHERE project = $1) - $2::bigint`

	selectRefusals     = `SELECT ` + refusalColumns + ` FROM refusals WHERE project = $1 AND n < $2 ORDER BY n DESC LIMIT $3`
	selectRefusalCount = `SELECT ` + refusalCountColumns + ` FROM refusal_counts WHERE project = $1 ORDER BY code, door`
)

// AddRefusals numbers and stores refusals, counts them, and drops what is older
// than the newest state.RefusalsKept of each project. N of those given does not
// matter.
func (s *State) AddRefusals(ctx context.Context, refusals []weir.Refusal) error {
	if len(refusals) == 0 {
		return nil
	}
	text := func(of func(*weir.Refusal) string) []string {
		return column(refusals, func(f *weir.Refusal) string { return plain(of(f)) })
	}
	projects := column(refusals, func(f *weir.Refusal) int32 { return int32(f.Project) })
	doors := text(func(f *weir.Refusal) string { return f.Door })
	codes := text(func(f *weir.Refusal) string { return string(f.Code) })
	statements := []statement{
		{lockRefusals, nil},
		{putRefusals, []any{
			projects, column(refusals, func(f *weir.Refusal) int64 { return int64(f.At) }), doors, codes,
			text(func(f *weir.Refusal) string { return f.Reason }), text(func(f *weir.Refusal) string { return f.Field }),
			text(func(f *weir.Refusal) string { return f.Source }), text(func(f *weir.Refusal) string { return f.ID }),
			text(func(f *weir.Refusal) string { return f.Type }),
		}},
		{addRefusals, []any{projects, codes, doors}},
	}
	projects = slices.Clone(projects) // what is sent stays in its order
	slices.Sort(projects)
	for _, project := range slices.Compact(projects) {
		statements = append(statements, statement{trimRefusals, []any{project, int64(state.RefusalsKept)}})
	}
	return s.together(ctx, "add refusals", statements...)
}

// ListRefusals returns a project's refusals with numbers below before, or the
// newest where it is 0, newest first; limit 0 is state.DefaultLimit.
func (s *State) ListRefusals(ctx context.Context, project weir.ProjectID, before int64, limit int) (all []weir.Refusal, err error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	if limit <= 0 {
		limit = state.DefaultLimit
	}
	err = s.query(ctx, "list refusals", selectRefusals, []any{int32(project), before, int64(limit)}, func(r row) error {
		all = append(all, weir.Refusal{
			Project: weir.ProjectID(r.int(0)), N: r.int(1), At: r.time(2), Door: r.text(3), Code: weir.Code(r.text(4)),
			Reason: r.text(5), Field: r.text(6), Source: r.text(7), ID: r.text(8), Type: r.text(9),
		})
		return nil
	})
	return all, err
}

// RefusalCounts returns how many refusals a project had, by code and door.
func (s *State) RefusalCounts(ctx context.Context, project weir.ProjectID) (all []state.RefusalCount, err error) {
	err = s.query(ctx, "count refusals", selectRefusalCount, []any{int32(project)}, func(r row) error {
		all = append(all, state.RefusalCount{Code: weir.Code(r.text(1)), Door: r.text(2), N: r.int(3)})
		return nil
	})
	return all, err
}

const (
	// The newest stays, because the next one is numbered after it.
	dropRefusals = `DELETE FROM refusals WHERE project = $1 AND at_us < $2
  AND n < (SELECT max(n) FROM refusals WHERE project = $1)`
	dropCounters = `DELETE FROM counters WHERE project = $1 AND NOT EXISTS (
  SELECT 1 FROM definitions AS d WHERE d.project = $1 AND d.kind = 'trigger' AND d.name = counters.trigger)`
)

// DropOld forgets the refusals of a project that are older than before, and the
// counters of triggers of which no version is kept.
func (s *State) DropOld(ctx context.Context, project weir.ProjectID, before weir.Time) error {
	return s.together(ctx, "drop what is old",
		statement{dropRefusals, []any{int32(project), int64(before)}}, statement{dropCounters, []any{int32(project)}})
}
