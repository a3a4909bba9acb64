package auth

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// drawer keeps tokens in memory.
type drawer struct {
	mu     sync.Mutex
	tokens map[Hash]Token
	looks  int
	err    error
}

func (d *drawer) PutToken(_ context.Context, t Token) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens[t.Hash] = t
	return nil
}

func (d *drawer) TokenByHash(_ context.Context, hash Hash) (Token, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looks++
	t, found := d.tokens[hash]
	switch {
	case d.err != nil:
		return Token{}, d.err
	case !found:
		return Token{}, weir.E("", weir.NotFound, "no such token")
	}
	return t, nil
}

func (d *drawer) Tokens(context.Context) ([]Token, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []Token
	for _, t := range d.tokens {
		all = append(all, t)
	}
	return all, nil
}

func TestTheFirstStartMakesAnAdminAndNoLaterOne(t *testing.T) {
	t.Parallel()
	store := &drawer{tokens: map[Hash]Token{}}
	tokens := New(store)

	first, err := tokens.MakeAdmin(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := tokens.MakeAdmin(t.Context(), "weir_given-by-the-environment")

	if second != "" || err != nil {
		t.Errorf("the second start made %q, error %v", second, err)
	}
	if !regexp.MustCompile(`^weir_[0-9a-zA-Z]{43}$`).MatchString(first) {
		t.Errorf("token %q", first)
	}
	got, err := tokens.Authenticate(t.Context(), "Bearer "+first)
	if diff := cmp.Diff(Principal{Name: "admin", Role: Admin}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for hash, stored := range store.tokens {
		if strings.Contains(first, string(hash[:])) || strings.Contains(stored.ID, first) {
			t.Error("the token itself is stored")
		}
	}
}

func TestAGivenAdminTokenIsTakenIfItIsOne(t *testing.T) {
	t.Parallel()
	tokens := New(&drawer{tokens: map[Hash]Token{}})

	_, short := tokens.MakeAdmin(t.Context(), "weir_x")
	_, other := tokens.MakeAdmin(t.Context(), "0123456789012345678901234567890")
	token, err := tokens.MakeAdmin(t.Context(), "weir_0123456789abcdef")

	if weir.CodeOf(short) != weir.Invalid || weir.CodeOf(other) != weir.Invalid || err != nil {
		t.Errorf("short: %v, without prefix: %v, good: %v", short, other, err)
	}
	if p, err := tokens.Authenticate(t.Context(), "bearer "+token); err != nil || p.Role != Admin {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestWhoHasNoTokenIsToldWhatToSend(t *testing.T) {
	t.Parallel()
	tokens := New(&drawer{tokens: map[Hash]Token{}})
	for header, want := range map[string]string{
		"":                             "a token is needed: send Authorization: Bearer weir_…",
		"Basic eDp5":                   "the Authorization header holds no token of Weir: send Bearer weir_…",
		"Bearer abc":                   "the Authorization header holds no token of Weir: send Bearer weir_…",
		"Bearer weir_0123456789abcdef": "the token is not known",
	} {
		_, err := tokens.Authenticate(t.Context(), header)

		e, ok := errors.AsType[*weir.Error](err)
		if !ok || e.Code != weir.Unauthenticated || e.Message != want {
			t.Errorf("%q: %v", header, err)
		}
	}
}

func TestAStoreThatFailsIsNoWrongToken(t *testing.T) {
	t.Parallel()
	tokens := New(&drawer{err: weir.E("", weir.Unavailable, "locked")})

	_, err := tokens.Authenticate(t.Context(), "Bearer weir_0123456789abcdef")

	if weir.CodeOf(err) != weir.Unavailable {
		t.Error(err)
	}
}

func TestAKnownTokenIsLookedUpOnceInAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &drawer{tokens: map[Hash]Token{}}
		tokens := New(store)
		token, err := tokens.MakeAdmin(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		ask := func() error {
			_, err := tokens.Authenticate(t.Context(), "Bearer "+token)
			return err
		}

		first, second := ask(), ask()
		looks := store.looks
		clear(store.tokens)
		time.Sleep(cachedTime)
		gone := ask()

		if first != nil || second != nil || looks != 1 {
			t.Errorf("%v, %v after %d looks", first, second, looks)
		}
		if weir.CodeOf(gone) != weir.Unauthenticated {
			t.Errorf("a deleted token still acts: %v", gone)
		}
	})
}

func TestARoleMayDoWhatLesserOnesMay(t *testing.T) {
	t.Parallel()
	for _, role := range []Role{Viewer, Publisher, Editor, Admin} {
		for _, need := range []Role{Viewer, Publisher, Editor, Admin} {
			err := Principal{Name: "x", Role: role}.Need(need)
			if (err == nil) != (role >= need) || err != nil && weir.CodeOf(err) != weir.Forbidden {
				t.Errorf("%s for %s: %v", role, need, err)
			}
		}
		if got, err := ParseRole(role.String()); got != role || err != nil {
			t.Errorf("%s is read as %s, %v", role, got, err)
		}
	}
	if _, err := ParseRole("root"); weir.CodeOf(err) != weir.Invalid {
		t.Error(err)
	}
}

func TestATokenOfOneProjectStaysThere(t *testing.T) {
	t.Parallel()
	one, all := Principal{Project: 2}, Principal{}

	if one.Enter(2) != nil || weir.CodeOf(one.Enter(3)) != weir.Forbidden || all.Enter(3) != nil {
		t.Error(one.Enter(2), one.Enter(3), all.Enter(3))
	}
}

func TestTheServerIsForAdminsOfAllProjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		who Principal
		may bool
	}{{Principal{Role: Admin}, true}, {Principal{Role: Admin, Project: 1}, false}, {Principal{Role: Editor}, false}} {
		if err := c.who.NeedServer(); (err == nil) != c.may || err != nil && weir.CodeOf(err) != weir.Forbidden {
			t.Errorf("%+v: %v", c.who, err)
		}
	}
}
