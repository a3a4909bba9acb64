package weir

// Group is the state of one trigger for one key, open: a group that ends is
// removed and its run made in the same fold.
type Group struct {
	ID         GroupID
	Project    ProjectID
	Trigger    string
	Revision   uint64 // of the definition that last took an event
	Key        string // JSON object, parts in the order of group_by; "{}" without group_by
	KeyHash    Identity
	Late       bool
	Opened     Time  // acceptance of the oldest event
	Joined     Time  // acceptance of the newest event
	First      Time  // least event time, skew applied
	Last       Time  // greatest event time, skew applied
	Count      int   // members
	Have       []int // per criterion of fire: events so far, up to its count
	Full       bool
	Due        Time // when it ends; none is never
	DueReason  Reason
	Hops       int
	Quiet      bool
	Executions []string

	// Members are kept in chunks of ChunkSize. Tail is the last, unfilled one;
	// Chunks says how many full ones state holds.
	Chunks int
	Tail   []Member
}

// ChunkSize is how many members a full chunk has.
const ChunkSize = 256

// Chunk is a part of the members of a group, or of the run that the group made,
// under the group's id.
type Chunk struct {
	Group   GroupID
	Index   int
	Members []Member
}
