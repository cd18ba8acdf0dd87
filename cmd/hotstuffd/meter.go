package main

import (
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// screen is what lines and one progress bar share. On a terminal a line takes the place of the bar, which comes back below it;
// elsewhere there is no bar.
type screen struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	bar      *progressbar.ProgressBar // nil: none is shown
}

func newScreen(out io.Writer) *screen {
	f, ok := out.(*os.File)
	return &screen{out: out, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

// Write implements io.Writer, for whole lines.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		_ = s.bar.Clear() // the terminal has gone: the line says so
	}
	return s.out.Write(p)
}

// step is how far a work has come.
type step struct {
	what        string
	done, total int64
	bytes       bool // else blocks
}

// meter shows how far a long work has come, with its rate and the time left: by a bar on a terminal, elsewhere by a line of the
// log at its beginning and every few seconds. Its methods may be called by several goroutines.
type meter struct {
	screen *screen
	logger *slog.Logger
	now    func() time.Time

	mu    sync.Mutex
	first step      // of the present work
	began time.Time // it
	told  time.Time // the last line
}

const (
	meterEvery    = 5 * time.Second        // from line to line
	meterThrottle = 100 * time.Millisecond // from bar to bar
)

func newMeter(s *screen, l *slog.Logger) *meter { return &meter{screen: s, logger: l, now: time.Now} }

// show tells of a step. Another work than before begins with it.
func (m *meter) show(s step) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	begins := s.what != m.first.what
	if begins {
		m.endBar()
		m.first, m.began = s, now
	}
	if m.screen.terminal {
		m.draw(s)
	} else if begins && s.done < s.total || !begins && now.Sub(m.told) >= meterEvery {
		m.told = now
		m.line(s, now.Sub(m.began))
	}
}

// draw moves the bar. What was done before it began counts for nothing: it would spoil the rate.
func (m *meter) draw(s step) {
	m.screen.mu.Lock()
	defer m.screen.mu.Unlock()
	total := max(1, s.total-m.first.done)
	if b := m.screen.bar; b == nil || b.IsFinished() {
		m.screen.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(m.screen.out), progressbar.OptionSetDescription(s.what),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(24),
			progressbar.OptionUseANSICodes(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(meterThrottle), unitOf(s))
	}
	// Their only errors are those of writing to the terminal.
	if m.screen.bar.GetMax64() != total {
		m.screen.bar.ChangeMax64(total)
	}
	_ = m.screen.bar.Set64(min(total, s.done-m.first.done))
}

func unitOf(s step) progressbar.Option {
	if s.bytes {
		return progressbar.OptionShowBytes(true)
	}
	return func(b *progressbar.ProgressBar) {
		progressbar.OptionShowIts()(b)
		progressbar.OptionSetItsString("blocks")(b)
	}
}

// line tells of a step in a line of the log.
func (m *meter) line(s step, elapsed time.Duration) {
	unit := "blocks"
	if s.bytes {
		unit = "bytes"
	}
	fields := []any{unit, s.done, "of", s.total}
	if done := s.done - m.first.done; done > 0 && elapsed > 0 {
		rate := float64(done) / elapsed.Seconds()
		left := time.Duration(float64(s.total-s.done) / rate * float64(time.Second))
		fields = append(fields, "per_second", int64(rate), "left", left.Round(time.Second))
	}
	m.logger.Info(s.what, fields...)
}

// end takes the bar away.
func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endBar()
	m.first = step{}
}

func (m *meter) endBar() {
	m.screen.mu.Lock()
	defer m.screen.mu.Unlock()
	if m.screen.bar != nil {
		_ = m.screen.bar.Clear()
		m.screen.bar = nil
	}
}
