// Command weir is Weir: the server and the commands that talk to it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"weir/internal/app"
	"weir/internal/cli"
	"weir/internal/demo"
)

func main() {
	// The first signal stops in an orderly way, the second at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Programs{
		Serve: app.Serve,
		Demo: func(ctx context.Context, o cli.DemoOptions) error {
			return demo.Run(ctx, demo.Options{Once: o.Once, JSON: o.JSON, ProjectFile: o.File, Out: o.Out})
		},
		Version: app.Version(),
	}, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}))
}
