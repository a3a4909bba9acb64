package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"weir"
	"weir/internal/auth"
	"weir/internal/secret"
	"weir/internal/state"
)

// tokenStore keeps auth's tokens as state's: neither room knows the other.
type tokenStore struct{ control controlStore }

func (s tokenStore) PutToken(ctx context.Context, t auth.Token) error {
	return s.control.PutToken(ctx, state.Token{
		Hash: state.TokenHash(t.Hash), ID: t.ID, Name: t.Name, Role: t.Role.String(), Project: t.Project, Created: t.Created,
	})
}

func (s tokenStore) TokenByHash(ctx context.Context, hash auth.Hash) (auth.Token, error) {
	t, err := s.control.TokenByHash(ctx, state.TokenHash(hash))
	if err != nil {
		return auth.Token{}, err
	}
	return fromState(t)
}

func (s tokenStore) Tokens(ctx context.Context) ([]auth.Token, error) {
	stored, err := s.control.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	tokens := make([]auth.Token, len(stored))
	for i, t := range stored {
		if tokens[i], err = fromState(t); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

func fromState(t state.Token) (auth.Token, error) {
	role, err := auth.ParseRole(t.Role)
	return auth.Token{
		Hash: auth.Hash(t.Hash), ID: t.ID, Name: t.Name, Role: role, Project: t.Project, Created: t.Created,
	}, err
}

// sealedUnder is where the state notes the mark of the key of its secrets.
const sealedUnder = "secret key"

// openKey returns the key of the secrets: the configured one, or that in the data
// directory, where it is made if there is none. All nodes must have one key, so
// the first leaves its mark in the database, and another is refused.
func (a *App) openKey(ctx context.Context) (*secret.Key, error) {
	file := filepath.Join(a.config.Data, keyFile)
	given := a.config.SecretKey.Reveal()
	if a.config.Database.IsZero() {
		return a.openKeyAlone(ctx, file, given)
	}
	mark, err := a.control.Meta(ctx, sealedUnder)
	first := weir.CodeOf(err) == weir.NotFound
	if err != nil && !first {
		return nil, err
	}
	if _, err := os.Stat(file); given == "" && !first && errors.Is(err, fs.ErrNotExist) {
		return nil, weir.E("open the secrets' key", weir.Invalid,
			"the secrets in the database are sealed under a key, and this node has none: set WEIR_SECRET_KEY to the one that the other nodes have, "+
				"or copy their %s to %s", keyFile, file).WithField("secret_key")
	}
	key, err := readKey(file, given)
	switch {
	case err != nil:
		return nil, err
	case first:
		return key, a.control.PutMeta(ctx, sealedUnder, key.Mark())
	case !bytes.Equal(mark, key.Mark()):
		return nil, weir.E("open the secrets' key", weir.Invalid,
			"the secrets in the database are sealed under another key than this node's: set WEIR_SECRET_KEY to the one that the other nodes have, "+
				"or copy their %s to %s", keyFile, file).WithField("secret_key")
	}
	return key, nil
}

// openKeyAlone makes a key only where nothing is sealed yet: a new one in place of
// one that was left behind would open no secret. Another key that stands there is
// what somebody wants, and is told of.
func (a *App) openKeyAlone(ctx context.Context, file, given string) (*secret.Key, error) {
	all, err := a.sealed(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(file); given == "" && len(all) > 0 && errors.Is(err, fs.ErrNotExist) {
		return nil, weir.E("open the secrets' key", weir.Invalid,
			"secrets are kept here, and their key is not: bring it back as %s or in WEIR_SECRET_KEY; "+
				"if it is lost, put a new one there (openssl rand -hex 32) and set the secrets anew", file).WithField("secret_key")
	}
	key, err := readKey(file, given)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if _, err := key.Open(s.project.ID, s.name, s.value); err != nil {
			a.log.Error("a secret cannot be opened", "project", s.project.Name, "secret", s.name, "err", err)
		}
	}
	return key, nil
}

// sealedSecret is a secret as it is kept.
type sealedSecret struct {
	project weir.Project
	name    string
	value   []byte
}

func (a *App) sealed(ctx context.Context) (all []sealedSecret, err error) {
	projects, err := a.control.Projects(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range projects {
		names, err := a.state.SecretNames(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			value, err := a.state.FindSecret(ctx, p.ID, name)
			if err != nil {
				return nil, err
			}
			all = append(all, sealedSecret{p, name, value})
		}
	}
	return all, nil
}

// readKey reads the key that was given, or that in a file, which it makes where
// there is none.
func readKey(file, given string) (*secret.Key, error) {
	if given != "" {
		return secret.ParseKey(given)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	return secret.OpenKeyFile(file)
}
