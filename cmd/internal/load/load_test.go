package load

import (
	"bufio"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hotstuffd/hotstuffd/app/kv/resp"
	"github.com/hotstuffd/hotstuffd/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small are options for a second of one client that sends one command at a time.
func small(s *server) Options {
	return Options{Targets: []*Target{{Name: "node0", Address: "a"}, {Name: "node1", Address: "b"}}, Clients: 1, Pipeline: 1,
		Duration: time.Second, Payload: 16, Keys: 10, Seed: 1, Dial: s.dial}
}

// inBubble runs a load on its own clock.
func inBubble(t *testing.T, o func() Options, check func(t *testing.T, r *Result)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, err := Run(t.Context(), o())
		if err != nil {
			t.Fatal(err)
		}
		check(t, r)
	})
}

// near tells whether milliseconds are what they should be, to the histogram's three digits.
func near(got, want float64) bool { return got > want*0.998-0.001 && got < want*1.002+0.001 }

func TestClosedLoopWaitsForReplies(t *testing.T) {
	s := &server{reply: after(10 * time.Millisecond)}
	inBubble(t, func() Options { return small(s) }, func(t *testing.T, r *Result) {
		if r.Commands != 100 || !near(r.PerSecond, 100) || !near(r.Latency.P50, 10) || !near(r.Latency.Max, 10) || !near(r.LongestGap, 10) {
			t.Errorf("100 commands of 10 ms in a second: %+v", r)
		}
	})
}

func TestPipelinedCommandsAreSentTogether(t *testing.T) {
	s := &server{reply: after(time.Millisecond)}
	o := func() Options {
		o := small(s)
		o.Clients, o.Pipeline = 2, 10
		return o
	}
	inBubble(t, o, func(t *testing.T, r *Result) {
		// Each of a batch waits for those before it; a server answers one after the other.
		if r.Commands != 2000 || !near(r.Latency.P50, 5) || !near(r.Latency.Max, 10) {
			t.Errorf("two clients of 100 batches of 10: %+v", r)
		}
	})
	seen := map[string]bool{}
	for _, c := range s.commands {
		if len(c) != 3 || c[0] != "SET" || !strings.HasPrefix(c[1], "key:00000000000") || len(c[2]) != 16 || seen[c[2]] {
			t.Fatalf("no SET of a new value: %q", c)
		}
		seen[c[2]] = true
	}
}

// A stall of half a second, in the middle of 100 commands a second: each that was due during the stall has waited for its end.
// Measured from when it was sent, as in a closed loop, one alone would have.
func TestOpenLoopCountsFromWhenACommandWasDue(t *testing.T) {
	s := &server{reply: func(n int, _ []string) string {
		if n == 25 {
			time.Sleep(500 * time.Millisecond)
		}
		return resp.OK
	}}
	o := func() Options {
		o := small(s)
		o.Rate = 100
		return o
	}
	inBubble(t, o, func(t *testing.T, r *Result) {
		if r.Commands != 100 || !near(r.Latency.Max, 500) || !near(r.Latency.P90, 400) || !near(r.LongestGap, 510) {
			t.Errorf("100 commands, 51 of them up to 500 ms late: %+v", r)
		}
		if r.Latency.P50 > 1 || !near(r.Latency.Mean, 127.5) {
			t.Errorf("half of them were not late, 51 by 250 ms in the mean: %+v", r)
		}
	})
}

func TestWarmupDoesNotCount(t *testing.T) {
	s := &server{reply: func(n int, _ []string) string {
		if n < 50 {
			return "-BUSY too much work under way, try again\r\n"
		}
		return resp.OK
	}}
	measured := time.Duration(0)
	o := func() Options {
		o := small(s)
		o.Rate, o.Warmup = 100, 500*time.Millisecond
		begun := time.Now()
		o.Moments = []Moment{{After: o.Warmup, Do: func(context.Context) { measured = time.Since(begun) }}}
		return o
	}
	inBubble(t, o, func(t *testing.T, r *Result) {
		if r.Commands != 100 || r.Errors != 0 || r.Seconds != 1 || measured != 500*time.Millisecond {
			t.Errorf("after %v: %+v", measured, r)
		}
	})
}

