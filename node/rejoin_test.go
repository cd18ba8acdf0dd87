package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hotstuffd/hotstuffd/api/server"
	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// lose deletes a part of a stopped replica's data, and shows that it does not start.
func (c *cluster) lose(i int, part string) {
	c.t.Helper()
	if err := os.RemoveAll(filepath.Join(c.home(i), "data", part)); err != nil {
		c.t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Home = c.home(i)
	_, err := node.New(node.Options{Config: cfg, Genesis: c.genesis, Secrets: c.secrets[i], Application: &counter{}})
	if !errors.Is(err, store.ErrSafetyLost) && !errors.Is(err, store.ErrPayloadLost) {
		c.t.Fatalf("node %d without %s: got %v, want a refusal", i, part, err)
	}
}

// rejoin prepares and starts a replica that has lost its state.
func (c *cluster) rejoin(i int) store.Rejoining {
	c.t.Helper()
	dir, id := filepath.Join(c.home(i), "data"), node.StoreIdentity(c.genesis, qc.NodeID(i))
	done, err := store.Rejoin(dir, id, store.Options{},
		store.RejoinOptions{Check: func(s *store.Store) error { return node.CheckStored(s, c.genesis) }})
	if err != nil {
		c.t.Fatal(err)
	}
	c.start(i)
	if ok, reason := c.nodes[i].Ready(); ok {
		c.t.Errorf("node %d is ready although it rejoins: %s", i, reason)
	}
	return done
}

// awaitRejoined waits, block by block, until a replica takes part again.
func (c *cluster) awaitRejoined(i int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		s := c.nodes[i].Status()
		if !s.Rejoining {
			return
		}
		if err := c.nodes[i].Await(ctx, s.AppliedHeight+1); err != nil {
			c.t.Fatalf("node %d has not rejoined at height %d: %v", i, s.AppliedHeight, err)
		}
	}
}

