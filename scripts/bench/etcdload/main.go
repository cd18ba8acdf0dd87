// Command etcdload puts load on an etcd cluster, for scripts/bench/compare: a number of puts outstanding at every moment, with
// random values, spread over the members, after a warm-up that does not count. It prints one line of JSON.
//
//	etcdload -endpoints 127.0.0.1:2379,127.0.0.1:2479 -outstanding 256 -duration 10s
//
// It is a module of its own, so that etcd's client is no dependency of hotstuffd.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

type settings struct {
	endpoints        []string
	outstanding      int
	connections      int // to each member
	duration, warmup time.Duration
	payload, keys    int
}

// result is what is printed; latencies are in milliseconds, as the client sees them.
type result struct {
	Commands uint64  `json:"commands"`
	Rate     float64 `json:"rate"` // a second
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
	Errors   uint64  `json:"errors"`
}

func main() {
	var s settings
	endpoints := flag.String("endpoints", "127.0.0.1:2379", "members, separated by commas")
	flag.IntVar(&s.outstanding, "outstanding", 64, "puts under way at every moment, over all members")
	flag.IntVar(&s.connections, "connections", 4, "connections to each member")
	flag.DurationVar(&s.duration, "duration", 10*time.Second, "what is measured")
	flag.DurationVar(&s.warmup, "warmup", 2*time.Second, "load before that")
	flag.IntVar(&s.payload, "payload", 128, "bytes of a value")
	flag.IntVar(&s.keys, "keys", 100_000, "different keys")
	flag.Parse()
	s.endpoints = strings.Split(*endpoints, ",")
	r, err := run(s)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcdload:", err)
		os.Exit(1)
	}
}

func run(s settings) (result, error) {
	clients, err := dial(s)
	for _, c := range clients {
		defer c.Close()
	}
	if err != nil {
		return result{}, err
	}
	var (
		group   sync.WaitGroup
		begin   = time.Now().Add(s.warmup)
		end     = begin.Add(s.duration)
		workers = make([]worker, s.outstanding)
	)
	for i := range workers {
		workers[i] = newWorker(clients[i%len(clients)], s, uint64(i))
		group.Go(func() { workers[i].put(begin, end) })
	}
	group.Wait()
	return sum(workers, s.duration)
}

// dial opens the connections to all members, in turn, so that worker i and worker i+1 talk to different ones.
func dial(s settings) (clients []*clientv3.Client, err error) {
	for range s.connections {
		for _, endpoint := range s.endpoints {
			c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
			if err != nil {
				return clients, err
			}
			clients = append(clients, c)
		}
	}
	return clients, nil
}

// worker has one put under way.
type worker struct {
	client  *clientv3.Client
	random  *rand.ChaCha8
	s       settings
	latency *hdrhistogram.Histogram // microseconds
	errors  uint64
	failure error // the first
}

func newWorker(c *clientv3.Client, s settings, n uint64) worker {
	return worker{client: c, s: s, random: rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), 1}),
		latency: hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)}
}

func (w *worker) put(begin, end time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), end.Add(10*time.Second))
	defer cancel()
	value := make([]byte, w.s.payload)
	for {
		start := time.Now()
		if !start.Before(end) {
			return
		}
		_, _ = w.random.Read(value) // never fails
		_, err := w.client.Put(ctx, fmt.Sprintf("key:%012d", w.random.Uint64()%uint64(w.s.keys)), string(value))
		switch took := time.Since(start); {
		case err != nil:
			w.errors++
			w.failure = errors.Join(w.failure, err)
			return
		case !start.Before(begin) && start.Add(took).Before(end):
			_ = w.latency.RecordValue(max(1, took.Microseconds())) // within the bounds: the deadline sees to it
		}
	}
}

// sum adds up what the workers have seen. That none was answered is an error.
func sum(workers []worker, duration time.Duration) (result, error) {
	all := hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
	var r result
	var failure error
	for i := range workers {
		all.Merge(workers[i].latency)
		r.Errors += workers[i].errors
		if failure == nil {
			failure = workers[i].failure
		}
	}
	milliseconds := func(us int64) float64 { return float64(us) / 1000 }
	r.Commands = uint64(all.TotalCount())
	r.Rate = float64(r.Commands) / duration.Seconds()
	r.P50, r.P99, r.Max = milliseconds(all.ValueAtQuantile(50)), milliseconds(all.ValueAtQuantile(99)), milliseconds(all.Max())
	if r.Commands == 0 {
		return r, fmt.Errorf("no put was answered: %w", failure)
	}
	return r, nil
}
