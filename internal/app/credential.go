package app

import (
	"context"

	"weir/internal/auth"
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