// load has clients submit commands to replicas until stop, which waits for them.
func (c *cluster) load(ids ...int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, len(ids))
	for _, i := range ids {
		n := c.nodes[i]
		go func() {
			for k := 0; ctx.Err() == nil; k++ {
				if _, err := n.Do(context.Background(), fmt.Appendf(nil, "load-%d-%d", i, k)); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	return func() {
		c.t.Helper()
		cancel()
		for range ids {
			if err := <-ended; err != nil {
				c.t.Errorf("under load: %v", err)
			}
		}
	}
}

// A replica that has lost its safety state under load does not start; prepared for it, it follows the others, whom it
// needs for its nonce, and takes part again: with another one stopped every quorum needs its vote, and its own clients
// are served. The same a second time, and once more with its batches lost (S13).
func TestReplicaRejoins(t *testing.T) {
	c := newCluster(t, 4)
	for i := range 4 {
		c.start(i)
	}
	c.do(2, "before")
	nonces := map[string]bool{}
	for round, part := range []string{"safety.slots", ".", "payload"} {
		stop := c.load(0, 1, 3)
		c.stop(2)
		c.lose(2, part)
		done := c.rejoin(2)
		nonces[fmt.Sprintf("engine: rejoin n2 nonce %v", done.Nonce)] = true
		c.awaitRejoined(2)
		stop()
		c.stop(round % 2)
		c.do(2, fmt.Sprintf("quorum-%d", round))
		c.start(round % 2)
		c.agree()
	}
	c.stop(2)
	c.start(2) // as any other from now on
	c.do(2, "after")
	c.agree()
	found := 0
	err := c.nodes[2].Log(t.Context(), 1, false, entriesTo(func(entries []server.Entry) error {
		for _, e := range entries {
			if nonces[e.Command] {
				found++
				delete(nonces, e.Command)
			}
		}
		return nil
	}))
	if err != nil || len(nonces) > 0 {
		t.Errorf("the log shows %d nonces, and not %v; %v", found, nonces, err)
	}
}

// A replica that is stopped before it has rejoined goes on with its nonce at the next start. Until then it takes in no
// command, and says so in words that let a client try again.
func TestRejoinGoesOnAfterARestart(t *testing.T) {
	c := newCluster(t, 4)
	for i := range 4 {
		c.start(i)
	}
	c.do(2, "before")
	c.stop(2)
	c.lose(2, "safety")
	for i := range 4 {
		c.stop(i)
	}
	done := c.rejoin(2) // alone, it cannot
	if s := c.nodes[2].Status(); !s.Rejoining {
		t.Error("its status does not say that it rejoins")
	}
	if v := c.metric(2, "hotstuffd_rejoining"); v != 1 {
		t.Errorf("its metric says %v, want 1", v)
	}
	c.stop(2)
	for i := range 4 {
		c.start(i)
	}
	c.awaitRejoined(2)
	if v := c.metric(2, "hotstuffd_rejoining"); v != 0 {
		t.Errorf("then its metric says %v, want 0", v)
	}
	c.stop(0)
	c.do(2, "quorum")
	c.agree()
	var log []string
	err := c.nodes[1].Log(t.Context(), 1, false, entriesTo(func(entries []server.Entry) error {
		for _, e := range entries {
			log = append(log, e.Command)
		}
		return nil
	}))
	if err != nil || !strings.Contains(strings.Join(log, "\n"), done.Nonce.String()) {
		t.Errorf("nonce %v is not in the log %q, %v", done.Nonce, log, err)
	}
}

// metric returns the value of a replica's metric without labels.
func (c *cluster) metric(i int, name string) float64 {
	c.t.Helper()
	registry := prometheus.NewRegistry()
	for _, collector := range c.nodes[i].Collectors() {
		registry.MustRegister(collector)
	}
	families, err := registry.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	c.t.Fatalf("there is no metric %s", name)
	return 0
}

// holed is a store that has lost the note of one committed block.
type holed struct {
	node.Stored
	height qc.Height
}

func (h holed) CommittedID(at qc.Height) (qc.BlockID, bool, error) {
	if at == h.height {
		return qc.BlockID{}, false, nil
	}
	return h.Stored.CommittedID(at)
}

// A store whose safety state is whole, but whose chain has a hole, counts as lost; one without does not.
func TestCheckStored(t *testing.T) {
	c := newCluster(t, 4)
	for i := range 4 {
		c.start(i)
	}
	c.do(0, "x")
	c.do(0, "y")
	c.stop(0)
	s, err := store.Open(filepath.Join(c.home(0), "data"), node.StoreIdentity(c.genesis, 0), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := node.CheckStored(s, c.genesis); err != nil {
		t.Errorf("a sound store: %v", err)
	}
	if err := node.CheckStored(holed{s, 1}, c.genesis); err == nil {
		t.Error("a hole in the chain is not found")
	}
}

// recorder is an application that keeps what it is told.
type recorder struct{ counter }

func (r *recorder) Apply(at app.Moment, command, reply []byte) []byte {
	r.counter.Apply(at, command, nil)
	return append(append(append(reply, '<'), command...), '>')
}

// The engine's own commands never reach the application, and one that makes no sense does nothing, with the same result
// everywhere. A watched rejoin is told, from whatever lane; another replica's, and another nonce, are not.
func TestEngineCommands(t *testing.T) {
	genesis := blocktree.Genesis(qc.ChainID{1}, 1, 4)
	a := &recorder{}
	m := node.NewMachine(a, genesis, machineConfig)
	mine, seen := mempool.Rejoin{Node: 2, Nonce: [32]byte{5}}, 0
	m.Watch(mine, func() { seen++ })
	others := [][]byte{
		mempool.AppendRejoin(nil, mempool.Rejoin{Node: 1, Nonce: mine.Nonce}),
		mempool.AppendRejoin(nil, mempool.Rejoin{Node: 2, Nonce: [32]byte{6}}),
		mempool.AppendCommand(nil, mempool.AppendRejoin(nil, mine)[1:]), // a client's, of the same bytes
		{1},       // an engine command without bytes
		{3, 0xff}, // of an unknown kind
		{5, 1, 0}, // a rejoin that is cut off
	}
	apply := func(own bool, commands ...[]byte) (replies []byte) {
		b := &mempool.Batch{Count: uint32(len(commands)), Blob: bytes.Join(commands, nil)}
		at := m.Applied()
		e := mempool.Execution{Block: &blocktree.Block{Height: at.Height + 1, Parent: at.Block}, Batches: []*mempool.Batch{b}}
		if own {
			r := &app.Request{Count: b.Count, Complete: func(_ *app.Request, reply []byte, _ error) { replies = reply }}
			e.Spans = [][]mempool.Span{{{Owner: r, Count: b.Count}}}
		}
		m.Apply(e)
		return replies
	}
	apply(false, others...)
	replies := apply(true, append(others, mempool.AppendCommand(nil, []byte("x")))...)
	if want := "\x00\x00<" + string(others[2][1:]) + ">\x01\x01\x01<x>"; string(replies) != want {
		t.Errorf("replies %q, want %q", replies, want)
	}
	if seen != 0 || a.count != 3 || m.Applied().Commands != 13 {
		t.Errorf("told %d times, the application has %d commands of %d; want 0, 3 of 13", seen, a.count, m.Applied().Commands)
	}
	apply(false, mempool.AppendRejoin(nil, mine))
	apply(true, mempool.AppendRejoin(nil, mine))
	if seen != 2 {
		t.Errorf("told %d times of the right one, want twice", seen)
	}
}
