// Package app is the contract between the replication engine and what runs on it.
//
// An Application is a deterministic state machine: the engine gives every replica the same commands in the same order
// and compares digests of the resulting state. A front end (the Redis protocol of app/kv/redis, the node's API, an
// embedding program) turns what its clients say into Requests and hands them to a Submitter, which the node implements.
//
// An application that is a Snapshotter besides spares its replicas the whole log: they start from its last snapshot, and
// fetch one if they were away for long.
//
// The package has no code of its own and imports nothing of the engine, so that applications and front ends never
// depend on the node. Start with Application to write a state machine, with Submitter to write a front end, and with
// app/kv to see both.
package app
