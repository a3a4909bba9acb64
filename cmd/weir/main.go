// Command weir is Weir: the server and the commands that talk to it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"weir/internal/app"
	"weir/internal/cli"
	"weir/internal/cli/copies"
	"weir/internal/config"
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
		Migrate: func(ctx context.Context, cfg config.Config, o cli.MigrateOptions) (all []cli.Migration, err error) {
			migrations, err := app.Migrate(ctx, cfg, app.Migrating(o))
			for _, m := range migrations {
				all = append(all, cli.Migration(m))
			}
			return all, err
		},
		Copies:  copies.Programs{Restore: app.Restore, Verify: app.Verify, VerifyCopy: app.VerifyCopy},
		Version: app.Version(),
	}, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}))
}
