package postgres

import (
	"context"

	"weir"
	"weir/internal/fold"
	"weir/internal/state"
)

const (
	selectCursor   = `SELECT cursor, at_us FROM cursors WHERE shard = $1`
	selectVersions = `SELECT ` + definitionColumns + ` FROM definitions ORDER BY revision, project, kind, name`
	selectLeases   = `SELECT ` + leaseColumns + `, until_us <= ` + clock + ` FROM leases WHERE shard = $1 ORDER BY run`
	selectBreakers = `SELECT ` + breakerColumns + ` FROM breakers WHERE shard = $1 ORDER BY project, origin`

	countGroups     = `SELECT count(*) FROM groups WHERE shard = $1`
	selectGroupRefs = `SELECT id, key_hash, due_us, project, trigger FROM groups WHERE shard = $1`
	countRuns       = `SELECT count(*) FROM runs WHERE shard = $1`
	selectRunRefs   = `SELECT id, project, state, pipeline, lane_key, origin, due_us, queued_us, queued_seq, holds FROM runs WHERE shard = $1`
)

// Load reads what the fold goes on from, as one snapshot. Versions are all that
// were ever installed, since a group or run may name an old one. Lanes
// that repeat in Runs are held once.
func (s *State) Load(ctx context.Context) (*fold.Checkpoint, error) {
	var p *fold.Checkpoint
	err := s.snapshot(ctx, "load state", func(q *reading) error {
		p = &fold.Checkpoint{}
		for _, part := range [...]func(context.Context, *reading, *fold.Checkpoint) error{
			loadCursor, loadDefinitions, loadGroups, loadRuns, loadLeases, loadBreakers,
		} {
			if err := part(ctx, q, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func loadCursor(ctx context.Context, q *reading, p *fold.Checkpoint) (err error) {
	p.Cursor, p.At, err = q.Cursor(ctx)
	return err
}

// Cursor reads up to where the records are folded, and the time of the last.
func (q *reading) Cursor(ctx context.Context) (at weir.Seq, when weir.Time, err error) {
	err = q.each(ctx, selectCursor, []any{int16(q.shard)}, func(r row) error {
		at, when = weir.Seq(r.int(0)), r.time(1)
		return nil
	})
	return at, when, err
}

func loadDefinitions(ctx context.Context, q *reading, p *fold.Checkpoint) error {
	err := q.each(ctx, selectProjects, nil, func(r row) error {
		p.Projects = append(p.Projects, scanProject(r))
		return nil
	})
	if err != nil {
		return err
	}
	return q.each(ctx, selectVersions, nil, func(r row) error {
		p.Versions = append(p.Versions, fold.Installed{Project: weir.ProjectID(r.int(0)), Definition: scanDefinition(r)})
		return nil
	})
}

func loadGroups(ctx context.Context, q *reading, p *fold.Checkpoint) error {
	n, err := q.count(ctx, countGroups, int16(q.shard))
	if err != nil {
		return err
	}
	p.Groups = make([]fold.GroupRef, 0, n)
	texts := interned{}
	return q.each(ctx, selectGroupRefs, []any{int16(q.shard)}, func(r row) error {
		id, err := r.id(0)
		if err != nil {
			return err
		}
		hash, err := r.id(1)
		p.Groups = append(p.Groups, fold.GroupRef{
			ID: id, KeyHash: hash, Due: r.time(2), Project: weir.ProjectID(r.int(3)), Trigger: texts.of(r[4]),
		})
		return err
	})
}

func loadRuns(ctx context.Context, q *reading, p *fold.Checkpoint) error {
	n, err := q.count(ctx, countRuns, int16(q.shard))
	if err != nil {
		return err
	}
	p.Runs = make([]fold.RunRef, 0, n)
	lanes, texts := map[weir.Lane]*weir.Lane{}, interned{}
	return q.each(ctx, selectRunRefs, []any{int16(q.shard)}, func(r row) error {
		id, err := r.id(0)
		lane := weir.Lane{Project: weir.ProjectID(r.int(1)), Pipeline: texts.of(r[3]), Key: texts.of(r[4]), Origin: texts.of(r[5])}
		shared := lanes[lane]
		if shared == nil {
			own := lane
			shared = &own
			lanes[lane] = shared
		}
		p.Runs = append(p.Runs, fold.RunRef{
			ID: id, State: weir.RunState(r.int(2)), Due: r.time(6), Queued: r.turn(7), Holds: r.bool(9), Lane: shared,
		})
		return err
	})
}

func loadLeases(ctx context.Context, q *reading, p *fold.Checkpoint) error {
	return q.each(ctx, selectLeases, []any{int16(q.shard)}, func(r row) error {
		l, err := scanLease(r)
		p.Leases = append(p.Leases, l)
		return err
	})
}

func loadBreakers(ctx context.Context, q *reading, p *fold.Checkpoint) error {
	return q.each(ctx, selectBreakers, []any{int16(q.shard)}, func(r row) error {
		p.Breakers = append(p.Breakers, fold.BreakerRow{
			Project: weir.ProjectID(r.int(0)), Origin: r.text(1), Failures: int(r.int(2)), Until: r.time(3),
		})
		return nil
	})
}

func (q *reading) count(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = q.each(ctx, text, args, func(r row) error {
		n = r.int(0)
		return nil
	})
	return n, err
}

// interned holds each text once.
type interned map[string]string

func (t interned) of(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if known, ok := t[string(b)]; ok {
		return known
	}
	s := string(b)
	t[s] = s
	return s
}

const (
	walkGroups = `SELECT ` + groupColumns + ` FROM groups WHERE shard = $1`
	walkChunks = `SELECT members FROM chunks WHERE shard = $1`
	walkRuns   = `SELECT id, project, pipeline, trigger, body FROM runs WHERE shard = $1`
)

// Walk calls each for all that is live, and returns the cursor that it is as of.
func (s *State) Walk(ctx context.Context, each func(*state.Live) error) (at weir.Seq, err error) {
	shard := []any{int16(s.shard)}
	err = s.snapshot(ctx, "walk state", func(q *reading) error {
		if at, _, err = q.Cursor(ctx); err != nil {
			return err
		}
		err := q.each(ctx, walkGroups, shard, func(r row) error {
			g, err := scanGroup(r)
			if err != nil {
				return err
			}
			return each(new(state.OfGroup(g)))
		})
		if err != nil {
			return err
		}
		err = q.each(ctx, walkChunks, shard, func(r row) error {
			members, err := state.DecodeChunk(r[0])
			if err != nil {
				return err
			}
			return each(&state.Live{Members: members})
		})
		if err != nil {
			return err
		}
		return q.each(ctx, walkRuns, shard, func(r row) error {
			id, err := r.id(0)
			if err != nil {
				return err
			}
			run := weir.Run{ID: id, Project: weir.ProjectID(r.int(1)), Pipeline: r.text(2), Firing: weir.Firing{Trigger: r.text(3)}}
			if err := state.DecodeRun(r[4], &run); err != nil {
				return err
			}
			return each(new(state.OfRun(&run)))
		})
	})
	return at, err
}

// Members calls each for the members in [low, high] of open groups and of runs in
// state. One that is in several batches comes several times.
func (s *State) Members(ctx context.Context, low, high weir.Seq, each func(weir.Seq) error) error {
	return state.Walker(s.Walk).Members(ctx, low, high, each)
}

const (
	selectRunsOf = `SELECT ` + runColumns + ` FROM runs WHERE project = $1 LIMIT $2`
	openTriggers = `SELECT DISTINCT trigger FROM groups WHERE project = $1 ORDER BY trigger`
)

// RunsOf returns runs in state of a project, limit at most.
func (s *State) RunsOf(ctx context.Context, project weir.ProjectID, limit int) (runs []*weir.Run, err error) {
	err = s.query(ctx, "read runs of a project", selectRunsOf, []any{int32(project), int64(limit)}, func(r row) error {
		run, err := scanRun(r)
		runs = append(runs, run)
		return err
	})
	return runs, err
}

// OpenTriggers returns the names of a project's triggers that have open groups.
func (s *State) OpenTriggers(ctx context.Context, project weir.ProjectID) (names []string, err error) {
	err = s.query(ctx, "read triggers", openTriggers, []any{int32(project)}, func(r row) error {
		names = append(names, r.text(0))
		return nil
	})
	return names, err
}
