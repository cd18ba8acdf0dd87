// Package twins attacks the protocol core by running a replica twice. The two instances share one identity and one key and both
// follow every rule, each by itself; but under scripted leaders and partitions they equivocate, vote twice, and show
// different certificates to different replicas, which is most of what a Byzantine replica can do (Bano et al., "Twins: BFT
// Systems Made Robust", OPODIS 2021). Nothing of the core is replaced: what is tested is hotstuff.Core as it is shipped.
//
// It never tests restarts, disks, payloads or messages that break the form: package sim does.
//
// Where to start:
//
//	scenario.go    what a scenario is
//	exhaustive.go  all of them for four replicas and three rounds, symmetric ones once
//	sample.go      drawn ones for more replicas and rounds
//	world.go       one run; instance.go, network.go and tail.go are its parts
//	check.go       what must hold after every turn
//	campaign.go    many runs on all processors
//	story.go       what a run that broke a rule tells its reader
//
// # Rounds and views
//
// Round r is view r: its leader leads view r, and its partition decides who hears the messages of view r, which are its
// proposals and votes, its timeouts, and the certificates that open it. Round r is played so:
//
//  1. The messages of view r that were made in round r−1 arrive, such as the proposal of a leader who has summed the votes.
//     Those across the partition are lost for good.
//  2. Everything that follows is delivered inside the sets, first come first served, until nothing is under way. Messages of
//     later views wait for their rounds.
//  3. The timers fire of those whose view is still earlier than r, once a view; they sign timeouts, or repeat them; and again
//     everything is delivered.
//
// So a view's timeouts are exchanged under the partition of the next round, after its proposal had its chance there. That
// order is the stronger attack: if timers fired at the end of their own round, the votes in timeouts would show every
// certificate to the whole set in which its votes were cast, and no leader could ever be alone with one. Drawn scenarios
// try both (Scenario.Hasty).
//
// The mapping is sound: each run is one that an asynchronous network, which may delay and lose anything, and clocks that
// drift, can bring about. Clocks are each instance's own, and a timer fires only when its time has passed on its clock.
// So a violation is a fault of the protocol or of the core, never of the script. It is not complete: delivery inside a
// set is in one order, and a view's partition does not change within its round.
//
// # The tail
//
// After the rounds the network is whole, every message takes one hop, and the roster leads in order. The twins go on both,
// or one of them, or none: each is something that a Byzantine replica may do, and with any of it all honest replicas must
// commit a block of a view after the rounds, within the bounds that tail.go derives. Which of them it is, and who leads
// first, and so collects the votes of the last round, is drawn from the scenario's number.
//
// # The twins' alarm
//
// A core that sees its own key sign what it has not signed stops (S14). Each twin would soon stop over the other, and the
// attack with it. No switch turns that off, for production could turn it as well. Instead, a twin hears no votes
// and timeouts of the other, which a core does not count anyway; and before it hears a certificate with a vote of the other
// in it, it is restarted as if it had cast that vote itself (world.accept). It can cast no other in that view, which
// the certificate ends, so that nothing is lost of what it might do. An honest replica that stops is a violation, and so is
// a twin that stops for any other reason.
//
// # How many
//
// In one round any of 4 replicas leads, the twinned one included, and the 5 instances fall into at most 3 sets in
// S(5,1)+S(5,2)+S(5,3) = 41 ways: 164 rounds, and 164³ = 4,410,944 raw scenarios of three rounds. Renaming the 3 honest
// replicas and swapping the 2 twins, 12 symmetries in all, maps scenarios onto equivalent ones, and one of each class is
// played. By Burnside's lemma the classes are the mean, over the symmetries, of the scenarios that each leaves as they are:
//
//	(164³ + 60³ + 3·30³ + 3·18³ + 2·5³ + 2·3³) / 12 = 393,812
//
// where the terms are the identity, the swap, the transpositions without and with it, and the 3-cycles without and with
// it. The enumeration gives the same number (exhaustive_test.go): there is no difference to explain. What symmetric
// scenarios do not share is the order of deliveries, the order of the roster in the tail, and what is drawn from their
// numbers: those are tried in one way for each class.
package twins
