package hsnet

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/quic-go/quic-go"
)

// Codes with which a connection is closed: they tell the other side why.
const (
	codeShutdown  quic.ApplicationErrorCode = iota + 1 // this replica stops
	codeReplaced                                       // a newer connection of the same identity took over
	codeRedundant                                      // not taken up: another connection is in use
	codeGone                                           // the other process is dead; nobody reads this
	codeFault                                          // codeFault + Fault
)

// refusal is an error through the other side's fault. It is counted where it is made.
type refusal struct {
	fault Fault
	text  string
}

func (r *refusal) Error() string { return fmt.Sprintf("%v: %s", r.fault, r.text) }

// fault counts a fault and returns it as an error.
func (n *Network) fault(f Fault, text string) error {
	n.counters.faults[f].Add(1)
	return &refusal{f, text}
}

// refuse closes a connection for the reason that err gives.
func refuse(conn *quic.Conn, err error) {
	code, text := codeShutdown, ""
	if r, ok := errors.AsType[*refusal](err); ok {
		code, text = codeFault+quic.ApplicationErrorCode(r.fault), r.text
	}
	_ = conn.CloseWithError(code, text) // returns nil always
}

// endedBy tells why a connection ended, once its context is done.
func endedBy(conn *quic.Conn) error { return context.Cause(conn.Context()) }

// remoteCode returns the code with which the other side closed the connection, or 0.
func remoteCode(err error) quic.ApplicationErrorCode {
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok && e.Remote {
		return e.ErrorCode
	}
	return 0
}

// TLS alerts (RFC 8446, section 6) that have one likely cause here.
const (
	alertBadCertificate = 0x100 + 42
	alertNoALPN         = 0x100 + 120
)

// explain turns the end of a connection or of an attempt into what the operator should know or do.
func explain(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.text
	}
	switch code := remoteCode(err); code {
	case codeShutdown:
		return "it is shutting down"
	case codeReplaced:
		return "it has a newer connection of this replica's identity: if this persists, two processes share one identity key"
	case codeRedundant:
		return "another connection is in use"
	case codeFault + quic.ApplicationErrorCode(FaultChain):
		return "it belongs to another chain: compare the genesis files"
	default:
		if code >= codeFault && code < codeFault+Faults {
			return fmt.Sprintf("it refused this replica (%v)", Fault(code-codeFault))
		}
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok && e.Remote {
		switch e.ErrorCode {
		case alertBadCertificate:
			return "it does not know this replica's identity key: compare the genesis files"
		case alertNoALPN:
			return "it speaks another version of the protocol: run the same release on all replicas"
		case quic.ConnectionRefused:
			return "it is too busy, or stopping"
		}
	}
	if _, ok := errors.AsType[*quic.StatelessResetError](err); ok {
		return "it was restarted"
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok && !e.Remote {
		switch {
		case e.ErrorCode == codeGone:
			return "its process is gone: its port is closed"
		case e.ErrorCode >= codeFault:
			return e.ErrorMessage // ours: see refuse
		}
	}
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok || errors.Is(err, os.ErrDeadlineExceeded) {
		return "no answer"
	}
	if _, ok := errors.AsType[*quic.HandshakeTimeoutError](err); ok {
		return "no answer"
	}
	return err.Error()
}
