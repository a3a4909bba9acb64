package chapter

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"syscall"

	"weir/internal/journal/disk"
)

const pageSize = 4096

type page [pageSize]byte

// faultDisk is a directory in memory that forgets what was not synced. Pages
// are never changed but replaced, so that copies of a disk are cheap.
type faultDisk struct {
	mu     sync.Mutex // guards all below
	names  map[string]*faultFile
	safe   map[string]*faultFile // the names that a crash leaves
	locked bool
	room   int64 // bytes that files may have together; 0 is no bound

	// before is asked before each operation that changes something, without the
	// lock, by one at a time; its error is the operation's.
	before func(op, name string) error
	asking sync.Mutex
}

// faultFile is a file of a faultDisk, which guards it.
type faultFile struct {
	disk     *faultDisk
	name     string
	pages    map[int]*page // as readers see them; absent is zeros
	size     int64
	safe     map[int]*page // as they are on the disk
	safeSize int64
	dirty    map[int]bool // pages that the next sync writes
}

var errCrashed = errors.New("the machine has no power")

func newFaultDisk() *faultDisk {
	return &faultDisk{names: map[string]*faultFile{}, safe: map[string]*faultFile{}}
}

// crash returns the disk as it may be found after the power came back: keep
// says of each unsynced page, of a size (page -1), and of what became of a name
// (page -2), whether it got there.
func (d *faultDisk) crash(keep func(name string, page int) bool) *faultDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newFaultDisk()
	names := maps.Clone(d.names)
	maps.Copy(names, d.safe)
	for name := range names {
		f := d.safe[name]
		if f != d.names[name] && keep(name, -2) {
			f = d.names[name]
		}
		if f == nil {
			continue
		}
		pages, size := maps.Clone(f.safe), f.safeSize
		if f.size != size && keep(name, -1) {
			size = f.size
		}
		for _, p := range slices.Sorted(maps.Keys(f.dirty)) {
			if keep(name, p) {
				pages[p] = f.pages[p]
			}
			if pages[p] == nil {
				delete(pages, p)
			}
		}
		cut(pages, size)
		g := &faultFile{disk: after, name: name, pages: pages, size: size, safe: maps.Clone(pages), safeSize: size, dirty: map[int]bool{}}
		after.names[name], after.safe[name] = g, g
	}
	return after
}

// cut removes what lies past the end of a file.
func cut(pages map[int]*page, size int64) {
	for p, old := range pages {
		from := int64(p) * pageSize
		switch {
		case from >= size:
			delete(pages, p)
		case from+pageSize > size:
			q := *old
			clear(q[size-from:])
			pages[p] = &q
		}
	}
}

// dirtyPages lists the unsynced pages of a file.
func (d *faultDisk) dirtyPages(name string) []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.names[name].dirty))
}

// bytes returns a file's content up to n bytes.
func (d *faultDisk) bytes(name string, n int64) []byte {
	b := make([]byte, n)
	if _, err := d.names[name].ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		panic(err)
	}
	return b
}

// set replaces a file's content durably.
func (d *faultDisk) set(name string, b []byte) {
	f := d.names[name]
	f.pages, f.size = map[int]*page{}, 0
	f.put(b, 0)
	f.safe, f.safeSize, f.dirty = maps.Clone(f.pages), f.size, map[int]bool{}
}

// limit bounds what all files may have together.
func (d *faultDisk) limit(room int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = room
}

// used returns what all files have together.
func (d *faultDisk) used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.usedLocked()
}

func (d *faultDisk) usedLocked() (n int64) {
	for _, f := range d.names {
		n += f.size
	}
	return n
}

func (d *faultDisk) ask(op, name string) error {
	d.mu.Lock()
	before := d.before
	d.mu.Unlock()
	if before == nil {
		return nil
	}
	d.asking.Lock()
	defer d.asking.Unlock()
	return before(op, name)
}

