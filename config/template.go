package config

import "text/template"

// configTemplate is the config.toml of a new home. It shows every setting, so that nobody has to look for one.
var configTemplate = template.Must(template.New("config.toml").Funcs(template.FuncMap{"size": formatSize}).Parse(
	`# Settings of one hotstuffd node. Paths are relative to this directory.
# Durations need a unit ("100ms"); sizes may have one ("64MiB").
# Each key can be overridden from the environment: pacemaker.base_timeout is HOTSTUFFD_PACEMAKER_BASE_TIMEOUT.

chain = "{{.Chain}}" # the chain this node belongs to; a genesis of another one is refused
genesis = "{{.Genesis}}" # the same on every node of the chain

[keys] # files of mode 0600
bls = "{{.Keys.BLS}}"           # signs votes and timeouts
identity = "{{.Keys.Identity}}" # signs connections, proposals and batches

[net]
listen = "{{.Net.Listen}}" # UDP, for the other nodes; they look for this one at its address in the genesis

[pacemaker]
base_timeout = "{{.Pacemaker.BaseTimeout}}" # of a view with work to do; above a round trip and a few syncs of the disk
max_timeout = "{{.Pacemaker.MaxTimeout}}"    # what timeouts may grow to while views fail
heartbeat = "{{.Pacemaker.Heartbeat}}"       # how often an idle chain makes a block
min_view = "{{.Pacemaker.MinView}}"       # under load views are not made shorter than this; "0s": as short as can be

[mempool]
batch_bytes = "{{size .Mempool.BatchBytes}}"  # a batch of commands is closed at this size
batch_delay = "{{.Mempool.BatchDelay}}"     # how long a batch may wait for more commands while others are under way
pending_bytes = "{{size .Mempool.PendingBytes}}" # clients wait while more than this of their commands is under way
peer_bytes = "{{size .Mempool.PeerBytes}}"    # of another node's batches not yet in a block; more is dropped and fetched later

[storage]
dir = "{{.Storage.Dir}}" # safety state and databases; never copy it to a second running node
snapshot_bytes = "{{size .Storage.SnapshotBytes}}" # a snapshot is taken after so much of log, or as much as the last one had
retain_blocks = {{.Storage.RetainBlocks}}       # kept below the newest snapshot, for nodes that were away for a moment; older log goes

[clients] # the Redis protocol; there are no passwords, so think before listening beyond this machine
listen = "{{.Clients.Listen}}" # empty: none
timeout = "{{.Clients.Timeout}}"           # a command that cannot commit by then gets "-TIMEOUT outcome unknown"
max_connections = {{.Clients.MaxConnections}}
max_value_bytes = "{{size .Clients.MaxValueBytes}}" # of one key or value
max_pipeline = {{.Clients.MaxPipeline}}     # commands of one connection under way

[http]
listen = "{{.HTTP.Listen}}" # /status /healthz /readyz /metrics /log; empty: none
profiles = {{.HTTP.Profiles}} # true: also /debug/pprof/, what time and memory go into, for whoever can connect

[log]
level = "{{.Log.Level}}"  # debug, info, warn, error
format = "{{.Log.Format}}" # text, json
`))
