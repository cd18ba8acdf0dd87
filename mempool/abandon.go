package mempool

// Abandon returns the owners of all requests that were taken in and not given back, in lane order: for a replica that
// stops. The pool must not be used afterwards.
func (p *Pool) Abandon() []any {
	owners := append([]any(nil), p.own.dead...)
	for _, c := range p.commits.queue[p.commits.emitted:] {
		for _, spans := range c.spans {
			owners = appendOwners(owners, spans)
		}
	}
	for _, s := range p.own.flight {
		owners = appendOwners(owners, s.spans)
	}
	for i := range p.own.closed {
		owners = appendOwners(owners, p.own.closed[i].spans)
	}
	return appendOwners(owners, p.own.draft.spans)
}
