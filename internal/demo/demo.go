package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"weir/client"
	"weir/examples/github"
	"weir/internal/app"
	"weir/internal/config"
)

// Options say how the demo runs.
type Options struct {
	Once        bool   // end when all was seen; an error says what was not
	JSON        bool   // print the report as JSON, and no progress
	ProjectFile []byte // nil: weir.yaml of examples/github
	Out         io.Writer

	// Looked, where set, is called with what was seen before the server stops.
	Looked func(context.Context, *Report, *client.Client) error
}

// exampleReceiver is what the project file writes where the demo's receiver is
// meant.
const exampleReceiver = "http://127.0.0.1:9348"

// patience bounds how long the demo waits for what it expects.
const patience = 60 * time.Second

// demo is one run of it.
type demo struct {
	Options
	client   *client.Client
	receiver *receiver
}

// Run starts the server and the receiver, delivers, looks, and prints. Without
// Once it then serves until ctx ends.
func Run(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	receiver, err := startReceiver()
	if err != nil {
		return err
	}
	defer receiver.stop()

	server, err := app.Open(ctx, configuration(dir), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- server.Run(serving) }()
	d := &demo{
		Options: o, receiver: receiver,
		client: &client.Client{URL: server.URL(), Token: server.AdminToken()},
	}
	err = d.show(ctx)
	if err == nil && !o.Once {
		d.say("\nThe server stays up until Ctrl-C:\n  export WEIR_URL=%s WEIR_TOKEN=%s\n", d.client.URL, d.client.Token)
		select {
		case <-ctx.Done():
		case err = <-served: // it ended by itself
			stop()
			return err
		}
	}
	stop()
	return errors.Join(err, <-served) // what ended the server says why it did not answer
}

func configuration(dir string) config.Config {
	cfg := config.Default()
	cfg.Data = filepath.Join(dir, "data")
	cfg.Listen = "127.0.0.1:0"
	cfg.AllowDestinations = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return cfg
}

// show does the main job and prints what was seen.
func (d *demo) show(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.apply(ctx); err != nil {
		return err
	}
	if err := d.deliverAll(ctx); err != nil {
		return err
	}
	d.say("Waiting for groups to expire and runs to end ...\n")
	if err := d.quiet(ctx); err != nil {
		return err
	}
	if err := d.redriveDead(ctx); err != nil {
		return err
	}
	report, err := d.observe(ctx)
	if err != nil {
		return fmt.Errorf("look back: %w", err)
	}
	if d.Looked != nil {
		if err := d.Looked(ctx, report, d.client); err != nil {
			return err
		}
	}
	return d.print(report)
}

// apply sets the secret and applies the project file, with the receiver's
// address in it.
func (d *demo) apply(ctx context.Context) error {
	if err := d.client.SetSecret(ctx, "github", webhookSecret); err != nil {
		return err
	}
	text := d.ProjectFile
	if text == nil {
		var err error
		if text, err = github.Files.ReadFile("weir.yaml"); err != nil {
			return err
		}
	}
	text = bytes.ReplaceAll(text, []byte(exampleReceiver), []byte(d.receiver.url))
	applied, err := d.client.Apply(ctx, client.File{Name: "examples/github/weir.yaml", Text: text})
	if err != nil {
		return err
	}
	d.say("Weir serves at %s\nApplied examples/github/weir.yaml: %d definitions, revision %d\n", d.client.URL, len(applied.Changes), applied.Revision)
	return nil
}

func (d *demo) deliverAll(ctx context.Context) error {
	payloads, err := fs.Sub(github.Files, "payloads")
	if err != nil {
		return err
	}
	list, err := deliveries(payloads)
	if err != nil {
		return err
	}
	for i, each := range list {
		seq, err := deliver(ctx, d.client.URL, each)
		if err != nil {
			return err
		}
		d.client.See(seq)
		if d.terminal() {
			d.say("\rDelivered %d of %d webhooks ", i+1, len(list))
		}
	}
	d.say("\rDelivered %d webhooks, each with its signature\n", len(list))
	return nil
}

// quiet waits until nothing runs and no group is about to end.
func (d *demo) quiet(ctx context.Context) error {
	return d.until(ctx, "runs and groups to end", func() (bool, error) {
		for _, state := range []string{"pending", "running"} {
			runs, err := d.client.Runs(ctx, client.RunFilter{State: state}, client.Paging{Limit: 1})
			if err != nil || len(runs.Items) > 0 {
				return false, err
			}
		}
		groups, err := all(func(p client.Paging) (client.Page[client.Group], error) {
			return d.client.Groups(ctx, client.GroupFilter{}, p)
		})
		for _, g := range groups {
			if g.Expires != 0 && time.Until(g.Expires.Std()) < patience/2 {
				return false, err
			}
		}
		return err == nil, err
	})
}

// redriveDead mends the receiver and redrives what died.
func (d *demo) redriveDead(ctx context.Context) error {
	dead, err := d.runs(ctx, client.RunFilter{State: "dead"})
	if err != nil {
		return err
	}
	d.receiver.mend()
	for _, run := range dead {
		if _, err := d.client.Redrive(ctx, run.ID); err != nil {
			return err
		}
	}
	d.say("Redrove %d dead runs, now that their receiver works\n", len(dead))
	return d.quiet(ctx)
}

// until asks again and again, and gives up with ctx.
func (d *demo) until(ctx context.Context, what string, done func() (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}

// terminal reports whether a line that is written over is seen by somebody.
func (d *demo) terminal() bool {
	f, ok := d.Out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// say prints for people; a report in JSON stands alone.
func (d *demo) say(format string, args ...any) {
	if !d.JSON {
		fmt.Fprintf(d.Out, format, args...)
	}
}

func (d *demo) print(r *Report) error {
	if d.JSON {
		enc := json.NewEncoder(d.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	r.write(d.Out)
	return nil
}
