package copies

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
	"weir/internal/backup"
	"weir/internal/cli/show"
	"weir/internal/config"
)

// Programs are what the commands run that is no call of an API.
type Programs struct {
	// Restore takes a backup out into a directory and verifies what it wrote.
	Restore func(ctx context.Context, from io.Reader, dir string, told func(backup.Standing)) (backup.Head, backup.Report, error)
	// Verify verifies a directory, or a database, that no server has. Each hears
	// of every fault.
	Verify func(ctx context.Context, cfg config.Config, told func(records int64), each func(backup.Fault)) (backup.Report, error)
	// VerifyCopy verifies a directory that Verify would first have migrated.
	VerifyCopy func(ctx context.Context, dir string, each func(backup.Fault)) (backup.Report, error)
}

// Room is what the commands take of the command line.
type Room struct {
	Programs
	Client  func() (*client.Client, error)
	Load    func(cmd *cobra.Command) (config.Config, error) // from the flags of the server's configuration
	Printer func() *show.Printer
	Args    func(names ...string) cobra.PositionalArgs
}

// Backup returns the command `backup`.
func (r *Room) Backup() *cobra.Command {
	var o client.BackupOptions
	var quiet bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Back up the whole server into a file, while it runs",
		Long: `Writes everything that a server with the embedded engine holds into FILE: state, journal and
blobs, and with --with-key the key of the secrets. FILE is a tar, or a gzip of one where its
name ends in .gz. What was acknowledged before the backup began is in it. The server goes
on meanwhile. FILE has its name only when all of it was read again without a fault.

It needs an admin's token for all projects. With PostgreSQL, back up the database: state,
journal and blobs are in it.`,
		Example: "  weir backup weir-2026-11-24.tar.gz\n  weir backup --with-key /safe/weir.tar",
		Args:    r.Args("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.Client()
			if err != nil {
				return err
			}
			from, err := c.Backup(cmd.Context(), o)
			if err != nil {
				return err
			}
			defer from.Close()
			head, err := Save(cmd.Context(), args[0], from, r.progress(quiet))
			if err != nil {
				return err
			}
			return r.Printer().Value(head, func(w io.Writer) {
				fmt.Fprintf(w, "%s is a backup as of %s\n", args[0], head.Made)
				if !head.Key {
					fmt.Fprintln(w, "it has no key: keep the server's secret.key (or WEIR_SECRET_KEY) elsewhere, or its secrets are lost with it")
				}
			})
		},
	}
	cmd.Flags().BoolVar(&o.Key, "with-key", false, "with the key of the secrets: FILE is then a secret itself")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	return cmd
}

// Restore returns the command `restore`.
func (r *Room) Restore() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "restore FILE DIR",
		Short: "Make a data directory out of a backup",
		Long: `Writes what weir backup put into FILE into DIR, which must be empty or not there yet, and
verifies it as weir verify does. A file that is incomplete or was changed is refused, and
nothing is left in DIR. weir serve --data DIR then goes on from there: runs that are due start,
with the same idempotency keys as before.

Do not let the old server and the restored one run both: each would do what is due.`,
		Example: "  weir restore weir-2026-11-24.tar.gz /var/lib/weir\n  weir serve --data /var/lib/weir",
		Args:    r.Args("FILE", "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return weir.E("restore", weir.Invalid, "%w", err)
			}
			defer func() { _ = f.Close() }()
			told := r.progress(quiet)
			var last show.Standing
			head, report, err := r.Programs.Restore(cmd.Context(), f, args[1], func(s backup.Standing) {
				last = show.Standing{Name: args[0], Done: s.Bytes, Unit: "files", Units: s.Parts}
				told.Tell(last, time.Now())
			})
			if err != nil {
				return err
			}
			told.End(last, time.Now())
			return r.Printer().Value(report, func(w io.Writer) {
				fmt.Fprintf(w, "%s is as the server was at %s: start it with weir serve --data %[1]s\n", args[1], head.Made)
				if !head.Key {
					fmt.Fprintf(w, "the backup has no key: put the server's secret.key into %s first, or set WEIR_SECRET_KEY\n", args[1])
				}
				writeReport(w, &report)
			})
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	return cmd
}

