//go:build !unix

package hsnet

import "net"

// socketBuffers is unknown on this system.
func socketBuffers(*net.UDPConn) (receive, send int, ok bool) { return 0, 0, false }
