// Package manifest is the file that names the chapters of a journal that are in
// force, apart from those that are newer than all it knows. It is replaced as a
// whole; so what is changed in several files is changed at once.
//
//	manifest:  one line of JSON, then its CRC-32C in hex
package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"weir"
)

// Name is the file's name.
const Name = "manifest"

// format is the newest that Decode reads.
const format = 1

// Manifest says what a journal consists of.
type Manifest struct {
	Format int    `json:"format"`
	DataID string `json:"data_id"` // in hex
	// Through is a chapter's number: those up to it are in force only if they
	// stand here, all beyond it are.
	Through  uint64    `json:"through"`
	Floor    weir.Seq  `json:"floor"` // before it, only some records are kept
	Chapters []Chapter `json:"chapters"`
	Filters  []string  `json:"filters"` // by age
	Serial   uint64    `json:"serial"`  // that of the newest filter's name
}

// Chapter is a sealed one.
type Chapter struct {
	File    string   `json:"file"`
	Index   string   `json:"index"`
	First   weir.Seq `json:"first"` // of the range that it stands for
	Last    weir.Seq `json:"last"`
	Records int      `json:"records"`
	Bytes   int64    `json:"bytes"` // up to the end of its frames
}

// Encode returns the file's content.
func (m *Manifest) Encode() ([]byte, error) {
	m.Format = format
	b, err := json.Marshal(m)
	if err != nil {
		return nil, weir.E("write manifest", weir.Internal, "%w", err)
	}
	return fmt.Appendf(append(b, '\n'), "%08x\n", sum(b)), nil
}

// Decode reads what Encode wrote. What cannot be read is Unavailable.
func Decode(b []byte) (*Manifest, error) {
	line, check, _ := bytes.Cut(b, []byte("\n"))
	if string(check) != fmt.Sprintf("%08x\n", sum(line)) {
		return nil, damaged("its checksum is wrong")
	}
	m := &Manifest{}
	if err := json.Unmarshal(line, m); err != nil {
		return nil, damaged("%v", err)
	}
	if m.Format > format {
		return nil, weir.E("open journal", weir.Unavailable,
			"the manifest has format %d, and this program reads up to %d: use a newer version of weir", m.Format, format)
	}
	for i := 1; i < len(m.Chapters); i++ {
		if m.Chapters[i-1].Last >= m.Chapters[i].First {
			return nil, damaged("its chapters are out of order")
		}
	}
	return m, nil
}

func sum(b []byte) uint32 {
	// MakeTable returns the one table of the package for this polynomial.
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}

func damaged(format string, args ...any) error {
	return weir.E("open journal", weir.Unavailable, "the manifest of the journal is damaged: "+format+": restore from a backup", args...)
}
