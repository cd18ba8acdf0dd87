// Package server shows one replica to operators and their tools over HTTP:
//
//	GET /status    the replica's state as JSON; ?height=H waits until that height is applied, for at most half a minute
//	GET /healthz   200 while the process lives
//	GET /readyz    200 when the replica is in touch with a quorum and caught up, otherwise 503 and the reason
//	GET /metrics   for Prometheus
//	GET /log       the committed log, a JSON object a line, oldest first; ?from=H&limit=N&follow=1
//
// It only reads: nothing here changes the replica, and no client's command enters by it. What it shows, it asks of a Node.
// Start at Listen.
//
// Everything is bounded: connections, requests that wait or stream, the bytes of a request, and the time a slow reader may
// take. There are no passwords and no TLS, so it belongs on loopback or behind a proxy.
package server