// Verify returns the command `verify`.
func (r *Room) Verify() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Check stored data from end to end",
		Long: `Reads all of a data directory (--data), of a database (--database) or of a backup FILE: the
checksums, every record, whether state and journal belong together, the members of groups and
runs, and the blobs. It changes nothing but what every start mends, and lists each fault with
what it means and what to do; then the exit status is 1. A directory that a server has is
refused: back it up, and verify the backup. A backup is taken out into a temporary directory
for that (TMPDIR).`,
		Example: "  weir verify --data /var/lib/weir\n  weir verify weir-2026-11-24.tar.gz",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return weir.E("", weir.Invalid, "it takes one FILE, and here are %d: %s", len(args), cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			verify := func(told func(int64), each func(backup.Fault)) (backup.Report, error) {
				cfg, err := r.Load(cmd)
				if err != nil {
					return backup.Report{}, err
				}
				return r.Programs.Verify(cmd.Context(), cfg, told, each)
			}
			if len(args) == 1 {
				verify = func(_ func(int64), each func(backup.Fault)) (backup.Report, error) {
					return r.verifyFile(cmd.Context(), args[0], each)
				}
			}
			return r.verify(r.progress(quiet), verify)
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	return cmd
}

func (r *Room) verify(told *show.Progress, verify func(func(int64), func(backup.Fault)) (backup.Report, error)) error {
	var faults []backup.Fault
	report, err := verify(func(records int64) {
		told.Tell(show.Standing{Unit: "records", Units: int(records)}, time.Now())
	}, func(f backup.Fault) { faults = append(faults, f) })
	if err != nil {
		return err
	}
	err = r.Printer().Value(struct {
		backup.Report
		Found []backup.Fault `json:"found"`
	}{report, append([]backup.Fault{}, faults...)}, func(w io.Writer) {
		for _, f := range faults {
			fmt.Fprintf(w, "%s: %s\n    %s\n", f.Where, f.What, f.Do)
		}
		writeReport(w, &report)
	})
	if err == nil && len(faults) > 0 {
		return weir.E("", weir.Internal, "%d faults", len(faults))
	}
	return err
}

// verifyFile takes a backup out into a directory for as long as it is verified.
func (r *Room) verifyFile(ctx context.Context, path string, each func(backup.Fault)) (report backup.Report, err error) {
	f, err := os.Open(path)
	if err != nil {
		return report, weir.E("verify", weir.Invalid, "%w", err)
	}
	defer func() { _ = f.Close() }()
	dir, err := os.MkdirTemp("", "weir-verify-")
	if err != nil {
		return report, weir.E("verify", weir.Unavailable, "%w", err)
	}
	defer os.RemoveAll(dir)
	if _, err := backup.Extract(ctx, f, dir, nil); err != nil {
		return report, err
	}
	return r.Programs.VerifyCopy(ctx, dir, each)
}

func writeReport(w io.Writer, r *backup.Report) {
	fmt.Fprintf(w, "looked at %d records up to %d (%d events, %d changes), %d blobs, %d runs and %d groups in state with %d members: %s\n",
		r.Records, r.Head, r.Events, r.Changes, r.Blobs, r.Runs, r.Groups, r.Members, faults(r.Faults))
}

func faults(n int) string {
	switch n {
	case 0:
		return "no fault"
	case 1:
		return "1 fault"
	}
	return fmt.Sprintf("%d faults", n)
}

func (r *Room) progress(quiet bool) *show.Progress {
	p := r.Printer()
	if quiet {
		return show.NewQuiet(p.Notes)
	}
	return show.NewProgress(p.Notes, p.Env, time.Now())
}
