package redis

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// info answers INFO [section ...]: the server's own fields, then those of Config.Info, grouped by section.
func info(c *conn, args [][]byte, dst []byte) []byte {
	fields := c.server.infoFields()
	if c.server.cfg.Info != nil {
		fields = append(fields, c.server.cfg.Info()...)
	}
	var wanted []string
	for _, a := range args {
		if name := lower(a); name != "all" && name != "default" && name != "everything" {
			wanted = append(wanted, name)
		} else {
			wanted = nil
			break
		}
	}
	var sections []string
	for _, f := range fields {
		if !slices.Contains(sections, f.Section) && (wanted == nil || slices.Contains(wanted, strings.ToLower(f.Section))) {
			sections = append(sections, f.Section)
		}
	}
	var text []byte
	for i, section := range sections {
		if i > 0 {
			text = append(text, "\r\n"...)
		}
		text = fmt.Appendf(text, "# %s\r\n", section)
		for _, f := range fields {
			if f.Section == section {
				text = fmt.Appendf(text, "%s:%s\r\n", f.Name, f.Value)
			}
		}
	}
	return resp.AppendBulk(dst, text)
}

func (s *Server) infoFields() []InfoField {
	s.mu.Lock()
	connected, total, refused := len(s.conns), s.total, s.refused
	s.mu.Unlock()
	return []InfoField{
		{"Server", "redis_version", redisVersion},
		{"Server", "redis_mode", "standalone"},
		{"Server", "os", runtime.GOOS + " " + runtime.GOARCH},
		{"Server", "process_id", strconv.Itoa(os.Getpid())},
		{"Server", "tcp_port", s.port()},
		{"Server", "uptime_in_seconds", strconv.Itoa(int(time.Since(s.started).Seconds()))},
		{"Clients", "connected_clients", strconv.Itoa(connected)},
		{"Clients", "maxclients", strconv.Itoa(s.cfg.MaxConnections)},
		{"Stats", "total_connections_received", strconv.FormatUint(total, 10)},
		{"Stats", "rejected_connections", strconv.FormatUint(refused, 10)},
	}
}

func (s *Server) port() string {
	address := s.Addr().String()
	return address[strings.LastIndexByte(address, ':')+1:]
}
