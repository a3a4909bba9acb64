package weir

import (
	"crypto/sha256"
	"encoding/binary"
)

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
		return Fingerprint('c', r.Project, uint64(r.Change.N), string(r.Change.Run[:]), "")
	case r.Apply != nil:
		return Fingerprint('a', r.Project, r.Apply.Revision, "", "")
	case r.Start != nil:
		return Fingerprint('s', r.Project, r.Start.Generation, r.Start.Application, r.Start.Key)
	}
	return Identity{}
}

// Fingerprint hashes a kind of thing and its parts, which cannot run into one
// another.
func Fingerprint(kind byte, project ProjectID, n uint64, a, b string) Identity {
	var scratch [192]byte
	buf := append(scratch[:0], kind)
	buf = binary.BigEndian.AppendUint32(buf, uint32(project))
	buf = binary.BigEndian.AppendUint64(buf, n)
	buf = appendPart(buf, a)
	buf = appendPart(buf, b)
	sum := sha256.Sum256(buf)
	return Identity(sum[:16])
}
