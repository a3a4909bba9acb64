package postgres

import (
	"context"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/fold"
)

// How long a node that is not seen is dead, and how long it is listed then.
const (
	deadAfter = 10 * time.Second
	goneAfter = 24 * time.Hour
)

const (
	nodeColumns = `name, duties, version, started_us, seen_us, draining OR ordered, slots, free, share`
	nodeIsDead  = `seen_us < ` + clock + ` - $1::bigint`

	// The name of a dead node is taken over, and what it tried is over at once.
	registerNode = `WITH registered AS (
  INSERT INTO nodes AS n (name, duties, version, started_us, seen_us, draining, ordered, slots, free, share)
  VALUES ($2, $3, $4, ` + clock + `, ` + clock + `, $5, false, $6, $7, $8)
  ON CONFLICT (name) DO UPDATE SET
    duties = excluded.duties, version = excluded.version, started_us = excluded.started_us, seen_us = excluded.seen_us,
    draining = excluded.draining, ordered = false, slots = excluded.slots, free = excluded.free, share = excluded.share
  WHERE n.` + nodeIsDead + `
  RETURNING ` + nodeColumns + `, false
), ended AS (
  UPDATE leases SET until_us = 1 WHERE node = $2 AND begun AND until_us > 0 AND EXISTS (SELECT 1 FROM registered)
)
SELECT * FROM registered`

	// A started_us names the process: another takes the name later.
	beatNode = `UPDATE nodes SET seen_us = ` + clock + `, draining = $3, slots = $4, free = $5, share = $6
WHERE name = $1 AND started_us = $2 RETURNING ordered, seen_us`

	selectNode  = `SELECT ` + nodeColumns + `, ` + nodeIsDead + ` FROM nodes WHERE name = $2`
	selectNodes = `SELECT ` + nodeColumns + `, ` + nodeIsDead + ` FROM nodes ORDER BY name`
	selectHolds = `SELECT name, node FROM holds WHERE until_us > ` + clock + ` ORDER BY name`
	orderNode   = `UPDATE nodes SET ordered = $2 WHERE name = $1`
	deleteNode  = `DELETE FROM nodes WHERE name = $1 AND started_us = $2`
	deleteGone  = `DELETE FROM nodes WHERE seen_us < ` + clock + ` - $1::bigint`
)

// Register puts a node in, started now by the database's clock, and returns it.
// Where a node of that name is not dead, it returns that one and false. Nodes not
// seen for a day go.
func (s *State) Register(ctx context.Context, n weir.Node) (kept weir.Node, ours bool, err error) {
	if _, err := s.exec(ctx, "remove old nodes", deleteGone, goneAfter.Microseconds()); err != nil {
		return kept, false, err
	}
	scan := func(r row) error {
		kept = scanNode(r)
		return nil
	}
	dead, sent := deadAfter.Microseconds(), time.Now()
	ours, err = s.write(ctx, "register node", registerNode, []any{
		dead, plain(n.Name), joinDuties(n.Duties), n.Version, n.Draining, int32(n.Slots), int32(n.Free), n.Share,
	}, scan)
	if err == nil && ours {
		s.db.TellTime(sent, kept.Seen.Std())
	}
	if err != nil || ours {
		return kept, ours, err
	}
	found, err := s.first(ctx, "register node", selectNode, []any{dead, plain(n.Name)}, scan)
	if err == nil && !found {
		return s.Register(ctx, n) // it left meanwhile
	}
	return kept, false, err
}

// Beat says that a node lives, and returns whether somebody ordered it to drain.
// NotFound: there is none of that name that was started then.
func (s *State) Beat(ctx context.Context, n weir.Node) (drain bool, err error) {
	sent := time.Now()
	found, err := s.write(ctx, "beat", beatNode, []any{
		plain(n.Name), int64(n.Started), n.Draining, int32(n.Slots), int32(n.Free), n.Share,
	}, func(r row) error {
		drain = r.bool(0)
		s.db.TellTime(sent, r.time(1).Std())
		return nil
	})
	if err == nil && !found {
		err = weir.E("beat", weir.NotFound, "node %q that started %s is not registered", n.Name, n.Started)
	}
	return drain, err
}

// Leave removes a node's registration.
func (s *State) Leave(ctx context.Context, n weir.Node) error {
	_, err := s.exec(ctx, "remove node", deleteNode, plain(n.Name), int64(n.Started))
	return err
}

