package node

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// The rest after a piece of work is as long as said, and nothing after a little one.
func TestPaceRests(t *testing.T) {
	for _, c := range []struct{ work, rest time.Duration }{
		{0, 0},
		{workLeast - 1, 0},
		{workLeast, restsPerWork * workLeast},
		{10 * time.Millisecond, restsPerWork * 10 * time.Millisecond},
		{time.Minute, restMax},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPace(nil)
			p.begin()
			time.Sleep(c.work) // the bubble's time
			p.busy()
			began := time.Now()
			p.rest()
			if took := time.Since(began); took != c.rest {
				t.Errorf("after %v of work: a rest of %v, want %v", c.work, took, c.rest)
			}
		})
	}
}

// A replica that commits no commands has nothing to leave room for: there is a rest until some time after the last one.
func TestPaceOfAnIdleReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const work = 10 * time.Millisecond
		p := newPace(nil)
		p.begin()
		piece := func() time.Duration {
			time.Sleep(work)
			began := time.Now()
			p.rest()
			return time.Since(began)
		}
		if rest := piece(); rest != 0 {
			t.Errorf("before any commands: a rest of %v", rest)
		}
		p.busy()
		busy := time.Now()
		for range 100 {
			rest := piece()
			since := time.Since(busy) - rest
			if want := map[bool]time.Duration{true: restsPerWork * work}[since <= idleAfter]; rest != want {
				t.Fatalf("%v after the last commands: a rest of %v, want %v", since, rest, want)
			}
			if since > idleAfter {
				return
			}
		}
		t.Error("never idle")
	})
}

// Little pieces add up to one that is worth a rest, and what is written passes through.
func TestPacedWriterAddsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(nil)
		p.busy()
		p.begin()
		var out bytes.Buffer
		w := pacedWriter{&out, p}
		const pieces, work = 40, 100 * time.Microsecond
		began := time.Now()
		for range pieces {
			time.Sleep(work)
			if n, err := w.Write([]byte("ab")); n != 2 || err != nil {
				t.Fatal(n, err)
			}
		}
		if took, want := time.Since(began), pieces*work*(1+restsPerWork); took != want || out.Len() != 2*pieces {
			t.Errorf("%d bytes in %v, want %d in %v", out.Len(), took, 2*pieces, want)
		}
	})
}

// What comes in one large piece is written in several, each with its rest.
func TestPacedWriterDivides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(nil)
		p.busy()
		p.begin()
		slow := &slowWriter{}
		began := time.Now()
		n, err := pacedWriter{slow, p}.Write(make([]byte, 2*pieceBytes+1))
		if want := 3 * slowWrite * (1 + restsPerWork); n != 2*pieceBytes+1 || err != nil || slow.writes != 3 || time.Since(began) != want {
			t.Errorf("%d bytes in %d writes, %v, %v, want %v", n, slow.writes, err, time.Since(began), want)
		}
		slow.err = errors.New("full")
		if n, err := (pacedWriter{slow, p}).Write(make([]byte, 2*pieceBytes)); n != 0 || err != slow.err || slow.writes != 4 {
			t.Errorf("%d bytes in %d writes, %v", n, slow.writes, err)
		}
	})
}

// slowWriter takes its time for each write.
type slowWriter struct {
	writes int
	err    error
}

const slowWrite = 2 * time.Millisecond

func (w *slowWriter) Write(b []byte) (int, error) {
	w.writes++
	time.Sleep(slowWrite)
	if w.err != nil {
		return 0, w.err
	}
	return len(b), nil
}

// A node that stops waits for no rest.
func TestPaceEndsWithTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		p := newPace(stop)
		p.begin()
		time.Sleep(time.Second)
		p.busy()
		close(stop)
		began := time.Now()
		if p.rest(); time.Since(began) != 0 {
			t.Errorf("rested for %v", time.Since(began))
		}
	})
}
