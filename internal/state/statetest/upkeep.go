package statetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/fold"
	"weir/internal/state"
)

// Forgetting is the part that forgets projects and subjects.
type Forgetting interface {
	DeleteProject(ctx context.Context, name string, o weir.Erasure) (weir.Erasure, error)
	DropProject(ctx context.Context, project weir.ProjectID) (more bool, err error)
	RunsOf(ctx context.Context, project weir.ProjectID, limit int) ([]*weir.Run, error)
	OpenTriggers(ctx context.Context, project weir.ProjectID) ([]string, error)
	AddErasure(ctx context.Context, o weir.Erasure) (weir.Erasure, error)
	Erasures(ctx context.Context) ([]weir.Erasure, error)
	NoteErasure(ctx context.Context, o weir.Erasure) error
}

// Needing is the part that tells what the rest of the server must keep.
type Needing interface {
	SetRetention(ctx context.Context, project weir.ProjectID, keep weir.Duration) error
	DropErasures(ctx context.Context, before weir.Time) error
	Walk(ctx context.Context, each func(*state.Live) error) (weir.Seq, error)
	Members(ctx context.Context, low, high weir.Seq, each func(weir.Seq) error) error
	Versions(ctx context.Context) ([]state.Version, error)
	DropVersions(ctx context.Context, olderThan []state.Version) error
	DropOld(ctx context.Context, project weir.ProjectID, before weir.Time) error
}

