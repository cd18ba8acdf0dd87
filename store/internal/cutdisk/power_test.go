package cutdisk_test

import (
	"errors"
	"testing"

	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

// The power fails before an operation: that one and all later ones are not done, and say so. What was found after it has
// power again.
func TestPowerFails(t *testing.T) {
	d := cutdisk.New()
	f := create(t, d, "/f")
	write(t, f, "old", 0)
	must(t, f.Sync(), d.SyncDir("/"))
	d.PowerFor(1)
	write(t, f, "new", 0)
	if d.Off() {
		t.Fatal("the power is off an operation early")
	}
	if err := f.Sync(); !errors.Is(err, cutdisk.ErrPower) || !d.Off() {
		t.Fatalf("a sync without power: %v", err)
	}
	if _, err := d.Create("/g"); !errors.Is(err, cutdisk.ErrPower) {
		t.Fatalf("a file made without power: %v", err)
	}
	found, _ := d.Cut(cutdisk.Everything, 0)
	if has := text(t, found, "/f") + text(t, found, "/g"); has != "oldnone" {
		t.Errorf("found %q: the failed sync was done", has)
	}
	create(t, found, "/g")
}

// Power that was to fail does not, once it stays.
func TestPowerStays(t *testing.T) {
	d := cutdisk.New()
	d.PowerFor(0)
	d.PowerStays()
	create(t, d, "/f")
	d.PowerOff()
	d.PowerStays()
	if _, err := d.Create("/g"); !errors.Is(err, cutdisk.ErrPower) {
		t.Errorf("the power came back by itself: %v", err)
	}
}
