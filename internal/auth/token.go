package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"math/big"
	"strings"
	"sync"
	"time"

	"weir"
)

// Hash is the SHA-256 of a token's text, which is itself stored nowhere. A
// token has 256 random bits, so that the hash needs no salt and no effort.
type Hash [32]byte

// HashOf returns the hash of a token's text.
func HashOf(token string) Hash { return sha256.Sum256([]byte(token)) }

func (h Hash) id() string { return "tok_" + hex.EncodeToString(h[:8]) }

// Token is a token as it is stored.
type Token struct {
	Hash    Hash
	ID      string // by which it is shown and deleted: "tok_" and 16 hex digits of the hash
	Name    string
	Role    Role
	Project weir.ProjectID // 0: all
	Created weir.Time
}

// Store keeps tokens.
type Store interface {
	PutToken(ctx context.Context, t Token) error
	TokenByHash(ctx context.Context, hash Hash) (Token, error) // NotFound where there is none
	Tokens(ctx context.Context) ([]Token, error)
}

const (
	prefix     = "weir_"
	minLength  = len(prefix) + 16
	maxLength  = 256
	cachedTime = 10 * time.Second // a token that is deleted acts no longer than that
	maxCached  = 1024
)

// Tokens tells principals by their tokens. It is for several goroutines at
// once.
type Tokens struct {
	store Store

	mu     sync.Mutex // guards:
	cached map[Hash]entry
}

type entry struct {
	principal Principal
	until     time.Time
}

// New returns the tokens of a store.
func New(store Store) *Tokens {
	return &Tokens{store: store, cached: map[Hash]entry{}}
}

// Authenticate returns who an Authorization header says that they are, or fails
// with Unauthenticated.
func (t *Tokens) Authenticate(ctx context.Context, header string) (Principal, error) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	switch {
	case header == "":
		return Principal{}, weir.E("", weir.Unauthenticated, "a token is needed: send Authorization: Bearer %s…", prefix)
	case !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(token, prefix) || len(token) > maxLength:
		return Principal{}, weir.E("", weir.Unauthenticated, "the Authorization header holds no token of Weir: send Bearer %s…", prefix)
	}
	hash, now := HashOf(token), time.Now()
	t.mu.Lock()
	e := t.cached[hash]
	t.mu.Unlock()
	if now.Before(e.until) {
		return e.principal, nil
	}
	stored, err := t.store.TokenByHash(ctx, hash)
	if weir.CodeOf(err) == weir.NotFound || err == nil && subtle.ConstantTimeCompare(stored.Hash[:], hash[:]) != 1 {
		return Principal{}, weir.E("", weir.Unauthenticated, "the token is not known")
	}
	if err != nil {
		return Principal{}, err
	}
	e = entry{Principal{Name: stored.Name, Role: stored.Role, Project: stored.Project}, now.Add(cachedTime)}
	t.remember(hash, e)
	return e.principal, nil
}

func (t *Tokens) remember(hash Hash, e entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.cached) >= maxCached {
		clear(t.cached)
	}
	t.cached[hash] = e
}

// Forget has every token looked up anew, because some are gone.
func (t *Tokens) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.cached)
}

// MakeAdmin makes the admin's token where the store has no token at all: the
// one given, or, where that is "", a random one. It returns the token's text,
// to be shown once, or "" where there was one already.
func (t *Tokens) MakeAdmin(ctx context.Context, given string) (string, error) {
	stored, err := t.store.Tokens(ctx)
	if err != nil || len(stored) > 0 {
		return "", err
	}
	token := given
	switch {
	case given == "":
		token = NewToken()
	case !strings.HasPrefix(given, prefix) || len(given) < minLength || len(given) > maxLength:
		return "", weir.E("make admin", weir.Invalid,
			"a token begins with %s and has %d to %d characters", prefix, minLength, maxLength).WithField("token")
	}
	hash := HashOf(token)
	err = t.store.PutToken(ctx, Token{
		Hash: hash, ID: hash.id(), Name: "admin", Role: Admin, Created: weir.TimeOf(time.Now()),
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// NewToken returns the text of a new token: "weir_" and 43 digits of base 62,
// which hold 256 random bits.
func NewToken() string {
	const digits = 43
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	s := new(big.Int).SetBytes(b[:]).Text(62)
	return prefix + strings.Repeat("0", digits-len(s)) + s
}
