package sqlite

import (
	"context"
	"database/sql/driver"
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

// PutSecret stores a sealed value, durably, in place of the one before.
func (s *State) PutSecret(ctx context.Context, project weir.ProjectID, name string, sealed []byte) error {
	return s.write(ctx, full, "put secret", func(c *conn) error {
		_, err := c.exec(ctx, putSecret, int64(project), name, sealed, time.Now().UnixMicro())
		return err
	})
}

// FindSecret returns a sealed value, nil where there is none.
func (s *State) FindSecret(ctx context.Context, project weir.ProjectID, name string) (sealed []byte, err error) {
	err = s.read(ctx, "find secret", func(c *conn) error {
		_, err := c.first(ctx, selectSecret, []driver.Value{int64(project), name}, func(r row) error {
			sealed = r.blob(0)
			return nil
		})
		return err
	})
	return sealed, err
}

// Secrets tells of a project's secrets, by name.
func (s *State) Secrets(ctx context.Context, project weir.ProjectID) (all []state.Secret, err error) {
	err = s.read(ctx, "list secrets", func(c *conn) error {
		return c.query(ctx, selectSecrets, []driver.Value{int64(project)}, func(r row) error {
			all = append(all, state.Secret{Name: r.text(0), Updated: r.time(1)})
			return nil
		})
	})
	return all, err
}

// SecretNames returns the names of a project's secrets, sorted.
func (s *State) SecretNames(ctx context.Context, project weir.ProjectID) ([]string, error) {
	all, err := s.Secrets(ctx, project)
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	return names, err
}

// DeleteSecret removes a secret, durably; NotFound where there is none.
func (s *State) DeleteSecret(ctx context.Context, project weir.ProjectID, name string) error {
	return s.write(ctx, full, "delete secret", func(c *conn) error {
		n, err := c.exec(ctx, deleteSecret, int64(project), name)
		if err == nil && n == 0 {
			err = weir.E("", weir.NotFound, "there is no secret %q", name)
		}
		return err
	})
}

const (
	tokenColumns = `hash, id, name, role, project, created_us, used_us`
	insertToken  = `INSERT INTO tokens (` + tokenColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	takenToken   = `SELECT 1 FROM tokens WHERE hash = $1 OR id = $2`
	selectToken  = `SELECT ` + tokenColumns + ` FROM tokens WHERE hash = $1`
	selectTokens = `SELECT ` + tokenColumns + ` FROM tokens ORDER BY created_us, id`
	useToken     = `UPDATE tokens SET used_us = $1 WHERE id = $2 AND used_us < $1`
	deleteToken  = `DELETE FROM tokens WHERE id = $1`
)

// PutToken stores a new token, durably; Conflict where its hash or id is taken.
func (s *State) PutToken(ctx context.Context, t state.Token) error {
	return s.write(ctx, full, "put token", func(c *conn) error {
		taken, err := c.first(ctx, takenToken, []driver.Value{t.Hash[:], t.ID}, func(row) error { return nil })
		if err != nil {
			return err
		}
		if taken {
			return weir.E("", weir.Conflict, "there is a token %q already", t.ID)
		}
		var project driver.Value
		if t.Project != 0 {
			project = int64(t.Project)
		}
		_, err = c.exec(ctx, insertToken, t.Hash[:], t.ID, t.Name, t.Role, project, int64(t.Created), int64(t.Used))
		return err
	})
}

// TokenByHash returns a token; NotFound where there is none.
func (s *State) TokenByHash(ctx context.Context, hash state.TokenHash) (t state.Token, err error) {
	err = s.read(ctx, "find token", func(c *conn) error {
		found, err := c.first(ctx, selectToken, []driver.Value{hash[:]}, func(r row) error {
			t = scanToken(r)
			return nil
		})
		if err == nil && !found {
			err = weir.E("", weir.NotFound, "there is no such token")
		}
		return err
	})
	return t, err
}

// Tokens returns all tokens, oldest first.
func (s *State) Tokens(ctx context.Context) (all []state.Token, err error) {
	err = s.read(ctx, "list tokens", func(c *conn) error {
		return c.query(ctx, selectTokens, nil, func(r row) error {
			all = append(all, scanToken(r))
			return nil
		})
	})
	return all, err
}

// UseToken notes when a token was last used. The note may be lost in a power
// cut, and one for a token that is gone is dropped.
func (s *State) UseToken(ctx context.Context, id string, at weir.Time) error {
	return s.write(ctx, normal, "use token", func(c *conn) error {
		_, err := c.exec(ctx, useToken, int64(at), id)
		return err
	})
}

// DeleteToken removes a token, durably; NotFound where there is none.
func (s *State) DeleteToken(ctx context.Context, id string) error {
	return s.write(ctx, full, "delete token", func(c *conn) error {
		n, err := c.exec(ctx, deleteToken, id)
		if err == nil && n == 0 {
			err = weir.E("", weir.NotFound, "there is no token %q", id)
		}
		return err
	})
}

func scanToken(r row) state.Token {
	t := state.Token{
		ID: r.text(1), Name: r.text(2), Role: r.text(3), Project: weir.ProjectID(r.int(4)), Created: r.time(5), Used: r.time(6),
	}
	copy(t.Hash[:], r.blob(0))
	return t
}
