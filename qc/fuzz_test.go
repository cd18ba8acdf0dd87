package qc_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
)

// A key that is accepted has exactly one form.
func FuzzParsePublicKey(f *testing.F) {
	good := secretKey(f, 0).Public().Marshal()
	f.Add(good)
	f.Add(append([]byte{0xc0}, make([]byte, 95)...))
	f.Add(append(good, good...))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := qc.ParsePublicKey(b)
		if err == nil && !bytes.Equal(key.Marshal(), b) {
			t.Errorf("%x is accepted and marshals to %x", b, key.Marshal())
		}
	})
}

func FuzzParseSecretKey(f *testing.F) {
	f.Add(secretKey(f, 0).Marshal())
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := qc.ParseSecretKey(b)
		if err == nil && !bytes.Equal(key.Marshal(), b) {
			t.Errorf("%x is accepted and marshals to %x", b, key.Marshal())
		}
	})
}

// A signature that is accepted has exactly one form, so that nobody can change a certificate's bytes and keep it valid.
func FuzzSignature(f *testing.F) {
	w := blsWorld(f, 4)
	msg := []byte("message")
	good := w.signers[0].Sign(msg)
	f.Add(good[:])
	f.Add(append([]byte{0xc0}, make([]byte, 47)...))
	f.Add(signatureOutsideSubgroup(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		var sig qc.Signature
		copy(sig[:], b)
		sum, bad := w.scheme.Sum([]qc.Signature{sig})
		if len(bad) == 0 && sum != sig {
			t.Errorf("%x is accepted and is the form of %x", sig, sum)
		}
		if w.scheme.VerifySame(msg, bitmap(4, 0), sig) && sig != good {
			t.Errorf("%x verifies, and is not the signature", sig)
		}
		if err := secretKey(t, 0).Public().VerifyPossession(b); err == nil && sig != secretKey(t, 0).ProvePossession() {
			t.Errorf("%x proves possession, and is not the proof", b)
		}
	})
}

// No certificate but those that replicas signed is accepted, whatever its fields: here one QC, and one TC with it.
func FuzzCertificates(f *testing.F) {
	w := mockWorld(f, 4)
	cert := w.qc(f, 3, blockA, 0, 1, 2)
	tc := w.tc(f, 5, w.timeouts(f, 5, cert)...)
	f.Add(uint64(3), []byte(cert.Signers), cert.Signature[:], uint64(5), viewBytes(tc.HighQCViews), []byte(tc.Signers), tc.Signature[:])
	f.Add(uint64(0), []byte{0xff}, []byte{}, uint64(0), []byte{1, 2, 3}, []byte{}, []byte{1})
	f.Fuzz(func(t *testing.T, view uint64, signers, sig []byte, tcView uint64, listed, tcSigners, tcSig []byte) {
		foreign := qc.QuorumCertificate{Epoch: epoch, View: qc.View(view), Block: blockA, Signers: signers}
		copy(foreign.Signature[:], sig)
		foreignTC := qc.TimeoutCertificate{Epoch: epoch, View: qc.View(tcView), HighQC: foreign, Signers: tcSigners}
		for ; len(listed) >= 8; listed = listed[8:] {
			foreignTC.HighQCViews = append(foreignTC.HighQCViews, qc.View(binary.BigEndian.Uint64(listed)))
		}
		copy(foreignTC.Signature[:], tcSig)

		v := w.verifier()
		if v.QC(&foreign) == nil && !foreign.Equal(&cert) {
			t.Errorf("accepted: %+v", foreign)
		}
		if v.TC(&foreignTC) == nil && !bytes.Equal(foreignTC.AppendLayout(nil), tc.AppendLayout(nil)) {
			t.Errorf("accepted: %+v", foreignTC)
		}
		tm := &qc.Timeout{Epoch: epoch, View: qc.View(tcView) + 1, HighQC: foreign, TC: &foreignTC, Signer: qc.NodeID(view)}
		if v.Timeout(tm) == nil {
			t.Errorf("accepted: %+v", tm)
		}
	})
}

func viewBytes(views []qc.View) (b []byte) {
	for _, v := range views {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}
