package cli

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

// linesTotal is what became of a file of lines.
type linesTotal struct {
	File string `json:"file"`
	Key  string `json:"key"`
	client.Total
}

// publishLines publishes the files one after the other, and fails in the end
// where lines were refused.
func (c *cli) publishLines(ctx context.Context, cl *client.Client, p *publishing) error {
	var lines, refused int
	for _, name := range p.args {
		total, err := c.publishFile(ctx, cl, p, name)
		if err != nil {
			return err
		}
		lines, refused = lines+total.Lines, refused+total.Refused
		if err := c.lineTotal(total); err != nil {
			return err
		}
	}
	if refused > 0 {
		return weir.E("", weir.Invalid, "%d of %d lines were refused", refused, lines)
	}
	return nil
}

func (c *cli) lineTotal(t linesTotal) error {
	if c.output == show.JSON {
		return c.printer().Line(t)
	}
	return c.show(t, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d lines, taken %d, duplicates %d, refused %d\n", show.Printable(t.File), t.Lines, t.Taken, t.Duplicates, t.Refused)
	})
}

// publishFile publishes one file of lines, and tells how far it is.
func (c *cli) publishFile(ctx context.Context, cl *client.Client, p *publishing, name string) (linesTotal, error) {
	t := linesTotal{File: name, Key: p.key}
	in, size, err := c.openLines(ctx, name)
	if err != nil {
		return t, err
	}
	defer in.Close()
	if t.Key == "" {
		if t.Key, err = keyOf(ctx, in, p.attributesOf); err != nil {
			return t, err
		}
	}
	skipped, from := bufio.NewReaderSize(in, 1<<20), int64(0)
	if from, err = skipLines(skipped, p.from-1); err != nil {
		return t, weir.E("", weir.Invalid, "%s: %w", name, err).WithField("--from")
	}
	told := c.progress(p.quiet)
	s := show.Standing{Name: filepath.Base(name), Done: from, Total: size, Unit: "events"}
	next := p.from
	t.Total, err = cl.PublishLines(ctx, client.Lines{
		In: skipped, Query: p.attributesOf, Key: t.Key, First: p.from,
		Answered: func(a client.Sent) {
			next = a.First + a.Lines
			s.Done += int64(a.Bytes)
			t.count(a.Chunk)
			s.Units, s.Counts = t.Lines, t.counts()
			if a.Error != nil {
				told.Note("%s", refusal(name, a))
			}
			told.Tell(s, time.Now())
		},
		Waiting: func(err error, again time.Duration) {
			told.Note("%s; again in %s", show.Words(err), again.Round(100*time.Millisecond))
		},
	})
	s.Units, s.Counts = t.Lines, t.counts()
	told.End(s, time.Now())
	if err != nil {
		c.howToGoOn(name, t.Key, next)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("interrupted: %w", ctx.Err())
	}
	return t, err
}

func (t *linesTotal) count(a client.Chunk) {
	t.Lines += a.Lines
	t.Taken += a.Taken
	t.Duplicates += a.Duplicates
	if a.Error != nil {
		t.Refused += a.Lines
	}
}

func (t *linesTotal) counts() []show.Count {
	return []show.Count{{Word: "taken", N: t.Taken}, {Word: "duplicates", N: t.Duplicates}, {Word: "refused", N: t.Refused}}
}

// refusal is "events.ndjson:1234: data: is no JSON (lines 1001 to 2000 were not taken)".
func refusal(file string, a client.Sent) string {
	last := a.First + a.Lines - 1
	e := weir.E(fmt.Sprintf("%s:%d", file, a.Error.Line), a.Error.Code, "%s", a.Error.Detail).WithField(a.Error.Field)
	if a.Lines == 1 {
		return e.Error()
	}
	return fmt.Sprintf("%s (lines %d to %d were not taken)", e, a.First, last)
}

// howToGoOn says how an upload that ended early goes on.
func (c *cli) howToGoOn(name, key string, next int) {
	again := "the same command goes on, and doubles nothing"
	if name == "-" {
		again = "the same input with --key " + key + " goes on, and doubles nothing"
	}
	fmt.Fprintf(c.Err, "weir: %s is answered up to line %d: %s (--from %d skips what was answered)\n", show.Printable(name), next-1, again, next)
}

// progress returns where long work tells how far it is.
func (c *cli) progress(quiet bool) *show.Progress {
	if quiet {
		return show.NewQuiet(c.Err)
	}
	return show.NewProgress(c.Err, c.Env, time.Now())
}

// openLines opens a file, or standard input for "-", whose size is not known.
func (c *cli) openLines(ctx context.Context, name string) (in io.ReadCloser, size int64, err error) {
	if name == "-" {
		return newTap(ctx, c.In), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, weir.E("", weir.Invalid, "%w", err)
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return nil, 0, errors.Join(weir.E("", weir.Invalid, "%s is no file with lines", name), err, f.Close())
	}
	return f, info.Size(), nil
}

// keyOf makes the key of a file from what is in it and from the attributes that
// go with it, and goes back to its begin. What cannot be read twice gets a key
// that nobody else has.
func keyOf(ctx context.Context, in io.Reader, attributes url.Values) (string, error) {
	f, ok := in.(*os.File)
	if !ok {
		return (&publishing{}).keyOr(), nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return (&publishing{}).keyOr(), err
	}
	h := sha256.New()
	_, _ = io.WriteString(h, attributes.Encode()+"\n") // never fails
	_, err := io.Copy(h, interruptible{ctx, f})
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if ctx.Err() != nil {
		return "", err
	}
	if err != nil {
		return "", weir.E("", weir.Invalid, "%w", err)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r interruptible) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("interrupted: %w", err)
	}
	return r.Reader.Read(b)
}

// skipLines reads n lines and returns how many bytes they have.
func skipLines(r *bufio.Reader, n int) (skipped int64, err error) {
	for n > 0 {
		line, err := r.ReadSlice('\n')
		skipped += int64(len(line))
		switch {
		case err == nil:
			n--
		case errors.Is(err, io.EOF):
			return skipped, errors.New("it has fewer lines")
		case !errors.Is(err, bufio.ErrBufferFull):
			return skipped, err
		}
	}
	return skipped, nil
}

// publishFiles publishes each file as the data of an event.
func (c *cli) publishFiles(ctx context.Context, cl *client.Client, p *publishing) error {
	told := c.progress(p.quiet)
	s := show.Standing{Unit: "files", Units: len(p.args)}
	var sent atomic.Int64
	u := client.Upload{Query: p.attributesOf, Key: p.keyOr()}
	for i, name := range p.args {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			return weir.E("", weir.Invalid, "%q is no file that can be read", name)
		}
		s.Total += info.Size()
		u.Files = append(u.Files, client.FileData{
			Name: name, ContentType: mime.TypeByExtension(filepath.Ext(name)),
			Open: func() (io.ReadCloser, error) {
				if i == 0 {
					sent.Store(0) // another try
				}
				f, err := os.Open(name)
				return &counted{f, func(n int) {
					s := s
					s.Done = sent.Add(int64(n))
					told.Tell(s, time.Now())
				}}, err
			},
		})
	}
	receipts, err := cl.PublishFiles(ctx, u)
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %w", ctx.Err())
	}
	if err != nil {
		return err
	}
	s.Done = s.Total
	told.End(s, time.Now())
	return c.receipts(receipts)
}

// counted tells of what is read.
type counted struct {
	io.ReadCloser
	read func(n int)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.read(n)
	return n, err
}
