package weir_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir"
)

func TestAnEventUIDCarriesItsPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := weir.Time(rapid.Int64Range(0, 1<<52).Draw(t, "at"))
		shard := weir.Shard(rapid.Uint16Range(0, 1<<10-1).Draw(t, "shard"))
		seq := weir.Seq(rapid.Uint64().Draw(t, "seq"))

		uid := weir.Place(at, shard, seq)

		if uid.Seq() != seq || uid.Shard() != shard || weir.MadeAt(uid) != at/1000*1000 {
			t.Fatalf("%s holds place %d of shard %d at %d", uid, uid.Seq(), uid.Shard(), weir.MadeAt(uid))
		}
		if uid[6]>>4 != 7 || uid[8]>>6 != 2 {
			t.Fatalf("%s has not the version and variant of a UUIDv7", uid)
		}
		back, err := weir.ParseEventUID(uid.String())
		if err != nil || back != uid {
			t.Fatalf("%s reads back as %s, %v", uid, back, err)
		}
	})
}

func TestUIDsOfAShardSortByPlace(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range 300 {
		ids = append(ids, weir.Place(weir.Time(1_000_000+i/7*1000), 3, weir.Seq(i+250)).String())
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not sort by place")
	}
}

// The values are fixed for ever: journals and receivers of keys hold them.
func TestIdsOfRunsAndGroupsAreComputedFromTheirOrigin(t *testing.T) {
	t.Parallel()
	o := weir.Origin{At: 1_700_000_000_000_000, Shard: 1, Seq: 42, Trigger: "busy", Purpose: "match"}
	if got, want := o.RunID().String(), "run_018bcfe5680073ce8d8ade796b3f53fa"; got != want {
		t.Errorf("run %s, want %s", got, want)
	}
	if got, want := o.GroupID().String(), "grp_018bcfe5680078819850c855d3bed469"; got != want {
		t.Errorf("group %s, want %s", got, want)
	}
	seen := map[weir.RunID]weir.Origin{}
	for _, other := range []weir.Origin{
		{At: o.At, Shard: 1, Seq: 42, Trigger: "busy", Purpose: "match"},
		{At: o.At, Shard: 2, Seq: 42, Trigger: "busy", Purpose: "match"},
		{At: o.At, Shard: 1, Seq: 43, Trigger: "busy", Purpose: "match"},
		{At: o.At, Shard: 1, Seq: 42, Trigger: "bus", Purpose: "ymatch"},
		{At: o.At, Shard: 1, Seq: 42, Trigger: "busy", Purpose: "match", Index: "1"},
	} {
		if before, there := seen[other.RunID()]; there {
			t.Errorf("%+v and %+v have one id", before, other)
		}
		seen[other.RunID()] = other
	}
}

func TestAWrongIdSaysWhatAnIdLooksLike(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "run_", "run_12", "grp_018bcfe5680070000000000000000000", "run_018bcfe568007000000000000000000g"} {
		if _, err := weir.ParseRunID(s); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestIdentitiesKeepTheirPartsApart(t *testing.T) {
	t.Parallel()
	event := func(project weir.ProjectID, source, id string) *weir.Record {
		return &weir.Record{Project: project, Event: &weir.Event{Source: source, ID: id}}
	}
	change := func(run byte, n uint32) *weir.Record {
		return &weir.Record{Project: 1, Change: &weir.Change{Run: weir.RunID{run}, N: n, Kind: weir.Succeeded}}
	}
	seen := map[weir.Identity]int{}
	for i, r := range []*weir.Record{
		event(1, "/a", "b"), event(1, "/ab", ""), event(1, "/", "ab"), event(2, "/a", "b"),
		change(1, 1), change(1, 2), change(2, 1),
		{Project: 1, Apply: &weir.Apply{Revision: 1}},
		{Project: 1, Apply: &weir.Apply{Revision: 2}},
		{Project: 2, Apply: &weir.Apply{Revision: 1}},
		{Project: 1, Start: &weir.Start{Application: "a", Key: "k", Generation: 1}},
		{Project: 1, Start: &weir.Start{Application: "a", Key: "k", Generation: 2}},
		{Project: 1, Start: &weir.Start{Application: "ak", Generation: 1}},
	} {
		id := r.Identity()
		if before, there := seen[id]; there || id == (weir.Identity{}) {
			t.Errorf("record %d has no identity of its own: like %d", i, before)
		}
		seen[id] = i
	}
	stale := change(1, 1)
	stale.Change.Kind = weir.Stale
	if (stale.Identity() != weir.Identity{}) || (new(weir.Record).Identity() != weir.Identity{}) {
		t.Error("a stale change or a tick has an identity")
	}
}

func TestDurationsReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"250ms": 250 * time.Millisecond, "5s": 5 * time.Second, "1h30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour,
		"1d12h": 36 * time.Hour, "0s": 0, "2m": 2 * time.Minute, "10m5s": 605 * time.Second,
	} {
		d, err := weir.ParseDuration(text)
		if err != nil || d.Std() != want {
			t.Errorf("%s reads as %v, %v", text, d.Std(), err)
		}
		again, err := weir.ParseDuration(d.String())
		if err != nil || again != d {
			t.Errorf("%s is written as %s, which reads as %v, %v", text, d, again, err)
		}
	}
	for _, text := range []string{"", "5", "d", "1d-2h", "x", "-d", "1.5d", "999999999d", "1h ", "5 s"} {
		if d, err := weir.ParseDuration(text); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%q reads as %v, %v", text, d, err)
		}
	}
}

func TestJoinPutsABatchInOrder(t *testing.T) {
	t.Parallel()
	member := func(time weir.Time, seq weir.Seq) weir.Member { return weir.Member{Time: time, Seq: seq} }
	f := weir.Firing{Chunks: 2, Members: []weir.Member{member(1, 9)}}

	f.Join([]weir.Chunk{
		{Index: 1, Members: []weir.Member{member(5, 4), member(2, 5)}},
		{Index: 0, Members: []weir.Member{member(5, 1), member(5, 2)}},
		{Index: 1, Members: []weir.Member{member(5, 4), member(2, 5)}},
	})

	want := []weir.Member{member(1, 9), member(2, 5), member(5, 1), member(5, 2), member(5, 4)}
	if !slices.Equal(f.Members, want) || f.Chunks != 0 {
		t.Errorf("got %v", f.Members)
	}
}

func TestAnErrorKeepsItsCodeWhenWrapped(t *testing.T) {
	t.Parallel()
	cause := weir.E("read", weir.DiskFull, "no room")
	err := weir.E("flush", weir.Unavailable, "write layer: %w", cause)
	if weir.CodeOf(err) != weir.Unavailable || weir.CodeOf(err.Unwrap()) != weir.DiskFull || weir.CodeOf(nil) != "" {
		t.Errorf("codes are lost: %v", err)
	}
	if got := weir.E("publish", weir.Invalid, "is empty").WithField("type").WithIndex(2).Error(); got != "publish: item 2: type: is empty" {
		t.Errorf("got %q", got)
	}
}
