package store_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

// A snapshot that takes the place of another one of its height, with as many other bytes, is never described as that one.
func TestReplacedSnapshotIsNeverMixed(t *testing.T) {
	other := bytes.Repeat([]byte{7}, len(snapshotOf(3)))
	replaced := 0
	onTrace(t, func(s *store.Store) error {
		w, err := s.CreateSnapshot(3)
		must(t, err)
		_, err = w.Write(other)
		must(t, errors.Join(err, w.Finish()))
		_, err = w.Commit(certified(3).Certificate)
		return err
	}, func(killed *cutdisk.Disk, cuts []*cutdisk.Disk) {
		for _, image := range append(cuts, killed) {
			s := openOn(t, image)
			for _, m := range s.Snapshots() {
				reader, err := s.OpenSnapshot(m.Height())
				must(t, err)
				data, err := io.ReadAll(reader)
				must(t, err)
				if bytes.Equal(data, other) {
					replaced++
				} else if !bytes.Equal(data, snapshotOf(3)) {
					t.Errorf("it reads as neither")
				}
			}
		}
	})
	if replaced == 0 {
		t.Error("no cut came after the commit: nothing is shown")
	}
}

// What a process that was killed has left is durable before it is shown.
func TestSnapshotThatWasShownStays(t *testing.T) {
	for name, call := range map[string]func(*store.Store) error{
		"taken":    func(s *store.Store) error { _, err := take(s, 4); return err },
		"received": func(s *store.Store) error { return receive(s, 4, 100) },
	} {
		onTrace(t, call, func(killed *cutdisk.Disk, _ []*cutdisk.Disk) {
			shown := heights(openOn(t, killed))
			for _, loss := range []cutdisk.Loss{cutdisk.Everything, cutdisk.Names, cutdisk.Data} {
				image, _ := killed.Cut(loss, 0)
				if got := heights(openOn(t, image)); !slices.Equal(got, shown) {
					t.Errorf("%s, %v lost: snapshots %v, and %v were shown", name, loss, got, shown)
				}
			}
		})
	}
}
