package kv

import "encoding/binary"

// foreseenMax is how many commands are looked at together: what they touch is about 1 KiB each, and stays in a processor's
// second cache until they are applied.
const foreseenMax = 64

// Foresee reads what commands will need of a state that is larger than the processor's caches. One command waits for memory
// four times or more, from one node of the trie to the next; here many wait together.
func (s *Store) Foresee(commands [][]byte) {
	var hashes [foreseenMax]uint64
	for len(commands) > 0 {
		n := 0
		for _, c := range commands[:min(len(commands), foreseenMax)] {
			if key := firstKey(c); key != nil {
				hashes[n] = hashOf(key)
				n++
			}
		}
		s.seen += s.keys.bring(hashes[:n])
		commands = commands[min(len(commands), foreseenMax):]
	}
}

// firstKey returns the first key of a command, nil if it has none. The command need not be well formed.
func firstKey(command []byte) []byte {
	if len(command) == 0 {
		return nil
	}
	if c := byOp[command[0]]; c == nil || c.FirstKey != 1 {
		return nil
	}
	n, k := binary.Uvarint(command[1:])
	if k <= 0 || n > uint64(len(command)-1-k) {
		return nil
	}
	return command[1+k : 1+k+int(n)]
}

// bring reads the ways to keys with these hashes, foreseenMax at most, and the entries there. Each loop reads for all hashes
// what the loop before has found out, so that no read waits for another one. What it returns means nothing, but that all
// was read.
func (t *trie) bring(hashes []uint64) (sum uint64) {
	var nodes [foreseenMax]*inner
	var leaves [foreseenMax]*leaf
	for i := range hashes {
		nodes[i] = t.root
	}
	for level, open := 0, true; open; level++ {
		open = false
		for i, h := range hashes {
			if n := nodes[i]; n != nil {
				p := place(h, level)
				nodes[i], leaves[i] = n.nodes[p], n.leaves[p]
				open = open || nodes[i] != nil
			}
		}
	}
	var entries [foreseenMax][]entry
	for i := range hashes {
		entries[i] = leaves[i].entries
	}
	for i := range hashes {
		for j := range entries[i] {
			sum += uint64(entries[i][j].tag)
		}
	}
	var data [foreseenMax][]byte
	for i, h := range hashes {
		for j := range entries[i] {
			if e := &entries[i][j]; e.tag == tagOf(h) {
				data[i] = e.data
				break
			}
		}
	}
	const line, linesMax = 64, 8
	for _, d := range data[:len(hashes)] {
		for at := 0; at < min(len(d), line*linesMax); at += line {
			sum += uint64(d[at])
		}
		if len(d) > 0 {
			sum += uint64(d[len(d)-1])
		}
	}
	return sum
}
