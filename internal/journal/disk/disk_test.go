package disk

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A child has its parent's descriptors until it becomes another program, so the
// lock must not hang on the last of them.
func TestAClosedLockIsFreeThoughItsDescriptorIsHeldElsewhere(t *testing.T) {
	t.Parallel()
	dir := directory(t.TempDir())
	lock, err := dir.Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Lock("lock"); err == nil {
		t.Fatal("it was locked twice")
	}
	inherited, err := unix.Dup(int(lock.(flock).Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(inherited) })

	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}

	again, err := dir.Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
