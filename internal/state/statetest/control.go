package statetest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/state"
)

func projectsOwn(t *testing.T, s suite) {
	place := t.TempDir()
	e := s.at(t, place)
	shop := must(e.CreateProject(t.Context(), "shop"))(t)
	bank := must(e.CreateProject(t.Context(), "bank"))(t)
	if shop.ID == weir.DefaultProject || bank.ID == shop.ID || shop.ID == 0 || bank.ID == 0 {
		t.Errorf("numbers %d and %d", shop.ID, bank.ID)
	}

	_, err := e.CreateProject(t.Context(), "shop")
	wantCode(t, err, weir.Conflict)
	_, err = e.ProjectByName(t.Context(), "Shop")
	wantCode(t, err, weir.NotFound)
	if got := must(e.ProjectByName(t.Context(), "shop"))(t); got != shop {
		t.Errorf("found %v", got)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	want := []weir.Project{bank, {ID: weir.DefaultProject, Name: "default"}, shop}
	if diff := cmp.Diff(want, must(s.at(t, place).Projects(t.Context()))(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func notesReplaced(t *testing.T, s suite) {
	e := s.new(t)
	_, err := e.Meta(t.Context(), "admin")
	wantCode(t, err, weir.NotFound)

	for _, value := range []string{"made", "made again", ""} {
		if err := e.PutMeta(t.Context(), "admin", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got := must(e.Meta(t.Context(), "admin"))(t); string(got) != value {
			t.Errorf("noted %q, read %q", value, got)
		}
	}
}

func secretsByProject(t *testing.T, s suite) {
	e, ctx := s.new(t), t.Context()
	other := must(e.CreateProject(ctx, "other"))(t)
	put := func(p weir.ProjectID, name, sealed string) {
		t.Helper()
		if err := e.PutSecret(ctx, p, name, []byte(sealed)); err != nil {
			t.Fatal(err)
		}
	}
	put(1, "github", "one")
	put(1, "github", "two")
	put(1, "billing", "three\x00")
	put(other.ID, "github", "four")
	if err := e.PutSecret(ctx, 99, "github", []byte("x")); err == nil {
		t.Error("took a secret of no project")
	}

	for _, c := range []struct {
		project    weir.ProjectID
		name, want string
	}{{1, "github", "two"}, {1, "billing", "three\x00"}, {other.ID, "github", "four"}} {
		if got := must(e.FindSecret(ctx, c.project, c.name))(t); string(got) != c.want {
			t.Errorf("%s of %d is %q", c.name, c.project, got)
		}
	}
	if diff := cmp.Diff([]string{"billing", "github"}, must(e.SecretNames(ctx, 1))(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, x := range must(e.Secrets(ctx, 1))(t) {
		if x.Updated <= 0 {
			t.Errorf("%s has no time", x.Name)
		}
	}

	if err := e.DeleteSecret(ctx, 1, "github"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, e.DeleteSecret(ctx, 1, "github"), weir.NotFound)
	if got := must(e.FindSecret(ctx, 1, "github"))(t); got != nil {
		t.Errorf("a deleted secret is %q", got)
	}
	if got := must(e.FindSecret(ctx, other.ID, "github"))(t); string(got) != "four" {
		t.Errorf("the other project's is %q", got)
	}
}

func tokensByHash(t *testing.T, s suite) {
	e, ctx := s.new(t), t.Context()
	admin := state.Token{Hash: state.TokenHash{1}, ID: "tok_1", Name: "admin", Role: "admin", Created: start}
	ci := state.Token{Hash: state.TokenHash{2}, ID: "tok_2", Name: "ci", Role: "publisher", Project: 1, Created: start + 1}
	for _, x := range []state.Token{ci, admin} {
		if err := e.PutToken(ctx, x); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, e.PutToken(ctx, state.Token{Hash: admin.Hash, ID: "tok_3", Role: "admin"}), weir.Conflict)
	wantCode(t, e.PutToken(ctx, state.Token{Hash: state.TokenHash{3}, ID: "tok_1", Role: "admin"}), weir.Conflict)

	for _, at := range []weir.Time{start + 50, start + 20} { // the later one counts
		if err := e.UseToken(ctx, "tok_2", at); err != nil {
			t.Fatal(err)
		}
	}
	ci.Used = start + 50
	if diff := cmp.Diff(ci, must(e.TokenByHash(ctx, ci.Hash))(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]state.Token{admin, ci}, must(e.Tokens(ctx))(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	if err := e.DeleteToken(ctx, "tok_2"); err != nil {
		t.Fatal(err)
	}
	_, err := e.TokenByHash(ctx, ci.Hash)
	wantCode(t, err, weir.NotFound)
	wantCode(t, e.DeleteToken(ctx, "tok_2"), weir.NotFound)
	if err := e.UseToken(ctx, "tok_2", start+60); err != nil {
		t.Errorf("use of a token that is gone: %v", err)
	}
}

func refusalsNumbered(t *testing.T, s suite) {
	e, ctx := s.new(t), t.Context()
	first := weir.Refusal{
		At: start, Project: 1, Door: "api", Code: weir.Invalid, Reason: "is required", Field: "id", Source: "/a", ID: "7", Type: "t",
	}
	second := weir.Refusal{At: start + 1, Project: 1, Door: "hook/github", Code: weir.Unauthenticated, Reason: "wrong signature"}
	elsewhere := weir.Refusal{At: start + 2, Project: 2, Door: "api", Code: weir.Invalid}
	for _, batch := range [][]weir.Refusal{{first, elsewhere}, {}, {second, first}} {
		if err := e.AddRefusals(ctx, batch); err != nil {
			t.Fatal(err)
		}
	}

	third := first
	first.N, second.N, third.N, elsewhere.N = 1, 2, 3, 1
	if diff := cmp.Diff([]weir.Refusal{third, second, first}, must(e.ListRefusals(ctx, 1, 0, 0))(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]weir.Refusal{second}, must(e.ListRefusals(ctx, 1, 3, 1))(t)); diff != "" {
		t.Errorf("a page (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]weir.Refusal{elsewhere}, must(e.ListRefusals(ctx, 2, 0, 10))(t)); diff != "" {
		t.Errorf("elsewhere (-want +got):\n%s", diff)
	}
	want := []state.RefusalCount{{Code: weir.Invalid, Door: "api", N: 2}, {Code: weir.Unauthenticated, Door: "hook/github", N: 1}}
	if diff := cmp.Diff(want, must(e.RefusalCounts(ctx, 1))(t)); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func refusalsRing(t *testing.T, s suite) {
	e, ctx := s.new(t), t.Context()
	total := 0
	for _, n := range []int{10, state.RefusalsKept + 50, 1} {
		batch := make([]weir.Refusal, n)
		for i := range batch {
			total++
			batch[i] = weir.Refusal{At: start, Project: 1, Door: "api", Code: weir.Invalid, ID: fmt.Sprint(total)}
		}
		if err := e.AddRefusals(ctx, batch); err != nil {
			t.Fatal(err)
		}
		kept := must(e.ListRefusals(ctx, 1, 0, 2*state.RefusalsKept))(t)
		if len(kept) != min(total, state.RefusalsKept) || kept[0].N != int64(total) || kept[0].ID != fmt.Sprint(total) {
			t.Errorf("of %d: %d kept, the newest %v", total, len(kept), kept[0])
		}
		if oldest := kept[len(kept)-1]; oldest.N != int64(max(1, total-state.RefusalsKept+1)) {
			t.Errorf("of %d: the oldest is %d", total, oldest.N)
		}
	}
	if got := must(e.RefusalCounts(ctx, 1))(t); len(got) != 1 || got[0].N != int64(total) {
		t.Errorf("counted %v of %d", got, total)
	}
}
