package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir"
	"weir/internal/config"
	"weir/internal/secret"
)

// noted is what nodes note in the database that they share.
type noted struct {
	controlStore
	meta map[string][]byte
}

func (n *noted) Meta(_ context.Context, name string) ([]byte, error) {
	if value, ok := n.meta[name]; ok {
		return value, nil
	}
	return nil, weir.E("", weir.NotFound, "nothing")
}

func (n *noted) PutMeta(_ context.Context, name string, value []byte) error {
	n.meta[name] = value
	return nil
}

func TestAllNodesOfADatabaseHaveOneKey(t *testing.T) {
	t.Parallel()
	shared := &noted{meta: map[string][]byte{}}
	open := func(dir, key string) error {
		cfg := config.Default()
		cfg.Data, cfg.Database, cfg.SecretKey = dir, config.NewDatabase("postgres://db/weir"), config.NewSecret(key)
		_, err := (&App{config: cfg, engine: &engine{control: shared}}).openKey(t.Context())
		return err
	}
	first, second, third := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "c")

	if err := open(first, ""); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(first, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := open(first, ""); err != nil {
		t.Errorf("the first node again: %v", err)
	}
	if err := open(second, string(key)); err != nil {
		t.Errorf("a node that is given the key: %v", err)
	}
	none, other := open(third, ""), open(second, strings.Repeat("0f", 32))

	if weir.CodeOf(none) != weir.Invalid || !strings.Contains(none.Error(), "this node has none: set WEIR_SECRET_KEY") {
		t.Errorf("a node without a key: %v", none)
	}
	if weir.CodeOf(other) != weir.Invalid || !strings.Contains(other.Error(), "another key than this node's: set WEIR_SECRET_KEY") {
		t.Errorf("a node with another key: %v", other)
	}
	for _, dir := range []string{second, third} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s was made, and nothing is kept there", dir)
		}
	}
}

func TestAloneTheKeyIsThatOfTheDirectoryOrTheOneGiven(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	made, err := keyAlone(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.SecretKey = config.NewSecret(strings.Repeat("0f", 32))

	given, err := keyAlone(t, cfg)

	if err != nil || string(given.Mark()) == string(made.Mark()) {
		t.Errorf("%v, %x and %x", err, given.Mark(), made.Mark())
	}
}

// A directory that was restored without its key would seem whole with a new one,
// and turn deliveries away.
func TestAloneNoKeyIsMadeWhereSecretsHaveOne(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	key, err := keyAlone(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	e := openAlone(t, cfg)
	project, err := e.state.ProjectByName(t.Context(), "default")
	if err == nil {
		err = e.state.PutSecret(t.Context(), project.ID, "door", key.Seal(project.ID, "door", []byte("sesame")))
	}
	if err := errors.Join(err, e.close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(cfg.Data, keyFile)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}

	_, without := keyAlone(t, cfg)
	_, unmade := os.Stat(file)
	cfg.SecretKey = config.NewSecret(strings.Repeat("0f", 32))
	_, another := keyAlone(t, cfg)

	if weir.CodeOf(without) != weir.Invalid || !strings.Contains(without.Error(), file) || unmade == nil {
		t.Errorf("without the key: %v; %v", without, unmade)
	}
	if another != nil {
		t.Errorf("with another key, given on purpose: %v", another)
	}
}

func keyAlone(t *testing.T, cfg config.Config) (*secret.Key, error) {
	t.Helper()
	e := openAlone(t, cfg)
	key, err := (&App{config: cfg, engine: e, log: slog.New(slog.DiscardHandler)}).openKey(t.Context())
	return key, errors.Join(err, e.close())
}

func openAlone(t *testing.T, cfg config.Config) *engine {
	t.Helper()
	e, err := openEmbedded(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return e
}
