// Package auth says who calls and what they may do: opaque tokens, of which
// only the hash is stored, and roles. The API asks it before anything else; app
// makes the first token.
package auth
