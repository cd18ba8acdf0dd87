// Package plan answers what people ask who plan a deployment: with so many replicas in these places, how long does a
// command take, what do processors and networks have to do, and what do dead replicas cost? It runs package sim with
// latencies, bandwidth and processing costs that were measured, watches, and reports.
//
// What it never does: it does not copy the protocol, and it does not switch off a check. What runs is production's
// driver, and a run that breaks a rule is reported as that and not as figures. The same options give the same report to
// the byte.
//
// Where to read:
//
//	options.go            what can be asked for, and the run that answers it
//	latency.go, aws.csv   places and the time between them
//	costs.go, costs.txt   what work costs
//	watch.go, figures.go  what is counted during a run, and what comes of it
//	text.go, svg*.go      the report in words and as a picture
package plan
