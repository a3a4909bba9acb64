package cli

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the golden help texts anew")

// variables is an environment.
func variables(of map[string]string) func(string) string {
	return func(name string) string { return of[name] }
}

func commands() []*cobra.Command {
	var all []*cobra.Command
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		all = append(all, c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	root := New(Programs{}, Streams{Env: variables(nil)})
	root.InitDefaultHelpCmd()
	walk(root)
	return all
}

func TestEachCommandTeaches(t *testing.T) {
	t.Parallel()
	for _, c := range commands() {
		if c.Short == "" || c.Long == "" || c.Example == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short %q, long %q, example %q", c.CommandPath(), c.Short, c.Long, c.Example)
		}
		for line := range strings.Lines(c.Long + "\n" + c.Example) {
			if len([]rune(line)) > 100 {
				t.Errorf("%s: a line of help is wider than a terminal: %s", c.CommandPath(), line)
			}
		}
	}
}

func TestHelpIsAsItWasAgreed(t *testing.T) {
	t.Parallel()
	for _, c := range commands() {
		path := strings.Fields(c.CommandPath())
		name := filepath.Join("testdata", "help", strings.Join(path, "-")+".txt")
		var out bytes.Buffer
		status := Run(context.Background(), append(path[1:], "--help"), Programs{}, Streams{
			In: strings.NewReader(""), Out: &out, Err: &out, Env: variables(nil),
		})
		if status != 0 {
			t.Fatalf("%s --help ends with %d", c.CommandPath(), status)
		}
		got := withoutNode(out.String())
		if *update {
			if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s --help (-agreed +now; -update agrees):\n%s", c.CommandPath(), diff)
		}
	}
}

// withoutNode leaves out the default of --node, which is the machine's name.
func withoutNode(help string) string {
	var kept []string
	for line := range strings.Lines(help) {
		if strings.Contains(line, "--node ") {
			if at := strings.LastIndex(line, " (default"); at >= 0 {
				line = line[:at] + "\n"
			}
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "")
}
