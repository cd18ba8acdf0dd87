package main

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/hotstuffd/hotstuffd/cmd/internal/witness"
)

// To clients of all four nodes the store looks like one, while a node is killed and comes back.
func TestHistoriesAreLinearizable(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	const clients, keys, victim = 8, 4, 1
	rounds := 15
	if testing.Short() {
		rounds = 6
	}
	h := witness.NewHistory()
	var back atomic.Bool            // the victim is up again
	var fled [clients]bool          // a client's node was killed: it goes to others until that is up again
	var known [clients][keys]string // what a client saw last
	l := startLoad(clients, func(i, round int) error {
		random := rand.New(rand.NewPCG(uint64(i), uint64(round)))
		k, name := random.IntN(keys), []string{"GET", "GET", "SET", "GETSET", "CAS", "CAS"}[random.IntN(6)]
		op := witness.Operation{Name: name, Key: fmt.Sprint("k", k), Value: fmt.Sprintf("%d.%d", i, round), Old: known[i][k]}
		node := i % 4
		if fled[i] && !back.Load() {
			node = (victim + 1 + round%3) % 4
		}
		switch got, err := h.Run(ctx, c.client(node), i, op); {
		case err != nil && (node != victim || !witness.Unanswered(err)):
			return fmt.Errorf("%+v at node %d: %w", op, node, err)
		case err != nil:
			fled[i] = true
		case name == "GET":
			known[i][k] = got.Value
		case name != "CAS" || got.Swapped:
			known[i][k] = op.Value
		}
		return nil
	})
	l.await(rounds)
	c.kill(victim)
	l.await(rounds)
	c.start(victim)
	back.Store(true)
	l.await(rounds)
	for _, err := range l.end() {
		t.Error(err)
	}
	n, err := h.Check(patience)
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d operations on %d keys, %d successful swaps, %d outcomes unknown", n.Operations, n.Histories, n.Swaps, n.Open)
}
