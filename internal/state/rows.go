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
	After   weir.GroupID // the Reached of the page before
	Limit   int          // 0 is DefaultLimit
	Look    int          // as that of RunFilter
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
	Execution string
	Having    string     // bytes that stand somewhere in the stored form, for callers that look closer
	After     weir.RunID // the Reached of the page before
	Limit     int        // 0 is DefaultLimit
	Look      int        // rows of each state to look at, a microsecond each, where only project and state have an index; 0: all
}

// Listed says what a page of a list shows.
type Listed struct {
	AsOf    weir.Seq // the cursor
	Looked  int      // rows looked at, about
	Reached [16]byte // the id down to which it looked, which another page may go on behind; zero: to the end
}

// More reports whether another page may have more.
func (l *Listed) More() bool { return l.Reached != [16]byte{} }

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
