package postgres

import (
	"context"
	"time"

	"weir"
	"weir/internal/state"
)

const (
	putSecret = `INSERT INTO secrets (project, name, sealed, updated_us) VALUES ($1, $2, $3, $4)
ON CONFLICT (project, name) DO UPDATE SET sealed = excluded.sealed, updated_us = excluded.updated_us`
	selectSecret  = `SELECT sealed FROM secrets WHERE project = $1 AND name = $2`
	selectSecrets = `SELECT name, updated_us FROM secrets WHERE project = $1 ORDER BY name`
	deleteSecret  = `DELETE FROM secrets WHERE project = $1 AND name = $2`
)

// PutSecret stores a sealed value in place of the one before.
func (s *State) PutSecret(ctx context.Context, project weir.ProjectID, name string, sealed []byte) error {
	_, err := s.exec(ctx, "put secret", putSecret, int32(project), plain(name), sealed, time.Now().UnixMicro())
	return err
}

// FindSecret returns a sealed value, nil where there is none.
func (s *State) FindSecret(ctx context.Context, project weir.ProjectID, name string) (sealed []byte, err error) {
	_, err = s.first(ctx, "find secret", selectSecret, []any{int32(project), plain(name)}, func(r row) error {
		sealed = append([]byte{}, r[0]...)
		return nil
	})
	return sealed, err
}

// Secrets tells of a project's secrets, by name.
func (s *State) Secrets(ctx context.Context, project weir.ProjectID) (all []state.Secret, err error) {
	err = s.query(ctx, "list secrets", selectSecrets, []any{int32(project)}, func(r row) error {
		all = append(all, state.Secret{Name: r.text(0), Updated: r.time(1)})
		return nil
	})
	return all, err
}

// SecretNames returns the names of a project's secrets, sorted.
func (s *State) SecretNames(ctx context.Context, project weir.ProjectID) ([]string, error) {
	all, err := s.Secrets(ctx, project)
	return column(all, func(x *state.Secret) string { return x.Name }), err
}

// DeleteSecret removes a secret; NotFound where there is none.
func (s *State) DeleteSecret(ctx context.Context, project weir.ProjectID, name string) error {
	n, err := s.exec(ctx, "delete secret", deleteSecret, int32(project), plain(name))
	if err == nil && n == 0 {
		err = weir.E("delete secret", weir.NotFound, "there is no secret %q", name)
	}
	return err
}

const (
	tokenColumns = `hash, id, name, role, project, created_us, used_us`
	insertToken  = `INSERT INTO tokens (` + tokenColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`
	selectToken  = `SELECT ` + tokenColumns + ` FROM tokens WHERE hash = $1`
	selectTokens = `SELECT ` + tokenColumns + ` FROM tokens ORDER BY created_us, id`
	useToken     = `UPDATE tokens SET used_us = $1 WHERE id = $2 AND used_us < $1`
	deleteToken  = `DELETE FROM tokens WHERE id = $1`
)

// PutToken stores a new token; Conflict where its hash or id is taken.
func (s *State) PutToken(ctx context.Context, t state.Token) error {
	var project *int32
	if t.Project != 0 {
		project = new(int32(t.Project))
	}
	n, err := s.exec(ctx, "put token", insertToken,
		t.Hash[:], t.ID, plain(t.Name), t.Role, project, int64(t.Created), int64(t.Used))
	if err == nil && n == 0 {
		err = weir.E("put token", weir.Conflict, "there is a token %q already", t.ID)
	}
	return err
}

// TokenByHash returns a token; NotFound where there is none.
func (s *State) TokenByHash(ctx context.Context, hash state.TokenHash) (t state.Token, err error) {
	found, err := s.first(ctx, "find token", selectToken, []any{hash[:]}, func(r row) error {
		t = scanToken(r)
		return nil
	})
	if err == nil && !found {
		err = weir.E("find token", weir.NotFound, "there is no such token")
	}
	return t, err
}

// Tokens returns all tokens, oldest first.
func (s *State) Tokens(ctx context.Context) (all []state.Token, err error) {
	err = s.query(ctx, "list tokens", selectTokens, nil, func(r row) error {
		all = append(all, scanToken(r))
		return nil
	})
	return all, err
}

// UseToken notes when a token was last used. A note for a token that is gone is
// dropped.
func (s *State) UseToken(ctx context.Context, id string, at weir.Time) error {
	_, err := s.exec(ctx, "use token", useToken, int64(at), plain(id))
	return err
}

// DeleteToken removes a token; NotFound where there is none.
func (s *State) DeleteToken(ctx context.Context, id string) error {
	n, err := s.exec(ctx, "delete token", deleteToken, plain(id))
	if err == nil && n == 0 {
		err = weir.E("delete token", weir.NotFound, "there is no token %q", id)
	}
	return err
}

func scanToken(r row) state.Token {
	t := state.Token{
		ID: r.text(1), Name: r.text(2), Role: r.text(3), Project: weir.ProjectID(r.int(4)), Created: r.time(5), Used: r.time(6),
	}
	copy(t.Hash[:], r[0])
	return t
}