// Nodes returns all nodes by name, dead ones too, with what each holds.
func (s *State) Nodes(ctx context.Context) (all []weir.Node, err error) {
	err = s.query(ctx, "list nodes", selectNodes, []any{deadAfter.Microseconds()}, func(r row) error {
		all = append(all, scanNode(r))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, s.query(ctx, "list holds", selectHolds, nil, func(r row) error {
		i := slices.IndexFunc(all, func(n weir.Node) bool { return n.Name == r.text(1) })
		if i >= 0 {
			all[i].Holds = append(all[i].Holds, r.text(0))
		}
		return nil
	})
}

// Drain orders a node to give up what it holds and to take no more runs.
// NotFound: there is none of that name.
func (s *State) Drain(ctx context.Context, name string) error { return s.order(ctx, name, true) }

// Undrain takes that order back.
func (s *State) Undrain(ctx context.Context, name string) error { return s.order(ctx, name, false) }

func (s *State) order(ctx context.Context, name string, drain bool) error {
	n, err := s.exec(ctx, "order node", orderNode, plain(name), drain)
	if err == nil && n == 0 {
		err = weir.E("", weir.NotFound, "there is no node %q", name)
	}
	return err
}

// scanNode reads nodeColumns and whether the node is dead.
func scanNode(r row) weir.Node {
	return weir.Node{
		Name: r.text(0), Duties: splitDuties(r.text(1)), Version: r.text(2), Started: r.time(3), Seen: r.time(4),
		Draining: r.bool(5), Slots: int(r.int(6)), Free: int(r.int(7)), Share: r.int(8), Dead: r.bool(9),
	}
}

func joinDuties(duties []weir.Duty) string {
	words := column(duties, func(d *weir.Duty) string { return string(*d) })
	return strings.Join(words, " ")
}

func splitDuties(text string) (duties []weir.Duty) {
	for word := range strings.FieldsSeq(text) {
		duties = append(duties, weir.Duty(word))
	}
	return duties
}

const (
	// Oldest first, and none that another transaction has a hand on: a flush that
	// removes it.
	takeLeases = `UPDATE leases SET begun = true, until_us = ` + clock + ` + $4
WHERE shard = $1 AND run IN (
  SELECT run FROM leases WHERE shard = $1 AND node = $2 AND NOT begun AND until_us > ` + clock + `
  ORDER BY began_us, run LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING ` + leaseColumns + `, false`

	renewLeases = `UPDATE leases SET until_us = ` + clock + ` + $5
FROM unnest($3::bytea[], $4::bigint[]) AS l (run, began_us)
WHERE leases.shard = $1 AND leases.node = $2 AND leases.run = l.run AND leases.began_us = l.began_us
  AND leases.begun AND leases.until_us > ` + clock + `
RETURNING leases.run, leases.node, leases.try, leases.began_us, leases.begun, false`

	giveBackLeases = `DELETE FROM leases USING unnest($3::bytea[], $4::bigint[]) AS l (run, began_us)
WHERE leases.shard = $1 AND leases.node = $2 AND leases.run = l.run AND leases.began_us = l.began_us`

	giveBackGranted = `DELETE FROM leases WHERE shard = $1 AND node = $2 AND NOT begun`

	// Those of the dispatching node's own workers have no time.
	selectGranted = `SELECT ` + leaseColumns + `, until_us <= ` + clock + ` FROM leases WHERE shard = $1 AND until_us > 0`

	selectLeasedRuns = `SELECT run FROM leases WHERE shard = $1 AND (until_us = 0 OR until_us > ` + clock + `)`
)

// Leases returns those that were granted to a node.
func (s *State) Leases(ctx context.Context) ([]fold.LeaseRow, error) {
	var rows []fold.LeaseRow
	err := s.query(ctx, "read leases", selectGranted, []any{int16(s.shard)}, addLease(&rows))
	return rows, err
}

// TakeLeases marks leases that were granted to a node as begun, most at most, and
// returns them. They last from now on.
func (s *State) TakeLeases(ctx context.Context, node string, most int) ([]fold.LeaseRow, error) {
	return s.writeLeases(ctx, "take leases", takeLeases, int16(s.shard), plain(node), int64(most), s.lease.Microseconds())
}

// RenewLeases makes leases that a node took last from now on, and returns those
// that were not over.
func (s *State) RenewLeases(ctx context.Context, node string, rows []fold.LeaseRow) ([]fold.LeaseRow, error) {
	runs, began := named(rows)
	return s.writeLeases(ctx, "renew leases", renewLeases, int16(s.shard), plain(node), runs, began, s.lease.Microseconds())
}

// GiveBackLeases removes leases of a node of which nothing was begun.
func (s *State) GiveBackLeases(ctx context.Context, node string, rows []fold.LeaseRow) error {
	runs, began := named(rows)
	_, err := s.exec(ctx, "give leases back", giveBackLeases, int16(s.shard), plain(node), runs, began)
	return err
}

// GiveBackGranted removes all leases of a node that it did not take.
func (s *State) GiveBackGranted(ctx context.Context, node string) error {
	_, err := s.exec(ctx, "give leases back", giveBackGranted, int16(s.shard), plain(node))
	return err
}

// LeasedRuns returns the runs that are being tried: those with a lease that is
// not over, or that is one of the dispatching node's own.
func (s *State) LeasedRuns(ctx context.Context) (runs []weir.RunID, err error) {
	err = s.query(ctx, "read leased runs", selectLeasedRuns, []any{int16(s.shard)}, func(r row) error {
		id, err := r.id(0)
		runs = append(runs, id)
		return err
	})
	return runs, err
}

func (s *State) writeLeases(ctx context.Context, op, text string, args ...any) ([]fold.LeaseRow, error) {
	var rows []fold.LeaseRow
	_, err := s.write(ctx, op, text, args, addLease(&rows))
	return rows, err
}

func addLease(to *[]fold.LeaseRow) func(row) error {
	return func(r row) error {
		l, err := scanLease(r)
		*to = append(*to, l)
		return err
	}
}

// scanLease reads leaseColumns and whether the lease is over.
func scanLease(r row) (fold.LeaseRow, error) {
	id, err := r.id(0)
	return fold.LeaseRow{
		Run: id, Node: r.text(1), Try: int(r.int(2)), Began: r.time(3), Begun: r.bool(4), Over: r.bool(5),
	}, err
}

// named returns what names leases: the run, and when it began.
func named(rows []fold.LeaseRow) (runs [][]byte, began []int64) {
	return column(rows, func(l *fold.LeaseRow) []byte { return l.Run[:] }),
		column(rows, func(l *fold.LeaseRow) int64 { return int64(l.Began) })
}
