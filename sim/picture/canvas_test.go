package picture

import (
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	var c Canvas
	if unit := c.Scale(10, 90, 0, 100, 7, " ms"); unit != 12.5 { // up to 8
		t.Errorf("a unit is worth %v", unit)
	}
	c.Path("p50", 1, 2, 3.04, 4)
	c.Path("none")
	c.Text("head", "start", 1, 2, `a < "b" & c`)
	page := c.Page(100, 50, "<title>", "what it shows")
	for _, want := range []string{`viewBox="0 0 100 50"`, `<title id="title">&lt;title&gt;</title>`, `<path class="p50" d="M1 2L3 4"/>`, `>a &lt; &quot;b&quot; &amp; c</text>`, `>8 ms</text>`, "</svg>\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if strings.Contains(page, `class="none"`) {
		t.Error("a line without points was drawn")
	}
}

func TestNiceStep(t *testing.T) {
	for whole, want := range map[float64]float64{4: 1, 7: 2, 19: 5, 40: 10, 0.3: 0.1} {
		if step := NiceStep(whole, 4); step < want*0.999 || step > want*1.001 {
			t.Errorf("%v in four steps of %v, want %v", whole, step, want)
		}
	}
}
