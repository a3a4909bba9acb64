package weir

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Seq is a record's place in its shard's journal, from 1 without gaps. As a
// cursor it means "up to and including".
type Seq uint64

// Shard numbers a part of the journal with one order; 10 bits. The embedded
// engine has shard 0 only.
type Shard uint16

// ProjectID is a project's number, never used again. It stands in identities,
// so a project made anew under an old name shares nothing with it.
type ProjectID uint32

// DefaultProject is the project that exists from the first start, under the
// name "default".
const DefaultProject ProjectID = 1

// EventUID identifies an accepted event. It is computed from its place, so it
// is stored nowhere: at in milliseconds (48 bits), shard (10), seq (64).
type EventUID [16]byte

// RunID identifies a run; the zero value is none.
type RunID [16]byte

// GroupID identifies a group; the zero value is none.
type GroupID [16]byte

// Place is the uid of the event accepted at the given time and place.
func Place(at Time, shard Shard, seq Seq) EventUID {
	return EventUID(uuid7(at, uint64(shard)<<2|uint64(seq)>>62, uint64(seq)))
}

// Seq returns the event's place.
func (u EventUID) Seq() Seq {
	hi, lo := bits74(u)
	return Seq(hi<<62 | lo)
}

// Shard returns the shard of the event's place.
func (u EventUID) Shard() Shard {
	hi, _ := bits74(u)
	return Shard(hi >> 2)
}

// Origin is what the id of a run or group is computed from: the record that
// made it, and what tells apart the several things that one record makes.
type Origin struct {
	At      Time
	Shard   Shard
	Seq     Seq
	Trigger string
	Purpose string // "match", "group", "late", "end"
	Index   string // tells apart what shares all of the above
}

// RunID computes the id of the run made by o.
func (o Origin) RunID() RunID { return RunID(o.id('r')) }

// GroupID computes the id of the group made by o.
func (o Origin) GroupID() GroupID { return GroupID(o.id('g')) }

func (o Origin) id(kind byte) [16]byte {
	var scratch [128]byte
	b := append(scratch[:0], kind)
	b = binary.BigEndian.AppendUint16(b, uint16(o.Shard))
	b = binary.BigEndian.AppendUint64(b, uint64(o.Seq))
	b = appendPart(b, o.Trigger)
	b = appendPart(b, o.Purpose)
	b = appendPart(b, o.Index)
	sum := sha256.Sum256(b)
	return uuid7(o.At, binary.BigEndian.Uint64(sum[:8])&0xfff, binary.BigEndian.Uint64(sum[8:16]))
}

// uuid7 lays out RFC 9562 version 7: 48 bits of milliseconds, then the low 12
// bits of hi and the low 62 bits of lo around version and variant.
func uuid7(at Time, hi, lo uint64) (u [16]byte) {
	ms := uint64(at / 1000)
	binary.BigEndian.PutUint64(u[:8], ms<<16|0x7000|hi&0xfff)
	binary.BigEndian.PutUint64(u[8:], lo&(1<<62-1)|1<<63)
	return u
}

func bits74(u [16]byte) (hi, lo uint64) {
	return binary.BigEndian.Uint64(u[:8]) & 0xfff, binary.BigEndian.Uint64(u[8:]) & (1<<62 - 1)
}

// MadeAt returns the millisecond in an id, which is when its record was
// accepted.
func MadeAt[ID EventUID | RunID | GroupID](id ID) Time {
	u := [16]byte(id)
	return Time(binary.BigEndian.Uint64(u[:8])>>16) * 1000
}

const (
	eventPrefix = "evt_"
	runPrefix   = "run_"
	groupPrefix = "grp_"
)

// String returns "evt_" and 32 hex digits, which sort by place.
func (u EventUID) String() string { return eventPrefix + hex.EncodeToString(u[:]) }

// String returns "run_" and 32 hex digits, or "" for none.
func (r RunID) String() string { return idText(runPrefix, r) }

// String returns "grp_" and 32 hex digits, or "" for none.
func (g GroupID) String() string { return idText(groupPrefix, g) }

// IsZero reports whether r is none.
func (r RunID) IsZero() bool { return r == RunID{} }

// IsZero reports whether g is none.
func (g GroupID) IsZero() bool { return g == GroupID{} }

// ParseEventUID reads what EventUID.String writes.
func ParseEventUID(s string) (EventUID, error) {
	u, err := parseID(eventPrefix, s)
	return EventUID(u), err
}

// ParseRunID reads what RunID.String writes.
func ParseRunID(s string) (RunID, error) {
	u, err := parseID(runPrefix, s)
	return RunID(u), err
}

// ParseGroupID reads what GroupID.String writes.
func ParseGroupID(s string) (GroupID, error) {
	u, err := parseID(groupPrefix, s)
	return GroupID(u), err
}

func idText(prefix string, u [16]byte) string {
	if u == [16]byte{} {
		return ""
	}
	return prefix + hex.EncodeToString(u[:])
}

func parseID(prefix, s string) (u [16]byte, err error) {
	digits, ok := strings.CutPrefix(s, prefix)
	if ok && len(digits) == 32 {
		_, err = hex.Decode(u[:], []byte(digits))
	}
	if !ok || len(digits) != 32 || err != nil {
		return u, E("parse id", Invalid, "%q is not an id of the form %s followed by 32 hex digits", s, prefix)
	}
	return u, nil
}

// appendPart appends s with its length before it, so that parts cannot run
// into one another.
func appendPart(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// Identity is the fingerprint of what may be in a journal only once: 128 bits
// of a SHA-256. The zero value means that the record has none.
type Identity [16]byte

// Identity returns the record's identity: (project, source, id) of an event,
// (run, n) of a change, (project, application, key, generation) of a start
// order, (project, revision) of an apply order. Ticks and stale changes have
// none.
func (r *Record) Identity() Identity {
	switch {
	case r.Event != nil:
		return Fingerprint('e', r.Project, 0, r.Event.Source, r.Event.ID)
	case r.Change != nil && r.Change.Kind != Stale:
		return Fingerprint('c', r.Project, uint64(r.Change.N), string(r.Change.Run[:]))
	case r.Apply != nil:
		return Fingerprint('a', r.Project, r.Apply.Revision)
	case r.Start != nil:
		return Fingerprint('s', r.Project, r.Start.Generation, r.Start.Application, r.Start.Key)
	}
	return Identity{}
}

// Fingerprint hashes a kind of thing and its parts, which cannot run into one
// another.
func Fingerprint(kind byte, project ProjectID, n uint64, parts ...string) Identity {
	var scratch [192]byte
	buf := append(scratch[:0], kind)
	buf = binary.BigEndian.AppendUint32(buf, uint32(project))
	buf = binary.BigEndian.AppendUint64(buf, n)
	for _, part := range parts {
		buf = appendPart(buf, part)
	}
	sum := sha256.Sum256(buf)
	return Identity(sum[:16])
}
