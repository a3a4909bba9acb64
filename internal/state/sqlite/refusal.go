package sqlite

import (
	"context"
	"database/sql/driver"
	"math"

	"weir"
	"weir/internal/state"
)

const (
	refusalColumns      = `project, n, at_us, door, code, reason, field, source, id, type`
	refusalCountColumns = `project, code, door, n`

	lastRefusal        = `SELECT n FROM refusals WHERE project = $1 ORDER BY n DESC LIMIT 1`
	trimRefusals       = `DELETE FROM refusals WHERE project = $1 AND n <= $2`
	selectRefusals     = `SELECT ` + refusalColumns + ` FROM refusals WHERE project = $1 AND n < $2 ORDER BY n DESC LIMIT $3`
	selectRefusalCount = `SELECT ` + refusalCountColumns + ` FROM refusal_counts WHERE project = $1 ORDER BY code, door`
)

var (
	putRefusals = puts("refusals", refusalColumns, "")
	addRefusals = puts("refusal_counts", refusalCountColumns,
		`ON CONFLICT (project, code, door) DO UPDATE SET n = refusal_counts.n + excluded.n`)
)

// AddRefusals numbers and stores refusals, counts them, and drops what is older
// than the newest state.RefusalsKept of each project. N of those given does not
// matter. A power cut may lose the last ones.
func (s *State) AddRefusals(ctx context.Context, refusals []weir.Refusal) error {
	if len(refusals) == 0 {
		return nil
	}
	return s.write(ctx, normal, "add refusals", func(c *conn) error {
		last, err := number(ctx, c, refusals)
		if err != nil {
			return err
		}
		err = addRefusals.run(ctx, c, len(refusals), func(args []driver.Value, i int) []driver.Value {
			f := &refusals[i]
			return append(args, int64(f.Project), string(f.Code), f.Door, int64(1))
		})
		if err != nil {
			return err
		}
		for project, n := range last {
			if _, err := c.exec(ctx, trimRefusals, int64(project), n-state.RefusalsKept); err != nil {
				return err
			}
		}
		return nil
	})
}

// number stores the refusals under their numbers and returns the last of each
// project.
func number(ctx context.Context, c *conn, refusals []weir.Refusal) (map[weir.ProjectID]int64, error) {
	last := map[weir.ProjectID]int64{}
	for i := range refusals {
		project := refusals[i].Project
		if _, ok := last[project]; ok {
			continue
		}
		n, err := count(ctx, c, lastRefusal, int64(project))
		if err != nil {
			return nil, err
		}
		last[project] = n
	}
	err := putRefusals.run(ctx, c, len(refusals), func(args []driver.Value, i int) []driver.Value {
		f := &refusals[i]
		last[f.Project]++
		return append(args, int64(f.Project), last[f.Project], int64(f.At), f.Door, string(f.Code), f.Reason, f.Field,
			f.Source, f.ID, f.Type)
	})
	return last, err
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
	args := []driver.Value{int64(project), before, int64(limit)}
	err = s.read(ctx, "list refusals", func(c *conn) error {
		return c.query(ctx, selectRefusals, args, func(r row) error {
			all = append(all, weir.Refusal{
				Project: weir.ProjectID(r.int(0)), N: r.int(1), At: r.time(2), Door: r.text(3), Code: weir.Code(r.text(4)),
				Reason: r.text(5), Field: r.text(6), Source: r.text(7), ID: r.text(8), Type: r.text(9),
			})
			return nil
		})
	})
	return all, err
}

// RefusalCounts returns how many refusals a project had, by code and door.
func (s *State) RefusalCounts(ctx context.Context, project weir.ProjectID) (all []state.RefusalCount, err error) {
	err = s.read(ctx, "count refusals", func(c *conn) error {
		return c.query(ctx, selectRefusalCount, []driver.Value{int64(project)}, func(r row) error {
			all = append(all, state.RefusalCount{Code: weir.Code(r.text(1)), Door: r.text(2), N: r.int(3)})
			return nil
		})
	})
	return all, err
}
