package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// KeyError is a setting whose value cannot work.
type KeyError struct {
	Key     string // such as pacemaker.base_timeout
	Value   string // as a settings file has it
	Problem string // what is wrong, and the mend
}

func (e *KeyError) Error() string { return fmt.Sprintf("%s = %s: %s", e.Key, e.Value, e.Problem) }

// Bounds that no deployment has a reason to leave.
const (
	durationMax    = time.Hour
	sizeMax        = 1 << 40 // bytes
	countMax       = 1 << 20
	batchBytesMin  = 1 << 10
	valueBytesMax  = 512 << 20 // as in Redis
	baseTimeoutMin = time.Millisecond
)

// Validate checks every value by itself and against the others, in the order of the type's fields.
// Expected errors: KeyError, for the first value that cannot work.
func (c Config) Validate() error {
	check := checker{c: c}
	check.chain("chain", c.Chain)
	for _, key := range []string{"genesis", "keys.bls", "keys.identity", "storage.dir"} {
		check.that(c.leaf(key) != "", key, "empty, name a path")
	}
	check.that(c.Net.Listen != "", "net.listen", "empty, write host:port, the host may be left out")
	for _, key := range []string{"net.listen", "clients.listen", "http.listen"} {
		check.listen(key, c.leaf(key).(string))
	}
	check.that(c.HTTP.Listen == "" || c.HTTP.Listen != c.Clients.Listen, "http.listen", "also clients.listen, give each a port of its own")

	p := c.Pacemaker
	check.durations("pacemaker.base_timeout", baseTimeoutMin, durationMax)
	check.durations("pacemaker.max_timeout", baseTimeoutMin, durationMax)
	check.that(p.BaseTimeout <= p.MaxTimeout, "pacemaker.base_timeout", "above pacemaker.max_timeout = %s, lower it or raise that", show(p.MaxTimeout))
	check.durations("pacemaker.heartbeat", baseTimeoutMin, durationMax)
	check.durations("pacemaker.min_view", 0, durationMax)
	check.that(p.MinView < p.BaseTimeout, "pacemaker.min_view", "not below pacemaker.base_timeout = %s, every view would time out: lower it", show(p.BaseTimeout))

	check.sizes("mempool.batch_bytes", batchBytesMin, sizeMax)
	check.durations("mempool.batch_delay", 0, durationMax)
	check.that(c.Mempool.BatchDelay < p.BaseTimeout, "mempool.batch_delay", "not below pacemaker.base_timeout = %s: lower it", show(p.BaseTimeout))
	check.sizes("mempool.pending_bytes", c.Mempool.BatchBytes, sizeMax)
	check.sizes("mempool.peer_bytes", c.Mempool.BatchBytes, sizeMax)

	check.sizes("storage.snapshot_bytes", batchBytesMin, sizeMax)
	within(&check, "storage.retain_blocks", c.Storage.RetainBlocks, 0, sizeMax, strconv.Itoa)

	check.durations("clients.timeout", baseTimeoutMin, durationMax)
	check.counts("clients.max_connections")
	check.sizes("clients.max_value_bytes", 1, valueBytesMax)
	check.counts("clients.max_pipeline")

	check.oneOf("log.level", "debug", "info", "warn", "error")
	check.oneOf("log.format", "text", "json")
	if check.bad != nil {
		return check.bad
	}
	return nil
}

// commandOverheadBytes covers a command's own encoding beside its keys and values.
const commandOverheadBytes = 1 << 10

// Fits checks the settings against the limits of a chain.
// Expected errors: KeyError.
func (c Config) Fits(g *Genesis) error {
	check := checker{c: c}
	limit := int(g.Limits.BatchBytesMax)
	check.that(c.Mempool.BatchBytes <= limit, "mempool.batch_bytes", "above the genesis' batch_bytes_max = %s, lower it", formatSize(limit))
	// The largest command, CAS key old new, must fit into one batch.
	check.that(3*c.Clients.MaxValueBytes+commandOverheadBytes <= limit, "clients.max_value_bytes",
		"three such values in one command do not fit into a batch, batch_bytes_max of the genesis = %s: write at most %d",
		formatSize(limit), (limit-commandOverheadBytes)/3)
	// Otherwise a batch that the genesis allows could never be pushed.
	check.that(c.Mempool.PeerBytes >= limit, "mempool.peer_bytes", "below the genesis' batch_bytes_max = %s, raise it", formatSize(limit))
	if check.bad != nil {
		return check.bad
	}
	return nil
}

// checker keeps the first fault.
type checker struct {
	c   Config
	bad *KeyError
}

func (k *checker) that(ok bool, key, problem string, args ...any) {
	if ok || k.bad != nil {
		return
	}
	value := show(k.c.leaf(key))
	if settings[key] == size {
		value = strconv.Quote(formatSize(k.c.leaf(key).(int)))
	}
	k.bad = &KeyError{Key: key, Value: value, Problem: fmt.Sprintf(problem, args...)}
}

func (k *checker) durations(key string, low, high time.Duration) {
	within(k, key, k.c.leaf(key).(time.Duration), low, high, time.Duration.String)
}

func (k *checker) sizes(key string, low, high int) {
	within(k, key, k.c.leaf(key).(int), low, high, formatSize)
}

func (k *checker) counts(key string) { within(k, key, k.c.leaf(key).(int), 1, countMax, strconv.Itoa) }

func within[T cmp.Ordered](k *checker, key string, value, low, high T, format func(T) string) {
	k.that(value >= low && value <= high, key, "want %s to %s", format(low), format(high))
}

func (k *checker) oneOf(key string, words ...string) {
	k.that(slices.Contains(words, k.c.leaf(key).(string)), key, "want one of %s", strings.Join(words, ", "))
}

func (k *checker) chain(key, value string) {
	k.that(value == "" || len(value) == 64 && strings.Trim(value, "0123456789abcdef") == "", key, "want the 64 hex digits that name a chain, or leave it out")
}

// listen checks an address to listen on; the empty one means not to.
func (k *checker) listen(key, address string) {
	if address == "" {
		return
	}
	whole := address
	if port, ok := strings.CutPrefix(address, ":"); ok && !strings.Contains(port, ":") {
		whole = "0.0.0.0" + address // every interface
	}
	err := checkAddress(whole)
	k.that(err == nil, key, "%v", err)
}

// checkAddress tells whether address is host:port with a host name or IP address, and a port from 1 to 65535, in the one
// way to write it.
func checkAddress(address string) error {
	i := strings.LastIndexByte(address, ':')
	if i < 0 {
		return fmt.Errorf("no port, write host:port such as 127.0.0.1:7000")
	}
	host, port := address[:i], address[i+1:]
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
		return fmt.Errorf("port %q: want 1 to 65535", port)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
		if ip, err := netip.ParseAddr(host); err != nil || !ip.Is6() || "["+ip.String()+"]" != address[:i] {
			return fmt.Errorf("host %q: want an IPv6 address in brackets, in its short form", address[:i])
		}
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return fmt.Errorf("want host:port, an IPv6 address in brackets: [%s]:%s", host, port)
	} else if err == nil {
		return nil
	}
	if host == "" || len(host) > 253 || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Trim(host[len(host)-1:], "0123456789.") == "" {
		return fmt.Errorf("host %q: want an IP address or a host name in lower case", host)
	}
	return nil
}
