package journal

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weir"
)

func TestARecordThatMatchesHasTheHashOfTheQuery(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := anyRecord().Draw(t, "record")
		r.Project = 1
		hashes := AppendHashes(nil, r)
		for _, q := range queriesOf(r) {
			q.Project = 1
			look, err := q.Prepare()
			if err != nil {
				t.Fatal(err)
			}

			if look.Matches(r) && !slices.Contains(hashes, look.Hash) {
				t.Fatalf("matches %+v, but is not found by it", q)
			}
		}
	})
}

// queriesOf returns queries that r answers where it has a value for them.
func queriesOf(r *weir.Record) (out []Query) {
	add := func(k Kind, v string) {
		if v != "" {
			out = append(out, Query{Kind: k, Value: v})
		}
	}
	if e := r.Event; e != nil {
		add(ByType, e.Type)
		add(BySource, e.Source)
		add(BySubject, e.Subject)
		add(ByExecution, e.Execution)
		add(ByCause, e.Cause.String())
		if e.Blob != nil {
			add(ByBlob, e.Blob.ID)
		}
	}
	if c := r.Change; c != nil {
		add(ByRun, c.Run.String())
		add(ByTrigger, c.Trigger)
		add(ByPipeline, c.Pipeline)
		if c.Firing != nil {
			for _, x := range c.Firing.Executions {
				add(ByExecution, x)
			}
			for _, m := range c.Firing.Members {
				add(ByLink, fmt.Sprint(uint64(m.Seq)))
			}
		}
	}
	return out
}

// TestHashesAreTheFormat: engines store them.
func TestHashesAreTheFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		got, want uint64
	}{
		{hash(ByType, 1, "com.example.order.placed"), 0x457cebdc8d9537bf},
		{hash(ByType, 1, ""), 0x5d3599172cfba152},
		{hashNumber(ByLink, 1, 42), 0x1a8b3cd58deaa5b},
	} {
		if c.got != c.want {
			t.Errorf("%#x, want %#x", c.got, c.want)
		}
	}
}

func TestHashesSpread(t *testing.T) {
	t.Parallel()
	const n = 1 << 16
	halves := map[uint32]bool{}
	low := [256]int{}
	for i := range uint64(n) {
		for _, h := range []uint64{hashNumber(ByLink, 1, i), hash(ByExecution, 1, fmt.Sprintf("execution-%d", i))} {
			halves[uint32(h>>32)] = true
			low[byte(h>>32)]++
		}
	}

	if lost := 2*n - len(halves); lost > 20 { // 2 expected
		t.Errorf("%d collisions of half a hash", lost)
	}
	for b, count := range low {
		if count < 2*n/256*8/10 || count > 2*n/256*12/10 {
			t.Errorf("slot %d has %d of %d", b, count, 2*n)
		}
	}
}
