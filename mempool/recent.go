package mempool

import "slices"

// recent is the window of executed batches that stay in memory for peers that are a little behind: first in, first out, bounded in bytes.
type recent struct {
	items []*item
	bytes int
}

// keepRecent moves an executed item into the window.
func (p *Pool) keepRecent(it *item) {
	r := &p.recent
	it.kept = true
	r.items = append(r.items, it)
	r.bytes += it.cost()
	out := 0
	for ; r.bytes > p.cfg.RecentBytes; out++ {
		old := r.items[out]
		old.kept = false
		r.bytes -= old.cost()
		p.dropUnused(old)
	}
	r.items = slices.Delete(r.items, 0, out)
}
