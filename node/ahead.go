package node

import (
	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/mempool"
)

// aheadMax is how many commands an application is told of at once.
const aheadMax = 64

// ahead tells an application of the commands of a batch shortly before it gets them. It belongs to a Machine.
type ahead struct {
	app      app.Foreseer // nil: it does not want to know
	commands [][]byte     // scratch
	told     int          // how many of those that come next it was told of
}

func newAhead(a app.Application) ahead {
	f, _ := a.(app.Foreseer)
	return ahead{app: f}
}

// begin is called before a batch.
func (a *ahead) begin() { a.told = 0 }

// look is called before each command of a batch, with the rest of the batch, that command at its head.
func (a *ahead) look(rest []byte) {
	if a.app == nil {
		return
	}
	if a.told > 0 {
		a.told--
		return
	}
	a.commands = a.commands[:0]
	read := 0
	for ; read < aheadMax; read++ {
		command, after, ok := mempool.NextCommand(rest)
		if !ok {
			break
		}
		if !command.Engine {
			a.commands = append(a.commands, command.Body)
		}
		rest = after
	}
	a.told = max(0, read-1)
	if len(a.commands) > 1 { // one alone would wait here instead
		a.app.Foresee(a.commands)
	}
	clear(a.commands) // they are the batch's
}
