//go:build unix

package hsnet

import (
	"net"
	"syscall"
)

// socketBuffers returns the sizes in bytes of a socket's buffers, as the kernel reports them.
func socketBuffers(conn *net.UDPConn) (receive, send int, ok bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	var errReceive, errSend error
	err = raw.Control(func(fd uintptr) {
		receive, errReceive = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF)
		send, errSend = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
	})
	return receive, send, err == nil && errReceive == nil && errSend == nil
}
