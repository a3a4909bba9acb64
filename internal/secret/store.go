package secret

import (
	"context"
	"sync"
	"time"

	"weir"
)

// Sealed keeps sealed values. Find returns nil where there is none.
type Sealed interface {
	PutSecret(ctx context.Context, project weir.ProjectID, name string, sealed []byte) error
	FindSecret(ctx context.Context, project weir.ProjectID, name string) ([]byte, error)
	SecretNames(ctx context.Context, project weir.ProjectID) ([]string, error)
	DeleteSecret(ctx context.Context, project weir.ProjectID, name string) error // NotFound where there is none
}

// MaxValue is the longest value, in bytes.
const MaxValue = 64 << 10

const (
	maxName    = 63
	maxCached  = 256
	cachedTime = 10 * time.Second // another node's change is seen after it
)

// Store sets and reveals the secrets of projects. It is safe for concurrent use.
type Store struct {
	key    *Key
	sealed Sealed

	mu     sync.Mutex
	edits  uint64 // counts changes, so that a value read before one is not cached after it
	cached map[ref]entry
}

type ref struct {
	project weir.ProjectID
	name    string
}

type entry struct {
	value string
	until time.Time
}

// NewStore returns a store of values that are kept by sealed, under key.
func NewStore(key *Key, sealed Sealed) *Store {
	return &Store{key: key, sealed: sealed, cached: map[ref]entry{}}
}

// Set makes or replaces a secret. Names are [a-z][a-z0-9_]{0,62}.
func (s *Store) Set(ctx context.Context, project weir.ProjectID, name string, value []byte) error {
	if !validName(name) {
		return weir.E("set secret", weir.Invalid,
			"%q is no name of a secret: use lower-case letters, digits and _, a letter first, %d at most", name, maxName).WithField("name")
	}
	if len(value) == 0 {
		return weir.E("set secret", weir.Invalid, "an empty value is no secret").WithField("value")
	}
	if len(value) > MaxValue {
		return weir.E("set secret", weir.TooLarge, "%d bytes long, and %d are the most", len(value), MaxValue).WithField("value")
	}
	err := s.sealed.PutSecret(ctx, project, name, s.key.Seal(project, name, value))
	s.forget(ref{project, name})
	return err
}

// Delete removes a secret; NotFound where there is none.
func (s *Store) Delete(ctx context.Context, project weir.ProjectID, name string) error {
	err := s.sealed.DeleteSecret(ctx, project, name)
	s.forget(ref{project, name})
	return err
}

// Names lists the names of a project's secrets, sorted.
func (s *Store) Names(ctx context.Context, project weir.ProjectID) ([]string, error) {
	return s.sealed.SecretNames(ctx, project)
}

// Reveal returns a secret in the clear; NotFound where there is none.
func (s *Store) Reveal(ctx context.Context, project weir.ProjectID, name string) (string, error) {
	r := ref{project, name}
	now := time.Now()
	s.mu.Lock()
	e, edits := s.cached[r], s.edits
	s.mu.Unlock()
	if now.Before(e.until) {
		return e.value, nil
	}
	sealed, err := s.sealed.FindSecret(ctx, project, name)
	if err != nil {
		return "", err
	}
	if sealed == nil {
		return "", weir.E("reveal secret", weir.NotFound, "there is no secret %q", name)
	}
	value, err := s.key.Open(project, name, sealed)
	if err != nil {
		return "", err
	}
	s.remember(r, entry{string(value), now.Add(cachedTime)}, edits)
	return string(value), nil
}

// String returns "***", so that no value in the cache is printed.
func (s *Store) String() string { return "***" }

// GoString returns "***".
func (s *Store) GoString() string { return "***" }

func (s *Store) remember(r ref, e entry, edits uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.edits != edits {
		return
	}
	if len(s.cached) >= maxCached {
		clear(s.cached)
	}
	s.cached[r] = e
}

func (s *Store) forget(r ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edits++
	delete(s.cached, r)
}

func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '_') {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}
