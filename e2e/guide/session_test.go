package guide

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds how long commands that only look are repeated until they show
// what the page says.
const patience = 20 * time.Second

// session is a shell into which a page is typed.
type session struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	files string // where blocks stand while they run
	n     int
}

// mark stands on a line of its own behind the output of a block.
const mark = "@@ the block has ended @@"

// open starts a shell in dir, with env beside what every shell has.
func open(t testing.TB, dir string, env ...string) *session {
	t.Helper()
	s := &session{t: t, files: t.TempDir()}
	s.cmd = exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc")
	s.cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WEIR_") {
			s.cmd.Env = append(s.cmd.Env, v)
		}
	}
	s.cmd.Env = append(append(s.cmd.Env, "GORACE=atexit_sleep_ms=0"), env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr, s.out = write, write, bufio.NewReader(read)
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	t.Cleanup(func() {
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // what it left in the background, too
		_ = s.cmd.Wait()
		read.Close()
	})
	fmt.Fprintln(s.in, "set -euo pipefail")
	return s
}

// run types a block and returns what it printed. ok is false where a command
// failed, which ends the shell.
func (s *session) run(text string) (out string, ok bool) {
	s.t.Helper()
	s.n++
	file := filepath.Join(s.files, fmt.Sprintf("block%d.sh", s.n))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(s.in, "source %s </dev/null\necho; echo '%s'\n", file, mark)
	var b strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if line == mark+"\n" {
			return b.String(), true
		}
		b.WriteString(line)
		if err != nil {
			return b.String(), false
		}
	}
}

// play types the blocks of a page one after another and compares what they print.
func (s *session) play(p *page) {
	s.t.Helper()
	for _, b := range p.of("sh") {
		for began := time.Now(); ; {
			out, ok := s.run(b.text)
			if !ok {
				s.t.Fatalf("%s: a command failed:\n%s\nprinted\n%s", p.at(b), b.text, out)
			}
			if b.output == nil {
				break
			}
			lines := missing(b.output.text, out)
			if len(lines) == 0 {
				break
			}
			if !onlyLooks(b.text) || time.Since(began) > patience {
				s.t.Fatalf("%s: the lines\n%s\nare not in\n%s", p.at(b.output), strings.Join(lines, "\n"), out)
			}
		}
	}
}

// onlyLooks reports whether all commands of a block read what became of others,
// so that they may be typed again until it is there, as a person would.
func onlyLooks(text string) bool {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "weir" {
			return false
		}
		switch words[1] {
		case "events", "runs", "groups", "refusals", "triggers", "pipelines", "sources":
		default:
			return false
		}
		for _, w := range words {
			switch w {
			case "cancel", "redrive", "retry", "purge", "put", "delete", ">", ">>":
				return false
			}
		}
	}
	return true
}
