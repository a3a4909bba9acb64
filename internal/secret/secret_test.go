package secret

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir"
)

func newKey(t *testing.T) *Key {
	t.Helper()
	k, err := OpenKeyFile(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyFileIsMadeOnceForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")

	first, err := OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if got, err := second.Open(1, "a", first.Seal(1, "a", []byte("v"))); err != nil || string(got) != "v" {
		t.Errorf("got %q, %v", got, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTwoProcessesThatStartAtOnceUseOneKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	keys := make([]*Key, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			k, err := OpenKeyFile(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = k
		})
	}
	wg.Wait()

	for _, k := range keys {
		if k == nil || k.mark != keys[0].mark {
			t.Fatal("two keys")
		}
	}
}

func TestKeyFileThatOthersMayReadIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if _, err := OpenKeyFile(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}

	if _, err := OpenKeyFile(path); weir.CodeOf(err) != weir.Forbidden {
		t.Errorf("got %v", err)
	}
}

func TestBrokenKeyIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("0", 66), strings.Repeat("g", 64)} {
		if _, err := ParseKey(text); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestSealedValueOpensOnlyWhereItBelongs(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	sealed := k.Seal(1, "a", []byte("value"))
	damaged := bytes.Clone(sealed)
	damaged[len(damaged)-1] ^= 1

	for name, c := range map[string]struct {
		key     *Key
		project weir.ProjectID
		name    string
		sealed  []byte
	}{
		"another project": {k, 2, "a", sealed},
		"another name":    {k, 1, "b", sealed},
		"another key":     {newKey(t), 1, "a", sealed},
		"damaged":         {k, 1, "a", damaged},
		"cut":             {k, 1, "a", sealed[:8]},
		"nothing":         {k, 1, "a", nil},
		"another format":  {k, 1, "a", append([]byte{9}, sealed[1:]...)},
	} {
		if got, err := c.key.Open(c.project, c.name, c.sealed); weir.CodeOf(err) != weir.Internal {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if bytes.Contains(sealed, []byte("value")) || bytes.Equal(sealed, k.Seal(1, "a", []byte("value"))) {
		t.Error("not sealed, or sealed twice alike")
	}
}

func TestKeyAndStoreAreNotPrinted(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	s := NewStore(k, memory{})
	for _, v := range []any{k, s} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, v); got != "***" {
				t.Errorf("%s of %T: %s", verb, v, got)
			}
		}
	}
}

func TestStoreSetsRevealsListsAndDeletes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := NewStore(newKey(t), memory{})

	for _, value := range []string{"one", "two"} {
		if err := s.Set(ctx, 1, "tok", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Reveal(ctx, 1, "tok"); got != value || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, value)
		}
	}
	if names, err := s.Names(ctx, 1); len(names) != 1 || names[0] != "tok" || err != nil {
		t.Errorf("got %v, %v", names, err)
	}
	if err := s.Delete(ctx, 1, "tok"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Reveal(ctx, 1, "tok"); weir.CodeOf(err) != weir.NotFound {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := s.Reveal(ctx, 2, "tok"); weir.CodeOf(err) != weir.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestStoreRefusesBadNamesAndValues(t *testing.T) {
	t.Parallel()
	s := NewStore(newKey(t), memory{})
	for _, name := range []string{"", "A", "1a", "_a", "a-b", "a.b", "ä", strings.Repeat("a", 64)} {
		if err := s.Set(t.Context(), 1, name, []byte("v")); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%q: got %v", name, err)
		}
	}
	if err := s.Set(t.Context(), 1, strings.Repeat("a", 63), make([]byte, MaxValue)); err != nil {
		t.Errorf("the longest: got %v", err)
	}
	if err := s.Set(t.Context(), 1, "a", make([]byte, MaxValue+1)); weir.CodeOf(err) != weir.TooLarge {
		t.Errorf("got %v", err)
	}
	if err := s.Set(t.Context(), 1, "a", nil); weir.CodeOf(err) != weir.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestAnotherNodesChangeIsSeenAfterAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		k, sealed := newKey(t), memory{}
		here, there := NewStore(k, sealed), NewStore(k, sealed)
		if err := here.Set(ctx, 1, "tok", []byte("old")); err != nil {
			t.Fatal(err)
		}
		if _, err := here.Reveal(ctx, 1, "tok"); err != nil {
			t.Fatal(err)
		}
		if err := there.Set(ctx, 1, "tok", []byte("new")); err != nil {
			t.Fatal(err)
		}

		time.Sleep(cachedTime + time.Millisecond)

		if got, err := here.Reveal(ctx, 1, "tok"); got != "new" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// memory keeps sealed values of tests, which use it from one goroutine.
type memory map[ref][]byte

func (m memory) PutSecret(_ context.Context, project weir.ProjectID, name string, sealed []byte) error {
	m[ref{project, name}] = sealed
	return nil
}

func (m memory) FindSecret(_ context.Context, project weir.ProjectID, name string) ([]byte, error) {
	return m[ref{project, name}], nil
}

func (m memory) SecretNames(_ context.Context, project weir.ProjectID) (names []string, err error) {
	for r := range m {
		if r.project == project {
			names = append(names, r.name)
		}
	}
	return names, nil
}

func (m memory) DeleteSecret(_ context.Context, project weir.ProjectID, name string) error {
	if m[ref{project, name}] == nil {
		return weir.E("delete secret", weir.NotFound, "there is no secret %q", name)
	}
	delete(m, ref{project, name})
	return nil
}

func TestTheMarkTellsKeysApart(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0f", 32)
	one, err := ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	same, err := ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}

	if !bytes.Equal(one.Mark(), same.Mark()) || bytes.Equal(one.Mark(), newKey(t).Mark()) {
		t.Errorf("%x, %x", one.Mark(), same.Mark())
	}
}