func retentionOwn(t *testing.T, s suite) {
	place := t.TempDir()
	e := s.at(t, place)
	shop := must(e.CreateProject(t.Context(), "shop"))(t)
	if shop.Retention != 0 {
		t.Errorf("a new project keeps for %v", shop.Retention)
	}

	if err := e.SetRetention(t.Context(), shop.ID, weir.Duration(90*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, e.SetRetention(t.Context(), 99, weir.Duration(time.Hour)), weir.NotFound)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	shop.Retention = weir.Duration(90 * 24 * time.Hour)
	e = s.at(t, place)
	if got := must(e.ProjectByName(t.Context(), "shop"))(t); got != shop {
		t.Errorf("got %+v", got)
	}
	if got := must(e.ProjectByName(t.Context(), "default"))(t); got.Retention != 0 {
		t.Errorf("the other one: %+v", got)
	}
}

func projectDeleted(t *testing.T, s suite) {
	e, ctx := s.new(t), t.Context()
	shop := must(e.CreateProject(ctx, "shop"))(t)
	for hash, project := range map[byte]weir.ProjectID{1: shop.ID, 2: 0} {
		token := state.Token{Hash: state.TokenHash{hash}, ID: string('0' + rune(hash)), Role: "admin", Project: project}
		if err := e.PutToken(ctx, token); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.PutSecret(ctx, shop.ID, "github", []byte("x")); err != nil {
		t.Fatal(err)
	}
	run := plainRun(7)
	run.Project, run.Lane.Project = shop.ID, shop.ID
	group, other := plainGroup(1), plainGroup(2)
	group.Project, other.Project = shop.ID, shop.ID
	flush(t, e, fold.Layer{
		Runs:      []weir.Run{run, plainRun(8)},
		Groups:    []weir.Group{group, other, plainGroup(3)},
		Installed: []fold.Installed{{Project: shop.ID, Definition: weir.Definition{Kind: weir.KindTrigger, Name: "t", Revision: 1, Body: []byte("{}")}}},
		Counters:  []fold.Counter{{Project: shop.ID, Trigger: "t", What: "matched", N: 3}},
	})

	ordered := must(e.DeleteProject(ctx, "shop", weir.Erasure{UpTo: 5, By: "admin", Ordered: start}))(t)

	want := weir.Erasure{ID: ordered.ID, Project: shop.ID, UpTo: 5, By: "admin", Ordered: start}
	if diff := cmp.Diff(want, ordered); diff != "" || ordered.ID == 0 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]weir.Erasure{want}, must(e.Erasures(ctx))(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err := e.ProjectByName(ctx, "shop")
	wantCode(t, err, weir.NotFound)
	_, err = e.DeleteProject(ctx, "shop", weir.Erasure{})
	wantCode(t, err, weir.NotFound)
	wantCode(t, e.SetRetention(ctx, shop.ID, weir.Duration(time.Hour)), weir.NotFound)
	if got := must(e.Projects(ctx))(t); len(got) != 1 {
		t.Errorf("listed: %+v", got)
	}
	_, err = e.TokenByHash(ctx, state.TokenHash{1})
	wantCode(t, err, weir.NotFound)
	if got := must(e.Tokens(ctx))(t); len(got) != 1 {
		t.Errorf("tokens: %+v", got)
	}
	if anew := must(e.CreateProject(ctx, "shop"))(t); anew.ID == shop.ID || anew.Revision != 0 {
		t.Errorf("made anew: %+v", anew)
	}
	runs := must(e.RunsOf(ctx, shop.ID, 10))(t)
	if diff := cmp.Diff([]*weir.Run{&run}, runs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := must(e.OpenTriggers(ctx, shop.ID))(t); !slices.Equal(got, []string{"usage"}) {
		t.Errorf("open: %v", got)
	}
	dropRows(t, e, shop.ID)
}

// dropRows drops all rows of a project, and checks that they are gone.
func dropRows(t *testing.T, e Engine, project weir.ProjectID) {
	t.Helper()
	ctx := t.Context()
	for more := true; more; {
		more = must(e.DropProject(ctx, project))(t)
	}
	if got := must(e.Versions(ctx))(t); len(got) != 0 {
		t.Errorf("versions: %+v", got)
	}
	if got := must(e.Counters(ctx, project))(t); len(got) != 0 {
		t.Errorf("counters: %+v", got)
	}
	if got := must(e.SecretNames(ctx, project))(t); len(got) != 0 {
		t.Errorf("secrets: %+v", got)
	}
	// What a late flush has of it does no harm.
	flush(t, e, fold.Layer{Installed: []fold.Installed{{Project: project, Definition: weir.Definition{Kind: weir.KindTrigger, Name: "t", Revision: 9}}}})
}

func erasuresNoted(t *testing.T, s suite) {
	place := t.TempDir()
	e, ctx := s.at(t, place), t.Context()
	first := must(e.AddErasure(ctx, weir.Erasure{Project: 1, Subject: "ann", UpTo: 4, By: "admin", Ordered: start}))(t)
	second := must(e.AddErasure(ctx, weir.Erasure{Project: 1, Subject: "bob", UpTo: 5, By: "admin", Ordered: start + 1}))(t)

	first.Ended, first.Records = start+9, 12
	if err := e.NoteErasure(ctx, first); err != nil {
		t.Fatal(err)
	}
	second.Records = 1
	if err := e.NoteErasure(ctx, second); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	e = s.at(t, place)
	if diff := cmp.Diff([]weir.Erasure{second, first}, must(e.Erasures(ctx))(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for left := 2; left > 0; left-- {
		if err := e.DropErasures(ctx, start+11-weir.Time(left)); err != nil {
			t.Fatal(err)
		}
		if got := must(e.Erasures(ctx))(t); len(got) != left {
			t.Errorf("want %d: %+v", left, got)
		}
	}
}

func membersOfAll(t *testing.T, s suite) {
	e := s.new(t)
	member := func(seqs ...weir.Seq) (out []weir.Member) {
		for _, seq := range seqs {
			out = append(out, weir.Member{Time: start, Seq: seq})
		}
		return out
	}
	open, pending, waiting, dead := plainGroup(1), plainRun(2), plainRun(3), plainRun(4)
	waiting.State, dead.State, dead.Ended = weir.RunWaiting, weir.RunDead, start
	open.Chunks, open.Tail = 1, member(300)
	pending.Firing.Group, pending.Firing.Chunks, pending.Firing.Members = groupID(9), 1, member(400, 20)
	waiting.Firing.Members, dead.Firing.Members = member(500), member(300, 600)
	to := flush(t, e, fold.Layer{
		Groups: []weir.Group{open}, Runs: []weir.Run{pending, waiting, dead},
		Chunks: []weir.Chunk{{Group: open.ID, Members: member(30, 31)}, {Group: groupID(9), Members: member(40, 41)}},
	})

	var met []weir.Seq
	err := e.Members(t.Context(), 30, 500, func(seq weir.Seq) error {
		met = append(met, seq)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(met)
	if diff := cmp.Diff([]weir.Seq{30, 31, 40, 41, 300, 300, 400, 500}, met); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var live []state.Live
	asOf := must(e.Walk(t.Context(), func(l *state.Live) error {
		l.Members = nil
		live = append(live, *l)
		return nil
	}))(t)
	want := []state.Live{
		{Project: 1, Trigger: "usage", Revision: 1},
		{},
		{},
		{Project: 1, Run: pending.ID, Trigger: "orders", Revision: 1, Pipeline: "notify", PipeRev: 1},
		{Project: 1, Run: waiting.ID, Trigger: "orders", Revision: 1, Pipeline: "notify", PipeRev: 1},
		{Project: 1, Run: dead.ID, Trigger: "orders", Revision: 1, Pipeline: "notify", PipeRev: 1},
	}
	if diff := cmp.Diff(want, live); diff != "" || asOf != to {
		t.Errorf("as of %d (-want +got):\n%s", asOf, diff)
	}
}

func versionsDropped(t *testing.T, s suite) {
	e, ctx := s.new(t), t.Context()
	other := must(e.CreateProject(ctx, "other"))(t)
	install := func(project weir.ProjectID, kind weir.DefinitionKind, name string, revisions ...uint64) (all []fold.Installed) {
		for _, r := range revisions {
			all = append(all, fold.Installed{Project: project, Definition: weir.Definition{Kind: kind, Name: name, Revision: r, Body: []byte("{}")}})
		}
		return all
	}
	gone := fold.Installed{Project: 1, Definition: weir.Definition{Kind: weir.KindTrigger, Name: "gone", Revision: 4}}
	flush(t, e, fold.Layer{
		Installed: slices.Concat(
			install(1, weir.KindTrigger, "t", 1, 3, 5), install(1, weir.KindPipeline, "t", 1, 3), install(1, weir.KindTrigger, "gone", 2),
			[]fold.Installed{gone}, install(other.ID, weir.KindTrigger, "t", 1)),
		Counters: []fold.Counter{{Project: 1, Trigger: "gone", What: "matched", N: 1}, {Project: 1, Trigger: "t", What: "matched", N: 2}},
	})

	err := e.DropVersions(ctx, []state.Version{
		{Project: 1, Kind: weir.KindTrigger, Name: "t", Revision: 3}, {Project: 1, Kind: weir.KindTrigger, Name: "gone", Revision: 5},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []state.Version{
		{Project: 1, Kind: weir.KindPipeline, Name: "t", Revision: 1},
		{Project: 1, Kind: weir.KindPipeline, Name: "t", Revision: 3},
		{Project: 1, Kind: weir.KindTrigger, Name: "t", Revision: 3},
		{Project: 1, Kind: weir.KindTrigger, Name: "t", Revision: 5},
		{Project: other.ID, Kind: weir.KindTrigger, Name: "t", Revision: 1},
	}
	if diff := cmp.Diff(want, must(e.Versions(ctx))(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := e.DropOld(ctx, 1, start); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]weir.TriggerCounters{"t": {"matched": 2}}, must(e.Counters(ctx, 1))(t)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

func oldRefusalsDropped(t *testing.T, s suite) {
	e, ctx := s.new(t), t.Context()
	for i, at := range []weir.Time{start, start + 1, start + 2} {
		f := weir.Refusal{At: at, Project: weir.ProjectID(1 + i/2*2), Door: "api", Code: weir.Invalid}
		if err := e.AddRefusals(ctx, []weir.Refusal{f}); err != nil {
			t.Fatal(err)
		}
	}

	if err := e.DropOld(ctx, 1, start+2); err != nil {
		t.Fatal(err)
	}

	if got := must(e.ListRefusals(ctx, 1, 0, 0))(t); len(got) != 1 || got[0].N != 2 {
		t.Errorf("kept: %+v", got)
	}
	if got := must(e.ListRefusals(ctx, 3, 0, 0))(t); len(got) != 1 {
		t.Errorf("kept of another project: %+v", got)
	}
}