func TestErrorRepliesAreNoSuccess(t *testing.T) {
	s := &server{reply: func(n int, _ []string) string {
		if n%4 == 3 {
			return "-BUSY too much work under way, try again\r\n"
		}
		return "$1\r\nx\r\n"
	}}
	o := func() Options {
		o := small(s)
		o.Rate = 100
		return o
	}
	inBubble(t, o, func(t *testing.T, r *Result) {
		if r.Commands != 75 || r.Errors != 25 || r.FirstError != "BUSY too much work under way, try again" || !near(r.PerSecond, 75) || !near(r.LongestGap, 20) {
			t.Errorf("%+v", r)
		}
	})
}

// What is never answered is told, and does not keep the run from ending.
func TestUnansweredCommands(t *testing.T) {
	for _, rate := range []int{0, 100} {
		s := &server{}
		o := func() Options {
			o := small(s)
			o.Rate = rate
			hang := make(chan struct{})
			time.AfterFunc(time.Minute, func() { close(hang) })
			s.reply = func(n int, _ []string) string {
				if n >= 50 {
					<-hang
					return ""
				}
				time.Sleep(time.Millisecond)
				return resp.OK
			}
			return o
		}
		want := map[int]int64{0: 1, 100: 50}[rate]
		inBubble(t, o, func(t *testing.T, r *Result) {
			if r.Commands != 50 || r.Unanswered != want || r.LongestGap < 15_000 {
				t.Errorf("rate %d: %+v", rate, r)
			}
			time.Sleep(time.Minute) // of the bubble: until the server has ended
		})
	}
}

func TestLostConnectionEndsTheRun(t *testing.T) {
	for _, rate := range []int{0, 100} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{reply: func(n int, _ []string) string {
				if n >= 5 {
					return ""
				}
				return resp.OK
			}}
			o := small(s)
			o.Rate = rate
			_, err := Run(t.Context(), o)
			if err == nil || !strings.HasPrefix(err.Error(), "node0: the connection is lost: ") {
				t.Errorf("rate %d: %v", rate, err)
			}
		})
	}
}

// When its server was ended on purpose, a client sends what is missing to another one, and the wait counts.
func TestClientsOfAServerThatWasEndedGoOn(t *testing.T) {
	for _, rate := range []int{0, 100} {
		s := &server{}
		o := func() Options {
			o := small(s)
			o.Rate = rate
			s.reply = func(n int, _ []string) string {
				time.Sleep(10 * time.Millisecond)
				if n == 20 {
					time.Sleep(90 * time.Millisecond)
					o.Targets[0].Gone()
					return ""
				}
				return resp.OK
			}
			return o
		}
		inBubble(t, o, func(t *testing.T, r *Result) {
			if r.Errors != 0 || r.Unanswered != 0 || s.dials != 2 || r.Latency.Max < 100 || r.LongestGap < 100 {
				t.Errorf("rate %d, %d connections: %+v", rate, s.dials, r)
			}
			if want := map[int]int64{0: 90, 100: 100}[rate]; r.Commands != want {
				t.Errorf("rate %d: %d commands, want %d", rate, r.Commands, want)
			}
		})
	}
}

func TestNoRedisServer(t *testing.T) {
	for _, answer := range []string{"HTTP/1.1 400 Bad Request\r\n", "\n", "$x\r\n", strings.Repeat("x", 2*repliesBytes)} {
		synctest.Test(t, func(t *testing.T) {
			_, err := Run(t.Context(), small(&server{reply: func(int, []string) string { return answer }}))
			if !errors.Is(err, errNotRedis) {
				t.Errorf("%.20q: %v", answer, err)
			}
		})
	}
}

