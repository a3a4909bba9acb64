package journal

import (
	"math/bits"

	"weir"
)

// AppendHashes appends the hashes under which r is found: one for each kind of
// look-up that it has a value for, and one for each member of its firing. They
// are the same in every program, so an engine may store them.
func AppendHashes(dst []uint64, r *weir.Record) []uint64 {
	p := r.Project
	switch {
	case r.Event != nil:
		e := r.Event
		dst = append(dst, hash(ByType, p, e.Type), hash(BySource, p, e.Source))
		if e.Subject != "" {
			dst = append(dst, hash(BySubject, p, e.Subject))
		}
		if e.Execution != "" {
			dst = append(dst, hash(ByExecution, p, e.Execution))
		}
		if !e.Cause.IsZero() {
			dst = append(dst, hash(ByCause, p, string(e.Cause[:])))
		}
		if e.Blob != nil {
			dst = append(dst, hash(ByBlob, 0, e.Blob.ID))
		}
	case r.Change != nil:
		c := r.Change
		dst = append(dst, hash(ByRun, p, string(c.Run[:])), hash(ByPipeline, p, c.Pipeline))
		if c.Trigger != "" {
			dst = append(dst, hash(ByTrigger, p, c.Trigger))
		}
		if c.Firing != nil {
			dst = appendFiring(dst, p, c.Firing)
		}
	}
	return dst
}

func appendFiring(dst []uint64, p weir.ProjectID, f *weir.Firing) []uint64 {
	for _, x := range f.Executions {
		dst = append(dst, hash(ByExecution, p, x))
	}
	if !f.Group.IsZero() {
		dst = append(dst, hash(ByGroup, p, string(f.Group[:])))
	}
	for _, m := range f.Members {
		dst = append(dst, hashNumber(ByLink, p, uint64(m.Seq)))
	}
	return dst
}

// The multipliers of mix: odd, with about as many ones as zeros.
const (
	mixText = 0x9e3779b97f4a7c15
	mixLast = 0xd6e8feb86659fd93
)

// mix folds the 128-bit product of its operands.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// hash is part of the format of engines that store it: never change it.
func hash(k Kind, p weir.ProjectID, s string) uint64 {
	h := mix(uint64(p)<<8|uint64(k), mixText) ^ uint64(len(s))
	for len(s) >= 8 {
		word := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		h = mix(h^word, mixText)
		s = s[8:]
	}
	var word uint64
	for i := range len(s) {
		word |= uint64(s[i]) << (8 * i)
	}
	return mix(mix(h^word, mixText), mixLast)
}

func hashNumber(k Kind, p weir.ProjectID, n uint64) uint64 {
	h := mix(uint64(p)<<8|uint64(k), mixText)
	return mix(mix(h^n, mixText), mixLast)
}