func (d *faultDisk) onChange(before func(op, name string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = before
}

type unlock func()

func (u unlock) Close() error { u(); return nil }

func (d *faultDisk) Lock(string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, syscall.EWOULDBLOCK
	}
	d.locked = true
	return unlock(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.locked = false
	}), nil
}

func (d *faultDisk) List() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.names)), nil
}

func (d *faultDisk) Create(name string) (disk.File, error) {
	if err := d.ask("create", name); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &faultFile{disk: d, name: name, pages: map[int]*page{}, safe: map[int]*page{}, dirty: map[int]bool{}}
	d.names[name] = f
	return f, nil
}

func (d *faultDisk) Open(name string) (disk.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.names[name]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
}

func (d *faultDisk) Rename(from, to string) error {
	if err := d.ask("rename", from); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.names[from]
	f.name = to
	d.names[to] = f
	delete(d.names, from)
	return nil
}

func (d *faultDisk) Remove(name string) error {
	if err := d.ask("remove", name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.names, name)
	return nil
}

func (d *faultDisk) Sync() error {
	if err := d.ask("syncdir", ""); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.safe = maps.Clone(d.names)
	return nil
}

func (f *faultFile) ReadAt(b []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n := int(min(int64(len(b)), max(f.size-off, 0)))
	for i := 0; i < n; {
		p, at := int((off+int64(i))/pageSize), int((off+int64(i))%pageSize)
		k := min(n-i, pageSize-at)
		if page := f.pages[p]; page != nil {
			copy(b[i:i+k], page[at:])
		} else {
			clear(b[i : i+k])
		}
		i += k
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes page by page, and asks before each.
func (f *faultFile) WriteAt(b []byte, off int64) (int, error) {
	for i := 0; i < len(b); {
		if err := f.disk.ask("write", f.name); err != nil {
			return i, err
		}
		k := min(len(b)-i, pageSize-int((off+int64(i))%pageSize))
		f.disk.mu.Lock()
		more := off + int64(i+k) - f.size
		full := f.disk.room > 0 && more > 0 && f.disk.usedLocked()+more > f.disk.room
		if !full {
			f.put(b[i:i+k], off+int64(i))
		}
		f.disk.mu.Unlock()
		if full {
			return i, syscall.ENOSPC
		}
		i += k
	}
	return len(b), nil
}

// put writes into new pages.
func (f *faultFile) put(b []byte, off int64) {
	for len(b) > 0 {
		p, at := int(off/pageSize), int(off%pageSize)
		var q page
		if old := f.pages[p]; old != nil {
			q = *old
		}
		n := copy(q[at:], b)
		f.pages[p], f.dirty[p] = &q, true
		b, off = b[n:], off+int64(n)
	}
	f.size = max(f.size, off)
}

func (f *faultFile) Allocate(size int64) error {
	if err := f.disk.ask("allocate", f.name); err != nil {
		return err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	used := max(size-f.size, 0)
	for _, g := range f.disk.names {
		used += g.size
	}
	if f.disk.room > 0 && used > f.disk.room {
		return syscall.ENOSPC
	}
	f.size = max(f.size, size)
	return nil
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.disk.ask("truncate", f.name); err != nil {
		return err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.size = size
	for p := range f.pages {
		if int64(p+1)*pageSize > size {
			f.dirty[p] = true
		}
	}
	cut(f.pages, size)
	return nil
}

func (f *faultFile) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.size, nil
}

// Sync makes the dirty pages safe. A failed one forgets, as Linux does, that
// they are not: readers go on seeing them.
func (f *faultFile) Sync() error {
	err := f.disk.ask("sync", f.name)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err == nil {
		for p := range f.dirty {
			f.safe[p] = f.pages[p]
			if f.pages[p] == nil {
				delete(f.safe, p)
			}
		}
		f.safeSize = f.size
	}
	clear(f.dirty)
	return err
}

func (f *faultFile) Close() error { return nil }
