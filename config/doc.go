// Package config turns a node's home directory into checked, plain values, and makes such homes for testnets.
//
// A home holds config.toml (or .yaml, or .json), genesis.json, two key files and the data directory:
//
//	testnet/node0/config.toml     settings of this node; Config
//	testnet/node0/genesis.json    what all replicas of the chain agree on; Genesis
//	testnet/node0/bls.key         signs votes and timeouts; mode 0600
//	testnet/node0/identity.key    signs connections, proposals and batches; mode 0600
//	testnet/node0/data            safety state and databases; made by InitTestnet, so that its absence means loss
//
// Start at Load, which reads all of it, or at InitTestnet, which makes it. Every setting can also come from the environment,
// which wins: pacemaker.base_timeout is HOTSTUFFD_PACEMAKER_BASE_TIMEOUT.
//
// Nothing is guessed. An unknown key, in the file or in the environment, a number without its unit, a value that cannot
// work, a genesis of another chain, a key file that others may read: each is one UserError, a single line that names the
// source, the key and the mend.
//
// The package never listens, never watches files and never changes a home that exists.
package config
