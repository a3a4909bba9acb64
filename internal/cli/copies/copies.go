// Package copies is what the commands backup, restore and verify do with files.
package copies

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"weir"
	"weir/internal/backup"
	"weir/internal/cli/show"
)

// partial is the end of the name of a file that is not whole yet.
const partial = ".part"

// Save writes the backup that comes from into a file at path, as a gzip where
// the name ends so, readable by its owner alone. The file has its name only when
// all of it is durable and was read again without a fault. It fails as Conflict
// where there is one of that name.
func Save(ctx context.Context, path string, from io.Reader, told *show.Progress) (head backup.Head, err error) {
	if _, err := os.Stat(path); err == nil {
		return head, weir.E("backup", weir.Conflict, "%s is there already: name a file that is not", path)
	}
	f, err := os.OpenFile(path+partial, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return head, weir.E("backup", weir.Invalid, "%w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(path+partial))
		}
	}()
	counted := &counter{from: from, name: path, told: told}
	if err := fill(f, path, counted); err != nil {
		return head, weir.E("backup", codeOf(err), "%w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return head, err
	}
	if head, err = backup.Check(ctx, f); err != nil {
		return head, err
	}
	if err := f.Sync(); err != nil {
		return head, err
	}
	told.End(counted.standing(), time.Now())
	return head, errors.Join(os.Rename(path+partial, path), f.Close())
}

func codeOf(err error) weir.Code {
	if code := weir.CodeOf(err); code != "" {
		return code
	}
	return weir.Unavailable
}

func fill(f io.Writer, path string, from io.Reader) error {
	if !strings.HasSuffix(path, ".gz") {
		_, err := io.Copy(f, from)
		return err
	}
	z := gzip.NewWriter(f)
	_, err := io.Copy(z, from)
	return errors.Join(err, z.Close())
}

// counter tells how much was read.
type counter struct {
	from io.Reader
	name string
	told *show.Progress
	n    int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n += int64(n)
	c.told.Tell(c.standing(), time.Now())
	return n, err
}

func (c *counter) standing() show.Standing { return show.Standing{Name: c.name, Done: c.n} }
