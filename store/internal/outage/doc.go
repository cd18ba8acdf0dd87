// Package outage lets the power fail under whole nodes. The replicas are the simulator's, the production Driver, core and
// mempool in a cluster, and each correct one stands on a real store.Store, on a disk of package cutdisk.
//
// What it shows. The power of one replica, of several or of all at once fails at any operation on a disk, LevelDB's
// included; of what was not synced any part is lost or torn; it may fail again while what is left is being repaired. The
// replicas start again from what they find. The store never refuses, what was acknowledged is there, of what was being
// written all or nothing, and all checks of package sim hold: nobody signs against what it signed in an earlier life, no
// answer to a client turns out wrong, everybody takes part again and comes to the same state.
//
// It consists of tests alone. Start with disks_test.go, which puts a store on a disk under each replica.
package outage
