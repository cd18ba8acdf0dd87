package node

import (
	"errors"
	"log/slog"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/prometheus/client_golang/prometheus"
)

// dropCounter counts what was refused from peers, by reason, and logs it at debug level: hostile input must not be able to
// fill the log.
type dropCounter struct {
	counts *prometheus.CounterVec
	logger *slog.Logger
}

func newDropCounter(logger *slog.Logger) *dropCounter {
	return &dropCounter{logger: logger, counts: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hotstuffd_dropped_total", Help: "Input refused from peers, by reason.",
	}, []string{"reason"})}
}

func (d *dropCounter) add(from qc.NodeID, err error) {
	d.counts.WithLabelValues(reason(err)).Inc()
	d.logger.Debug("dropped", "from", from, "reason", err)
}

// reason is the innermost error's text: one of a fixed set of errors, so that the number of reasons is bounded.
func reason(err error) string {
	if errors.Is(err, wire.ErrMalformed) {
		return "message: not of the schema"
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}
