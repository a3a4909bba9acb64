package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"weir"
	"weir/client"
	"weir/internal/cli/show"
)

var secretList = show.List[client.Secret]{
	Head: "NAME",
	Row:  func(s client.Secret) []string { return []string{s.Name} },
	ID:   func(s client.Secret) string { return s.Name },
}

func (c *cli) secretCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "secret",
		Short: "Set, list or delete secrets",
		Long: `Secrets are values that project files name as ${secret.NAME}. They are kept sealed, and
nothing shows a value again.`,
		Example: "  weir secret set github\n  weir secret list",
	})
	var file string
	set := &cobra.Command{
		Use:   "set NAME",
		Short: "Set or replace a secret",
		Long: `Sets a secret to what --value-file or standard input holds, less one newline at its end. On
a terminal it asks, without showing what is typed. A value is never taken from the command
line, where others could see it.`,
		Example: `  weir secret set github
  pass show github | weir secret set github
  weir secret set key --value-file key.pem`,
		Args: exactly("NAME"),
		RunE: c.call(func(ctx context.Context, cl *client.Client, args []string) error {
			value, err := c.value(ctx, args[0], file)
			if err != nil {
				return err
			}
			if err := cl.SetSecret(ctx, args[0], value); err != nil {
				return err
			}
			fmt.Fprintf(c.Out, "secret %s is set\n", args[0])
			return nil
		}),
	}
	set.Flags().StringVar(&file, "value-file", "", "read the value from this file")
	list := &cobra.Command{
		Use:     "list",
		Short:   "List the names of secrets",
		Long:    "Lists the names of the project's secrets, in order. Values are never shown.",
		Example: "  weir secret list -o json",
		Args:    exactly(),
		RunE: c.call(func(ctx context.Context, cl *client.Client, _ []string) error {
			return show.Pages(c.printer(), secretList, show.Asked{All: true}, func(client.Paging) (client.Page[client.Secret], error) {
				return cl.Secrets(ctx)
			})
		}),
	}
	remove := &cobra.Command{
		Use:     "delete NAME",
		Short:   "Delete a secret",
		Long:    "Deletes a secret. What names it as ${secret.NAME} fails from then on.",
		Example: "  weir secret delete github",
		Args:    exactly("NAME"),
		RunE: c.call(func(ctx context.Context, cl *client.Client, args []string) error {
			if err := cl.DeleteSecret(ctx, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(c.Out, "secret %s is deleted\n", args[0])
			return nil
		}),
	}
	cmd.AddCommand(set, c.reading(list), remove)
	return c.remote(cmd)
}

// value reads a secret's value from a file, the terminal or standard input.
func (c *cli) value(ctx context.Context, name, file string) (string, error) {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", weir.E("", weir.Invalid, "%w", err).WithField("--value-file")
		}
		return strings.TrimSuffix(string(b), "\n"), nil
	}
	k, err := keyboardOf(c.In)
	if err != nil {
		return "", err
	}
	if k != nil {
		fmt.Fprintf(c.Err, "value of %s: ", name)
		b, err := unechoed(ctx, k)
		fmt.Fprintln(c.Err)
		return string(b), err
	}
	b, err := await(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(c.In, 1<<20)) })
	if err != nil {
		return "", weir.E("", weir.Invalid, "read the value: %w", err)
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}

// keyboard is an input at which somebody types.
type keyboard interface {
	ReadUnechoed() ([]byte, error) // a line
	Restore() error                // shows again what is typed
}

// keyboardOf returns the keyboard that an input is, or nil.
func keyboardOf(in io.Reader) (keyboard, error) {
	if k, ok := in.(keyboard); ok {
		return k, nil
	}
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, nil
	}
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	return terminal{int(f.Fd()), before}, nil
}

// terminal is the keyboard of a terminal, with its state of before.
type terminal struct {
	fd     int
	before *term.State
}

func (t terminal) ReadUnechoed() ([]byte, error) { return term.ReadPassword(t.fd) }

func (t terminal) Restore() error { return term.Restore(t.fd, t.before) }

// unechoed reads a line without showing it. Where ctx ends first, what is typed
// is shown again.
func unechoed(ctx context.Context, k keyboard) ([]byte, error) {
	b, err := await(ctx, k.ReadUnechoed)
	if ctx.Err() != nil {
		err = errors.Join(err, k.Restore())
	}
	return b, err
}

// confirm asks for a word on a terminal. Elsewhere it fails, and names the flag
// that says the same.
func (c *cli) confirm(ctx context.Context, question, word, flag string) error {
	k, err := keyboardOf(c.In)
	if err != nil {
		return err
	}
	if k == nil {
		return weir.E("", weir.Invalid, "it cannot be undone, and here is no terminal to ask: give %s", flag)
	}
	fmt.Fprint(c.Err, question)
	line, err := await(ctx, func() ([]byte, error) { return bufio.NewReader(c.In).ReadBytes('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(string(line)) != word {
		return weir.E("", weir.Invalid, "that was another word: nothing is done")
	}
	return nil
}
