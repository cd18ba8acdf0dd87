package floor

import (
	"testing"
	"time"
)

// Every part can be measured and costs something.
func TestMeasure(t *testing.T) {
	figures, err := Measure(t.Context(), t.TempDir(), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(figures) != len(parts) {
		t.Errorf("%d figures, want %d", len(figures), len(parts))
	}
	for _, f := range figures {
		if f.Value <= 0 {
			t.Errorf("%s costs %v", f.Name, f.Value)
		}
	}
}
