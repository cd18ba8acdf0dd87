package sim

import (
	"math/rand/v2"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Behaviors is a set of ways in which a replica is Byzantine.
type Behaviors uint32

func drawBehaviors(r *rand.Rand) Behaviors { return 0 }

type mind struct{ r *replica }

func newMind(r *replica, b Behaviors) *mind { return &mind{r} }

func (m *mind) sends(to qc.NodeID, message any)                    { m.r.life.emit(to, message) }
func (m *mind) replies(to qc.NodeID, message any) bool             { return m.r.life.emit(to, message) }
func (m *mind) receives(from qc.NodeID, message any) (toCore bool) { return true }
