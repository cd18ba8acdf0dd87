package node_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// tally is a state machine of one number: every command adds its length.
type tally struct{ sum uint64 }

func (t *tally) Apply(_ app.Moment, command, reply []byte) []byte {
	t.sum += uint64(len(command))
	return strconv.AppendUint(reply, t.sum, 10)
}
func (t *tally) Query(_, reply []byte) []byte { return strconv.AppendUint(reply, t.sum, 10) }
func (t *tally) Digest() [32]byte             { return sha256.Sum256(binary.BigEndian.AppendUint64(nil, t.sum)) }

// A program puts its own state machine under the engine: here on a chain of one replica, elsewhere on each of four.
func Example() {
	home, remove := newHome()
	defer remove()

	cfg, genesis, secrets, err := config.Load(home)
	check(err)
	replica, err := node.New(node.Options{
		Config: cfg, Genesis: genesis, Secrets: secrets,
		Application: &tally{},
		Logger:      slog.New(slog.DiscardHandler),
	})
	check(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- replica.Run(ctx) }()

	reply, err := replica.Do(ctx, []byte("hello")) // returns once it is committed and applied
	check(err)
	fmt.Printf("%s\n", reply)
	reply, err = replica.Query(ctx, nil) // linearizable
	check(err)
	fmt.Printf("%s\n", reply)

	stop()
	check(<-ended)
	// Output:
	// 5
	// 5
}

// newHome makes what `hotstuffd testnet init --nodes 1` makes, on a port that is free.
func newHome() (home string, remove func()) {
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(err)
	port := free.LocalAddr().(*net.UDPAddr).Port
	check(free.Close())
	dir, err := os.MkdirTemp("", "hotstuffd-example-*")
	check(err)
	check(config.InitTestnet(config.Testnet{Dir: filepath.Join(dir, "testnet"), Nodes: 1, BasePort: port,
		InitData: func(dir string, g *config.Genesis, id qc.NodeID) error {
			return store.Init(dir, node.StoreIdentity(g, id), store.Options{})
		}}))
	return filepath.Join(dir, "testnet", "node0"), func() { os.RemoveAll(dir) }
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
