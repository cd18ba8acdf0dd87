package node_test

import (
	"fmt"

	"github.com/hotstuffd/hotstuffd/api/server"
)

// entriesTo is a reader of a log that has no gaps.
type entriesTo func([]server.Entry) error

// Entries implements server.LogReader.
func (f entriesTo) Entries(e []server.Entry) error { return f(e) }

// Gap implements server.LogReader.
func (f entriesTo) Gap(g server.Gap) error {
	return fmt.Errorf("heights %d to %d are not kept", g.From, g.To)
}
