package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"weir"
	"weir/internal/expr"
)

// reveal returns those of a source's secrets that are set. Its error, Unavailable,
// is for the operator: it names what is not.
func (h *Hooks) reveal(ctx context.Context, src *source, d *delivery, templates []*expr.Template) (secrets []string, err error) {
	for _, t := range templates {
		secret, failed := t.Render(h.vars(ctx, d))
		switch {
		case failed == nil && secret != "":
			secrets = append(secrets, secret)
			continue
		case failed == nil, weir.CodeOf(failed) == weir.NotFound:
			name := strings.Join(t.Secrets(), ", ")
			err = weir.E("", weir.Unavailable, "the secret %s of source %s is not set: weir secret set %s", name, src.name, name)
		default:
			err = weir.E("", weir.Unavailable, "a secret of source %s cannot be read: %w", src.name, failed)
		}
		h.log.Error("a webhook cannot be verified", "project", d.project, "source", src.name, "err", err)
	}
	return secrets, err
}

// verify fails where none of the source's secrets fits the delivery. The error
// is Unauthenticated, or, where a secret that might have fitted could not be
// read, Unavailable. It gives the delivery its own id.
func (h *Hooks) verify(ctx context.Context, src *source, d *delivery) error {
	secrets, unread := h.reveal(ctx, src, d, src.secrets)
	if len(secrets) == 0 {
		return unread
	}
	err := src.check(d, secrets)
	if err != nil && unread != nil {
		return unread
	}
	return err
}

// check is verify with the secrets at hand.
func (s *source) check(d *delivery, secrets []string) error {
	switch s.hook.Verify {
	case "token":
		return s.token(d, secrets)
	case "basic":
		return basic(d, secrets)
	}
	c, err := s.claimOf(d)
	if err != nil {
		return err
	}
	if err := c.fresh(d.now, s.tolerance); err != nil {
		return err
	}
	for _, secret := range secrets {
		key, err := s.key(secret)
		if err != nil {
			return err
		}
		mac := hmac.New(c.hash, key)
		mac.Write(c.signed)
		sum := mac.Sum(nil)
		for _, given := range c.given {
			if hmac.Equal(given, sum) {
				d.id = s.idOf(d, &c)
				return nil
			}
		}
	}
	return unauthenticated(c.field, "the signature is not that of the body")
}

// idOf returns a verified delivery's own id. One that has a time and no id gets a
// hash of what is signed, so that the same bytes sent again are a duplicate.
func (s *source) idOf(d *delivery, c *claim) string {
	id := c.id
	if c.idField != "" {
		id = d.textOf(c.idField)
	}
	if id == "" && s.hook.Timed() {
		sum := sha256.Sum256(c.signed)
		id = hex.EncodeToString(sum[:16])
	}
	return id
}

// key is what a secret stands for: of Standard Webhooks, the base64 after whsec_.
func (s *source) key(secret string) ([]byte, error) {
	text, encoded := strings.CutPrefix(secret, "whsec_")
	if s.hook.Verify != "standard" || !encoded {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) == 0 {
		return nil, weir.E("", weir.Unavailable, "a secret of source %s begins with whsec_ and is not base64 after it", s.name)
	}
	return key, nil
}

// token compares the token of a header or query parameter.
func (s *source) token(d *delivery, secrets []string) error {
	at := s.hook.Token
	if at != nil && at.Query != "" {
		return same(at.Query, d.URL.Query().Get(at.Query), secrets)
	}
	name := authorization
	if at != nil {
		name = at.Header
	}
	given := d.Header.Get(name)
	if scheme, rest, ok := strings.Cut(given, " "); ok && strings.EqualFold(name, authorization) && strings.EqualFold(scheme, "bearer") {
		given = strings.TrimSpace(rest)
	}
	return same(name, given, secrets)
}

const authorization = "Authorization"

// basic compares user and password (RFC 7617).
func basic(d *delivery, secrets []string) error {
	user, password, ok := d.BasicAuth()
	if !ok {
		return unauthenticated(authorization, "there is no user and password")
	}
	return same(authorization, user+":"+password, secrets)
}

// same fails where what is given is none of the secrets. It takes the same time
// wherever they differ.
func same(field, given string, secrets []string) error {
	if given == "" {
		return unauthenticated(field, "there is no token")
	}
	sum, found := sha256.Sum256([]byte(given)), 0
	for _, secret := range secrets {
		want := sha256.Sum256([]byte(secret))
		found |= subtle.ConstantTimeCompare(sum[:], want[:])
	}
	if found == 0 {
		return unauthenticated(field, "the token is none of the source's")
	}
	return nil
}
