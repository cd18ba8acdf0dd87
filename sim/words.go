package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Words tells what a run is made of, a line for each concern.
func (c *Config) Words() []string {
	leaders := c.Leaders
	if leaders == config.LeadersReputation {
		leaders += fmt.Sprintf(" over %d blocks", c.Limits.ReputationWindow)
	}
	lines := []string{
		fmt.Sprintf("seed      %d: %d replicas, leaders %s, %s of faults, then a calm in which everything must commit", c.Seed, c.Nodes, leaders, span(c.Duration)),
		fmt.Sprintf("pacemaker base %v, heartbeat %v", c.Pacemaker.BaseTimeout, c.Pacemaker.Heartbeat),
		fmt.Sprintf("limits    blocks of %d batches and %d bytes, batches of %d bytes that expire after %d blocks", c.Limits.BlockBatchesMax, c.Limits.BlockBytesMax, c.Limits.BatchBytesMax, c.Limits.ExpiryDistanceMax),
		"network   " + c.networkWords(),
		"replicas  " + c.replicaWords(),
		"clients   " + c.Clients.words(),
	}
	for _, id := range slices.Sorted(slices.Values(c.Dead)) {
		lines = append(lines, fmt.Sprintf("%-9v dead", id))
	}
	for _, id := range slices.Sorted(maps.Keys(c.Byzantine)) {
		lines = append(lines, fmt.Sprintf("%-9v Byzantine: %s", id, strings.TrimSpace(c.Byzantine[id].String())))
	}
	return lines
}

// span words a length of time.
func span(t qc.Ticks) string { return fmt.Sprintf("%g s", float64(t)/float64(qc.TicksPerSecond)) }

func (c *Config) networkWords() string {
	words := []string{fmt.Sprintf("%s to %s one way, jitter %s", span(c.Latency.Min), span(c.Latency.Max), span(c.Latency.Jitter))}
	share := func(p float64, what string) {
		if p > 0 {
			words = append(words, fmt.Sprintf("%.1f %% %s", 100*p, what))
		}
	}
	share(c.Loss, "lost")
	share(c.Duplicate, "doubled")
	share(c.Reorder, "overtaken by up to "+span(c.ReorderWithin))
	if c.Bandwidth > 0 {
		words = append(words, fmt.Sprintf("%d bytes a second and link", c.Bandwidth))
	}
	words = c.Partitions.words(words, "partitions")
	words = c.OneWay.words(words, "cuts one way")
	return strings.Join(words, "; ")
}

func (c *Config) replicaWords() string {
	words := []string{fmt.Sprintf("%s for a synced write", span(c.SyncTime))}
	words = c.Crashes.words(words, "crashes")
	words = c.AllCrash.words(words, "crashes of all")
	words = c.Pauses.words(words, "pauses")
	words = c.DiskFailures.words(words, "full disks")
	if c.SlowSyncs > 0 {
		words = append(words, fmt.Sprintf("%.1f %% of writes take up to %s", 100*c.SlowSyncs, span(c.SlowSyncTime)))
	}
	if c.SlowApplies > 0 {
		words = append(words, fmt.Sprintf("%.1f %% of blocks take up to %s to apply", 100*c.SlowApplies, span(c.SlowApply)))
	}
	if c.ClockSkew > 0 {
		words = append(words, fmt.Sprintf("clocks up to %g s wrong", float64(c.ClockSkew)/1e9))
	}
	return strings.Join(words, "; ")
}

// words adds a rate to a list, if it is one.
func (r Rate) words(list []string, what string) []string {
	if r.Every == 0 {
		return list
	}
	return append(list, fmt.Sprintf("%s every %s for %s", what, span(r.Every), span(r.For)))
}

func (c *Clients) words() string {
	kind, at := "log", "one answer after another"
	if c.KeyValue {
		kind = "key-value store"
	}
	if c.Open {
		at = "whether or not earlier requests were answered"
	} else if c.Pipeline > 1 {
		at = fmt.Sprintf("up to %d at once", c.Pipeline)
	}
	return fmt.Sprintf("%d on the %s, a request each %s, %s; %.0f %% read", c.Count, kind, span(c.Think), at, 100*c.Reads)
}
