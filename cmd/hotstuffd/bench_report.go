package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	loader "github.com/hotstuffd/hotstuffd/cmd/internal/load"
	"github.com/hotstuffd/hotstuffd/config"
)

// benchReport is all that bench has found out.
type benchReport struct {
	Version string           `json:"version"`
	Go      string           `json:"go"`
	System  string           `json:"system"`
	Cores   int              `json:"cores"`
	Time    time.Time        `json:"time"`
	Nodes   int              `json:"nodes"` // or servers
	Dead    []int            `json:"dead,omitempty"`
	Runs    []*loader.Result `json:"runs"`
	Outage  *outage          `json:"kill_leader,omitempty"`
}

func newBenchReport() *benchReport {
	return &benchReport{Version: version(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Time: time.Now().UTC()}
}

// text writes the report for people.
func (r *benchReport) text(out io.Writer) error {
	first := r.Runs[0]
	fmt.Fprintf(out, "%s; SETs of %d bytes on %d keys, %s\n\n", r.servers(), first.Payload, first.Keys, loop(first))
	if err := loader.Text(out, r.Runs); err != nil {
		return err
	}
	if o := r.Outage; o != nil {
		fmt.Fprintf(out, "node%d, which led, was killed: longest gap without a reply %.0f ms, without a commit %.0f ms (base timeout then %.0f ms)\n", o.Node, o.Replies, o.Commits, o.BaseTimeout)
	}
	for _, run := range r.Runs {
		if len(run.Stages) == 0 {
			continue
		}
		fmt.Fprintf(out, "\nwhere it went at %s, all nodes together:\n", run.Load())
		if err := loader.StagesText(out, run.Stages); err != nil {
			return err
		}
	}
	return nil
}

// servers says what the load was put on.
func (r *benchReport) servers() string {
	words := fmt.Sprintf("%d nodes", r.Nodes)
	if r.Nodes == 1 {
		words = "1 node"
	}
	if len(r.Dead) > 0 {
		words += fmt.Sprintf(", %d of them dead", len(r.Dead))
	}
	return words
}

func loop(r *loader.Result) string {
	if r.Rate > 0 {
		return "open loop"
	}
	return "closed loop, clients x pipeline"
}

// note stands under the title of a picture.
func (r *benchReport) note() string {
	return fmt.Sprintf("SETs of %d bytes   ·   %s   ·   %d cores   ·   hotstuffd %s", r.Runs[0].Payload, loop(r.Runs[0]), r.Cores, r.Version)
}

// benchFiles are what the report is written to. They are made before the load, whose result should not be lost for a name.
type benchFiles struct {
	json, svg *os.File // nil: none
	toStdout  bool
}

func (f *benchFlags) create() (files benchFiles, err error) {
	open := func(flag, name string) (file *os.File) {
		if err != nil || name == "" {
			return nil
		}
		if file, err = os.Create(name); err != nil {
			err = config.Errorf("--%s: %w: name a file that can be written", flag, err)
		}
		return file
	}
	if files.toStdout = f.json == "-"; !files.toStdout {
		files.json = open("json", f.json)
	}
	files.svg = open("svg", f.svg)
	return files, err
}

func (b *benchFiles) close() {
	for _, file := range []*os.File{b.json, b.svg} {
		if file != nil {
			_ = file.Close() // what was written to it has been closed by write
		}
	}
}

// write writes the report wherever it was asked for.
func (b *benchFiles) write(c *cobra.Command, r *benchReport) error {
	show := r.text
	if b.toStdout {
		show = func(out io.Writer) error { return writeJSON(out, r) }
	}
	if err := show(c.OutOrStdout()); err != nil {
		return err
	}
	if b.json != nil {
		if err := errors.Join(writeJSON(b.json, r), b.json.Close()); err != nil {
			return fmt.Errorf("--json: %w", err)
		}
	}
	if b.svg == nil {
		return nil
	}
	if err := errors.Join(loader.Picture(b.svg, r.servers(), r.note(), r.Runs), b.svg.Close()); err != nil {
		return fmt.Errorf("--svg: %w", err)
	}
	fmt.Fprintf(c.ErrOrStderr(), "picture: %s\n", b.svg.Name())
	return nil
}

func writeJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// liveLine is what a terminal shows while a load runs.
type liveLine struct {
	screen *screen
	load   string // what is put on
}

func newLiveLine(out io.Writer, o *loader.Options) *liveLine {
	return &liveLine{newScreen(out), o.Load()}
}

func (l *liveLine) show(s loader.Second) {
	if !l.screen.terminal {
		return
	}
	warm := ""
	if s.Warmup {
		warm = "  (warm-up)"
	}
	fmt.Fprintf(l.screen.out, "\r\x1b[K%s: %3.0f s  %.0f/s  p50 %.2f ms  p99 %.2f ms  %d errors%s", l.load, s.Elapsed.Seconds(), s.PerSecond, ms(s.P50), ms(s.P99), s.Errors, warm)
}

func (l *liveLine) clear() {
	if l.screen.terminal {
		fmt.Fprint(l.screen.out, "\r\x1b[K")
	}
}
