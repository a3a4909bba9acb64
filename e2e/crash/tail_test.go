package crash

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	_ "modernc.org/sqlite" // reads how far a killed server had flushed
)

// TestATornTailOfTheJournalLosesNothingAcknowledged does to the end of the
// journal, after each kill, what a crash of the whole machine may do to bytes
// that no sync had made durable.
func TestATornTailOfTheJournalLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	l := newLoad(t, 200, lightLoad())
	tears := []func(t *testing.T, c *chapter) string{cutAllocated, halfFrame, halfFrameAmongZeros, garbage, l.cutUnsynced, l.cutUnsynced}
	wrong := l.run(t, func(ctx context.Context) {
		for i, tear := range tears {
			l.await(ctx, t, len(tears)-i)
			l.server.process.kill()
			l.to.drain(t)
			what := tear(t, openChapter(t, l.server.dir))
			r := l.server.start(t).caughtUp(t)
			l.counted = append(l.counted, r)
			l.gate.open()
			fmt.Printf("seen: torn tail: %s: %v\n", what, r)
		}
	})
	l.tell(len(wrong))
}

// chapter is the active chapter of a server that is not running.
type chapter struct {
	path   string
	data   []byte
	frames []frame
	end    int64
}

// frame is one append of the journal, as internal/journal/chapter writes it.
type frame struct {
	off, size int64
	first     uint64 // record
	count     uint64
	synced    int64 // what was durable before it was written
}

// openChapter reads the frames of the newest chapter.
func openChapter(t *testing.T, dir string) *chapter {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "journal", "*.chapter"))
	if err != nil || len(names) == 0 {
		t.Fatalf("chapters: %v, %v", names, err)
	}
	c := &chapter{path: slices.Max(names), end: 4096}
	if c.data, err = os.ReadFile(c.path); err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for c.end+52 <= int64(len(c.data)) && string(c.data[c.end:c.end+4]) == "WRF1" {
		b := c.data[c.end:]
		f := frame{
			off: c.end, size: 52 + int64(le.Uint32(b[44:])), first: le.Uint64(b[16:]), count: uint64(le.Uint32(b[40:])),
			synced: int64(le.Uint64(b[32:])),
		}
		c.frames = append(c.frames, f)
		c.end += f.size
	}
	if len(c.frames) == 0 {
		t.Fatalf("%s has no frames", c.path)
	}
	return c
}

// last returns the bytes of the last frame that holds records.
func (c *chapter) last() []byte {
	for _, f := range slices.Backward(c.frames) {
		if f.count > 0 {
			return c.data[f.off : f.off+f.size]
		}
	}
	return nil
}

// write puts b in the place of what stands at off, and cuts the file at size.
func (c *chapter) write(t *testing.T, b []byte, off, size int64) {
	t.Helper()
	f, err := os.OpenFile(c.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
}

func cutAllocated(t *testing.T, c *chapter) string {
	c.write(t, nil, c.end, c.end)
	return "space that was allocated ahead is gone"
}

func halfFrame(t *testing.T, c *chapter) string {
	b := c.last()
	b = b[:len(b)/2]
	c.write(t, b, c.end, c.end+int64(len(b)))
	return fmt.Sprintf("%d bytes of a frame at the end of the file", len(b))
}

func halfFrameAmongZeros(t *testing.T, c *chapter) string {
	b := bytes.Clone(c.last())
	clear(b[len(b)/2:])
	c.write(t, b, c.end, max(int64(len(c.data)), c.end+int64(len(b))))
	return fmt.Sprintf("a frame of %d bytes of which half is zeros", len(b))
}

func garbage(t *testing.T, c *chapter) string {
	b := bytes.Repeat([]byte("WRF1 is how a frame begins. "), 200)
	c.write(t, b, c.end, c.end+int64(len(b)))
	return fmt.Sprintf("%d bytes that are no frame", len(b))
}

// cutUnsynced cuts into the last group commit, where nobody can know that it was
// synced: nothing in it was acknowledged, acted on or flushed.
func (l *load) cutUnsynced(t *testing.T, c *chapter) string {
	flushed := l.flushed(t)
	told := map[string]bool{}
	for id := range l.acks.known() {
		told[id] = true
	}
	for _, call := range l.to.all() {
		for _, id := range call.members {
			told[id] = true
		}
	}
	ids := regexp.MustCompile(`s\d+-p\d+-\d{5}`)
	from := c.end
	lastSynced := c.frames[len(c.frames)-1].synced
	for _, f := range slices.Backward(c.frames) {
		known := f.first+f.count-1 <= flushed || f.off < lastSynced
		for _, id := range ids.FindAllString(string(c.data[f.off:f.off+f.size]), -1) {
			known = known || told[id]
		}
		if known {
			break
		}
		from = f.off
	}
	if from == c.end {
		c.write(t, nil, c.end, c.end)
		return "nothing of the last commit can be cut"
	}
	at := from + l.rng.Int64N(c.end-from)
	c.write(t, nil, at, at)
	return fmt.Sprintf("the last %d bytes of %d that were not known to be durable", c.end-at, c.end-from)
}

// flushed reads from a copy of the state up to where it is folded.
func (l *load) flushed(t *testing.T) (cursor uint64) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"state.db", "state.db-wal"} {
		b, err := os.ReadFile(filepath.Join(l.server.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT cursor FROM cursors WHERE shard = 0").Scan(&cursor); err != nil {
		t.Fatal(err)
	}
	return cursor
}
