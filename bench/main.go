// Command bench measures Weir on this machine and prints a table: each figure
// beside what was measured for comparison in the same run, because a ratio
// means something on another machine and a number does not.
//
//	go run ./bench            all cases
//	go run ./bench -only whole
//	go run ./bench -json      for machines
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// row is one line of the table.
type row struct {
	Case    string  `json:"case"`
	Figure  string  `json:"figure"`          // what was measured, for people
	PerSec  float64 `json:"per_second"`      // events a second
	CPU     float64 `json:"cpu_us"`          // CPU per event, all threads, in microseconds
	Ratio   float64 `json:"ratio,omitempty"` // against the baseline
	Against string  `json:"against,omitempty"`
	Target  string  `json:"target"`
	OK      bool    `json:"ok"`
}

// benchmark is one case; it returns one or more rows.
type benchmark struct {
	name string
	run  func(ctx context.Context, scale int) ([]row, error)
}

func main() {
	only := flag.String("only", "", "run the cases whose name contains this")
	scale := flag.Int("scale", 100, "how much work, in percent")
	asJSON := flag.Bool("json", false, "print JSON lines")
	profile := flag.String("cpuprofile", "", "write a CPU profile to this file")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
			os.Exit(1)
		}
		defer pprof.StopCPUProfile()
	}
	failed := false
	var rows []row
	for _, b := range benchmarks() {
		if !strings.Contains(b.name, *only) {
			continue
		}
		fmt.Fprintln(os.Stderr, "running", b.name)
		got, err := b.run(context.Background(), *scale)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", b.name, err)
			failed = true
		}
		rows = append(rows, got...)
	}
	printRows(rows, *asJSON)
	if failed {
		os.Exit(1)
	}
}

func benchmarks() []benchmark {
	return []benchmark{
		{"journal", journalCases},
		{"history", history},
		{"history-postgres", historyInDatabase},
		{"sealing", sealing},
		{"lookups", lookups},
		{"ingest-batches", ingestBatches},
		{"ingest-singles", ingestSingles},
		{"whole-process", wholeInProcess},
		{"whole-http", wholeOverHTTP},
		{"triggers", manyTriggers},
		{"groups", largeGroups},
		{"delivery", delivery},
		{"burst", burst},
		{"reading", reading},
	}
}

func printRows(rows []row, asJSON bool) {
	if asJSON {
		enc := json.NewEncoder(os.Stdout)
		for _, r := range rows {
			_ = enc.Encode(r)
		}
		return
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "CASE\tFIGURE\tCPU/EVENT\tRATIO\tTARGET\tMET")
	for _, r := range rows {
		ratio := ""
		if r.Ratio != 0 {
			ratio = fmt.Sprintf("%.2f x %s", r.Ratio, r.Against)
		}
		cpu := ""
		if r.CPU != 0 {
			cpu = fmt.Sprintf("%.2f us", r.CPU)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%v\n", r.Case, r.Figure, cpu, ratio, r.Target, r.OK)
	}
	_ = w.Flush()
}

// measured is how long something took and the CPU it used.
type measured struct {
	wall time.Duration
	cpu  time.Duration
}

func measure(f func() error) (measured, error) {
	wall, cpu := time.Now(), cpuTime()
	err := f()
	return measured{time.Since(wall), cpuTime() - cpu}, err
}

func (m measured) perSecond(n int) float64 { return float64(n) / m.wall.Seconds() }

func (m measured) cpuPer(n int) float64 { return float64(m.cpu.Microseconds()) / float64(n) }

func (m measured) wallPer(n int) float64 { return float64(m.wall.Microseconds()) / float64(n) }

// cpuTime is the CPU that this process used, in user and kernel.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