func TestLiveShowsEachSecond(t *testing.T) {
	s := &server{reply: after(10 * time.Millisecond)}
	var shown []Second
	o := func() Options {
		o := small(s)
		o.Warmup, o.Duration = time.Second, 2500*time.Millisecond
		o.Live = func(s Second) { shown = append(shown, s) }
		return o
	}
	inBubble(t, o, func(t *testing.T, r *Result) {
		if len(shown) != 3 || !shown[0].Warmup || shown[1].Warmup {
			t.Fatalf("%+v", shown)
		}
		if s := shown[1]; s.PerSecond < 99 || s.PerSecond > 101 || !near(ms(s.P99), 10) {
			t.Errorf("%+v", s)
		}
	})
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

func TestInterruptedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		for _, rate := range []int{0, 100} {
			o := small(&server{reply: after(time.Millisecond)})
			o.Rate = rate
			if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		time.Sleep(time.Second) // of the bubble: until the servers have ended
	})
}

// Every command has its time: none is lost or doubled between clients, however long the schedule is.
func TestSchedule(t *testing.T) {
	for _, test := range []struct{ clients, rate int }{{1, 1}, {3, 7}, {32, 33333}, {64, 10_000_000}} {
		r := &run{o: &Options{Clients: test.clients, Rate: test.rate}, recorder: newRecorder(0, 2*second+second/3)}
		all := int64(0)
		for id := range test.clients {
			n := r.total(id)
			all += n
			if n > 0 && r.due(id, n-1) >= r.recorder.to || r.due(id, n) < r.recorder.to {
				t.Errorf("%+v: client %d has %d commands, due at %d and %d", test, id, n, r.due(id, n-1), r.due(id, n))
			}
		}
		if want := int64(float64(test.rate)*(2+1.0/3)) + 1; all < want-1 || all > want {
			t.Errorf("%+v: %d commands, want %d", test, all, want)
		}
	}
	day := &run{o: &Options{Clients: 4096, Rate: rateMax}, recorder: newRecorder(0, 24*3600*second)}
	if n := day.total(7); day.due(7, n) < day.recorder.to || day.due(7, n-1) >= day.recorder.to {
		t.Errorf("a day at the highest rate: %d commands, the last due at %d", n, day.due(7, n-1))
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"--clients = 0: want 1 to 4096":       func(o *Options) { o.Clients = 0 },
		"--pipeline = 5000: want 1 to 4096":   func(o *Options) { o.Pipeline = 5000 },
		"--rate = -1: want 0 to 10000000":     func(o *Options) { o.Rate = -1 },
		"--payload = -1: want 0 to 1048576":   func(o *Options) { o.Payload = -1 },
		"--duration = 0s: want 1ms to 24h":    func(o *Options) { o.Duration = 0 },
		"--warmup = -1s: want 0s to 24h":      func(o *Options) { o.Warmup = -time.Second },
		"--keys = 0: want 1 to 1000000000000": func(o *Options) { o.Keys = 0 },
	} {
		o := small(&server{})
		change(&o)
		var user *config.UserError
		if _, err := Run(t.Context(), o); !errors.As(err, &user) || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A load is cheap for the machine that it shares: neither a request nor a reply allocates.
func TestNothingIsAllocatedForACommand(t *testing.T) {
	r := newRequests(16, 128, 1000, rand.New(rand.NewPCG(1, 2)))
	in := bufio.NewReaderSize(nil, repliesBytes)
	replies := strings.NewReader("")
	recorder := newRecorder(0, 1)
	good := []int64{1, 2, 3}
	allocated := testing.AllocsPerRun(100, func() {
		r.fill(16)
		replies.Reset("+OK\r\n:1\r\n$3\r\nabc\r\n$-1\r\n-ERR no\r\n")
		in.Reset(replies)
		for range 5 {
			if _, err := readReply(in); err != nil {
				t.Fatal(err)
			}
		}
		recorder.replies(4, good, nil)
	})
	if allocated > 0 {
		t.Errorf("%v allocations", allocated)
	}
}
