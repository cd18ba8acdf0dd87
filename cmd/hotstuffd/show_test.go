package main

import (
	"strings"
	"testing"
)

func TestStatusOfANodeThatCatchesUp(t *testing.T) {
	for more, want := range map[string]string{
		`"applied_height": 7`:                        "\napplied       height 7, 3 commands\n",
		`"applied_height": 7, "catching_up_to": 900`: "\napplied       height 7, 3 commands, catching up to height 900\n",
		`"applied_height": 7, "catching_up_to": 900, "snapshot_height": 768, "snapshot_bytes": 3145728, "snapshot_have": 1048576`: "\napplied       height 7, 3 commands, fetching snapshot 768: 1.0 MiB of 3.0 MiB\n",
	} {
		address, _ := answer(t, 200, `{"id": 2, "nodes": 4, "committed_commands": 3, `+more+`}`)
		if _, stdout, stderr := inProcess(t.Context(), "status", "--http", address); !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s%s", want, stdout, stderr)
		}
	}
}

func TestLogTellsOfGapsBesideItsLines(t *testing.T) {
	address, _ := answer(t, 200, `{"gap_from":1,"gap_to":767}
{"height":768,"index":0,"origin":1,"command":"SET a 1"}
{"gap_from":770,"gap_to":771}
{"height":772,"index":0,"origin":1,"command":"SET a 2"}
`)
	status, stdout, stderr := inProcess(t.Context(), "log", "--http", address)
	const note = " are not in this node's log: older log is pruned, and a state that is taken over from another node brings none\n"
	if status != 0 || stdout != "768 0 n1 SET a 1\n772 0 n1 SET a 2\n" || stderr != "heights 1 to 767"+note+"heights 770 to 771"+note {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
}

func TestToolsWantTheirFlags(t *testing.T) {
	for args, want := range map[string]string{
		"inspect":                 "no home: name the node's directory, such as --home testnet/node0",
		"verify":                  "no home: name the node's directory, such as --home testnet/node0",
		"snapshot export":         "no home: name the node's directory, such as --home testnet/node0",
		"snapshot import":         "no home: name the node's directory, such as --home testnet/node0",
		"inspect --home /nowhere": `home /nowhere does not exist: make one with "hotstuffd testnet init"`,
		"snapshot exprt":          `unknown command "exprt" for "hotstuffd snapshot": did you mean export?`,
	} {
		if status, stdout, stderr := inProcess(t.Context(), strings.Fields(args)...); status != 2 || stdout != "" || stderr != "hotstuffd: "+want+"\n" {
			t.Errorf("%s: status %d, %s%s", args, status, stdout, stderr)
		}
	}
	dir, _ := newTestnet(t, 1)
	for args, want := range map[string]string{
		"export":                     "no file: name one to be made, such as --out state.snapshot",
		"import":                     `no file: name one that "hotstuffd snapshot export" has made, such as --in state.snapshot`,
		"export --out " + dir + "/x": dir + "/node0/data has no snapshot yet: one is taken after storage.snapshot_bytes of log",
		"import --in /nowhere":       `open /nowhere: no such file or directory: name a file that "hotstuffd snapshot export" has made`,
	} {
		if status, stdout, stderr := inProcess(t.Context(), strings.Fields("snapshot "+args+" --home "+dir+"/node0")...); status != 2 || stdout != "" || stderr != "hotstuffd: "+want+"\n" {
			t.Errorf("%s: status %d, %s%s", args, status, stdout, stderr)
		}
	}
}
