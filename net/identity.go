package hsnet

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/hotstuffd/hotstuffd/qc"
)

// protocolALPN names the protocol and its version: replicas of another version fail in the handshake.
const protocolALPN = "hotstuffd/1"

// identityKey is an Ed25519 public key as a map key.
type identityKey [ed25519.PublicKeySize]byte

func keyOf(public ed25519.PublicKey) (identityKey, bool) {
	if len(public) != ed25519.PublicKeySize {
		return identityKey{}, false
	}
	return identityKey(public), true
}

// resetKey derives the key of stateless resets from the identity, so that a restarted replica can still disown the
// connections of its former life, and its peers drop them at once.
func resetKey(identity ed25519.PrivateKey, chain qc.ChainID) (quic.StatelessResetKey, error) {
	var key quic.StatelessResetKey
	b, err := hkdf.Key(sha256.New, identity.Seed(), chain[:], "hotstuffd/net stateless reset 1", len(key))
	if err != nil {
		return key, fmt.Errorf("net: stateless reset key: %w", err)
	}
	copy(key[:], b)
	return key, nil
}

// selfSigned makes the certificate that carries the identity key. Only the key in it counts: names and dates are ignored.
func selfSigned(identity ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280: no expiry
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, identity.Public(), identity)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("net: certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: identity}, nil
}

// tlsConfig pins the other side to the roster, and to one member of it when this replica dials (dialed is nil when it
// accepts). TLS itself proves that the other side holds the key in its certificate.
func (n *Network) tlsConfig(dialed *qc.NodeID) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{n.certificate},
		NextProtos:             []string{protocolALPN},
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       []tls.CurveID{tls.X25519},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true,      // no certificate authority, no names: VerifyConnection pins the key
		SessionTicketsDisabled: true,      // a resumed session would outlive a change of the roster
		ServerName:             "replica", // constant: whom we dial is nobody's business
		// Not VerifyPeerCertificate: that one is skipped when a session is resumed.
		VerifyConnection: func(state tls.ConnectionState) error {
			id, err := n.member(state)
			switch {
			case dialed == nil && err != nil:
				n.logRefusal("a connection was refused", err) // one that was dialed is reported by who dialed it
			case dialed != nil && err == nil && id != *dialed:
				err = n.fault(FaultIdentity, fmt.Sprintf("the address of %v is answered by %v: check the addresses in the roster", *dialed, id))
			}
			return err
		},
	}
}

// member names the roster member whose key the other side has proven to hold.
// Expected errors: refusal.
func (n *Network) member(state tls.ConnectionState) (qc.NodeID, error) {
	var public ed25519.PublicKey
	if len(state.PeerCertificates) == 1 {
		public, _ = state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	}
	key, ok := keyOf(public)
	if !ok {
		return 0, n.fault(FaultStranger, "certificate is not one self-signed Ed25519 key")
	}
	id, ok := n.roster[key]
	if !ok {
		return 0, n.fault(FaultStranger, fmt.Sprintf("key %x is not in the roster", key[:4]))
	}
	if id == n.cfg.Self {
		return 0, n.fault(FaultIdentity, "another process uses this replica's identity key, or the roster lists this replica's address for a peer")
	}
	return id, nil
}
