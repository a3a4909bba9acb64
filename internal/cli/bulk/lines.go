// Package bulk publishes many events at once, files of lines and files as they
// are, and tells how far it is. The command publish calls it; what a request is,
// and what is tried again, package client knows.
package bulk

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

// Publisher publishes files. Query holds the attributes that their events share.
type Publisher struct {
	Client  *client.Client
	Printer *show.Printer
	In      io.Reader // what "-" means
	Query   url.Values
	Key     string // what ids are made from; "": made from the content, or random
	From    int    // the first line to send, of lines
	Quiet   bool
}

// linesTotal is what became of a file of lines.
type linesTotal struct {
	File string `json:"file"`
	Key  string `json:"key"`
	client.Total
}

// Lines publishes files with an event a line one after the other. Lines that are
// refused are told with file, line and reason; then it fails in the end.
func (p *Publisher) Lines(ctx context.Context, names []string) error {
	var lines, refused int
	for _, name := range names {
		total, err := p.file(ctx, name)
		if err != nil {
			return err
		}
		lines, refused = lines+total.Lines, refused+total.Refused
		if err := p.total(total); err != nil {
			return err
		}
	}
	if refused > 0 {
		return weir.E("", weir.Invalid, "%d of %d lines were refused", refused, lines)
	}
	return nil
}

func (p *Publisher) total(t linesTotal) error {
	if p.Printer.Form == show.JSON {
		return p.Printer.Line(t)
	}
	return p.Printer.Value(t, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d lines, taken %d, duplicates %d, refused %d\n", show.Printable(t.File), t.Lines, t.Taken, t.Duplicates, t.Refused)
	})
}

// file publishes one file of lines, and tells how far it is.
func (p *Publisher) file(ctx context.Context, name string) (linesTotal, error) {
	t := linesTotal{File: name, Key: p.Key}
	in, size, err := p.open(ctx, name)
	if err != nil {
		return t, err
	}
	defer in.Close()
	if t.Key == "" {
		if t.Key, err = keyOf(ctx, in, p.Query); err != nil {
			return t, err
		}
	}
	skipped, from := bufio.NewReaderSize(in, 1<<20), int64(0)
	if from, err = skipLines(skipped, p.From-1); err != nil {
		return t, weir.E("", weir.Invalid, "%s: %w", name, err).WithField("--from")
	}
	told := p.progress()
	s := show.Standing{Name: filepath.Base(name), Done: from, Total: size, Unit: "events"}
	next := p.From
	t.Total, err = p.Client.PublishLines(ctx, client.Lines{
		In: skipped, Query: p.Query, Key: t.Key, First: p.From,
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
	if next > p.From && err != nil || ctx.Err() != nil || weir.CodeOf(err) == weir.Unavailable {
		p.howToGoOn(name, t.Key, next)
	}
	if ctx.Err() != nil {
		err = show.Interrupted(ctx.Err())
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
func (p *Publisher) howToGoOn(name, key string, next int) {
	again := "the same command goes on, and doubles nothing"
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() { // its key is that of no content
		again = "the same input with --key " + key + " goes on, and doubles nothing"
	}
	fmt.Fprintf(p.Printer.Notes, "weir: %s is answered up to line %d: %s (--from %d skips what was answered)\n", show.Printable(name), next-1, again, next)
}

// progress returns where it tells how far it is.
func (p *Publisher) progress() *show.Progress {
	if p.Quiet {
		return show.NewQuiet(p.Printer.Notes)
	}
	return show.NewProgress(p.Printer.Notes, p.Printer.Env, time.Now())
}

// open opens a file, or standard input for "-", whose size is not known.
func (p *Publisher) open(ctx context.Context, name string) (in io.ReadCloser, size int64, err error) {
	if name == "-" {
		return newTap(ctx, p.In), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, weir.E("", weir.Invalid, "%w", err)
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return nil, 0, errors.Join(weir.E("", weir.Invalid, "%s is no file with lines", name), err, f.Close())
	}
	if !info.Mode().IsRegular() {
		return newTap(ctx, f), 0, nil // a pipe, which may have nothing for a while
	}
	return f, info.Size(), nil
}

// keyOf makes the key of a file from what is in it and from the attributes that
// go with it, and goes back to its begin. What cannot be read twice gets a key
// that nobody else has.
func keyOf(ctx context.Context, in io.Reader, attributes url.Values) (string, error) {
	f, ok := in.(*os.File)
	if !ok {
		return rand.Text(), nil
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
		return 0, show.Interrupted(err)
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
