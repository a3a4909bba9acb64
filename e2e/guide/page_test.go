package guide

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced block of a page.
type block struct {
	kind   string // the word behind the fence: "sh", "yaml", "output"
	text   string
	line   int // of its first line in the page, from 1
	output *block
}

// page is a file of the documentation with its blocks in order.
type page struct {
	path   string
	blocks []*block
}

func (p *page) at(b *block) string { return fmt.Sprintf("%s:%d", filepath.Base(p.path), b.line) }

func (p *page) of(kind string) (all []*block) {
	for _, b := range p.blocks {
		if b.kind == kind {
			all = append(all, b)
		}
	}
	return all
}

// readPage reads a page. An output block belongs to the sh block before it.
func readPage(t testing.TB, path string) *page {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &page{path: path}
	var open *block
	var commands *block
	for i, line := range strings.Split(string(content), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case open == nil && isFence:
			open = &block{kind: fence, line: i + 2}
		case open == nil:
		case !isFence:
			open.text += line + "\n"
		default:
			switch open.kind {
			case "sh":
				commands = open
			case "output":
				if commands == nil || commands.output != nil {
					t.Fatalf("%s: output without commands before it", p.at(open))
				}
				commands.output = open
			}
			p.blocks = append(p.blocks, open)
			open = nil
		}
	}
	if open != nil {
		t.Fatalf("%s: the block does not end", p.at(open))
	}
	return p
}

// missing returns the lines of want that no line of got, from where the one
// before was found, holds: "..." stands for anything within a line, white space
// for any white space.
func missing(want, got string) (lines []string) {
	rest := strings.Split(got, "\n")
	for _, line := range strings.Split(strings.TrimSpace(want), "\n") {
		pattern := regexp.QuoteMeta(strings.Join(strings.Fields(line), " "))
		pattern = strings.ReplaceAll(strings.ReplaceAll(pattern, `\.\.\.`, ".*"), " ", `\s+`)
		like := regexp.MustCompile(pattern)
		found := -1
		for i, l := range rest {
			if like.MatchString(l) {
				found = i
				break
			}
		}
		if found < 0 {
			lines = append(lines, line)
			continue
		}
		rest = rest[found+1:]
	}
	return lines
}

func TestALineIsFoundByItsWordsAndInOrder(t *testing.T) {
	t.Parallel()
	const got = "STATE      RUN\nsucceeded  run_1   x\ndead       run_2\n"

	for want, lines := range map[string]int{
		"succeeded run_1": 0, "succeeded run_... x\ndead": 0, "dead\nsucceeded": 1, "succeeded run_2": 1, "deadly": 1, "run_...": 0,
	} {
		if m := missing(want, got); len(m) != lines {
			t.Errorf("%q: %q are missing", want, m)
		}
	}
}
