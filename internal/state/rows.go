package state

import "weir"

// DefaultLimit is how many rows a list has where its filter names no limit.
const DefaultLimit = 100

// GroupFilter says which open groups to list, newest first. Zero fields but
// Project do not filter.
type GroupFilter struct {
	Project weir.ProjectID
	Trigger string
	Having  string       // as that of RunFilter
	After   weir.GroupID // the last id of the page before
	Limit   int          // 0 is DefaultLimit
}

// RunFilter says which runs in state to list, newest first. Zero fields but
// Project do not filter.
//
// A pending run with a flushed lease is listed as running, and only so.
type RunFilter struct {
	Project   weir.ProjectID
	State     weir.RunState
	Pipeline  string
	Trigger   string
	Execution string     // looked for in every run that the other fields leave: slow over very many
	Having    string     // likewise: bytes that stand somewhere in the stored form, for callers that look closer
	After     weir.RunID // the last id of the page before
	Limit     int        // 0 is DefaultLimit
}

// Secret tells of a secret without its value.
type Secret struct {
	Name    string
	Updated weir.Time
}

// TokenHash is the SHA-256 of a token's text, which is itself stored nowhere.
type TokenHash [32]byte

// Token is a right to call the API.
type Token struct {
	Hash    TokenHash
	ID      string // by which it is shown and deleted
	Name    string
	Role    string
	Project weir.ProjectID // 0 is all
	Created weir.Time
	Used    weir.Time // last; none is never
}

// RefusalCount says how many refusals a project had, for one code at one door,
// since it was made.
type RefusalCount struct {
	Code weir.Code
	Door string
	N    int64
}

// RefusalsKept is how many refusals per project are kept for reading; older
// ones are only counted.
const RefusalsKept = 10_000
