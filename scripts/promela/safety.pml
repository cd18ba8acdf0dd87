/*
 * Safety of chained HotStuff as docs/protocol.md states it (§1-§3, §7), for n = 4, f = 1: three honest replicas and one
 * Byzantine. docs/model.md explains the abstraction and lists the switches; scripts/model runs it.
 *
 * Shape: there are no messages. Whatever an honest replica does in view v reads only certificates of views below v, so
 * every execution can be reordered to run view by view. In each view
 *   1. the adversary puts up to two blocks before the replicas, on any justify that rule 4 allows,
 *   2. each honest replica, or not, enters; learns any certificates; votes; learns more; times out,
 *   3. the certificates that these votes and timeouts allow come to exist, and commits are checked.
 * The Byzantine replica's vote is counted for every block, and its timeout, naming view 0, in every TC.
 *
 * Switches: VIEWS (how many views), STRICT (more invariants than agreement), NO_LOCK, NO_TC_RULE, TWO_CHAIN, GAPS,
 * QUORUM_2F, TIMEOUT_VOTE, AMNESIA, FORGED_JUSTIFY.
 */

#ifndef VIEWS
#define VIEWS 6
#endif

/* Honest signers that a certificate needs beside the Byzantine one: quorum - f. */
#ifdef QUORUM_2F
#define NEED 1
#else
#define NEED 2
#endif

#define HONEST    3
#define NONE      255
#define BLOCKS    (2 * VIEWS + 2)
#define GENESIS   0
#define VIEW(b)   ((b) / 2)       /* block ids are 2*view and 2*view+1: at most two blocks of a view matter */
#define ISQC(b)   ((certified >> (b)) & 1)

int  certified = 1;               /* set of blocks that have a QC; genesis has one */
byte parent[BLOCKS];              /* = justify.block, of certified blocks; 0 otherwise */
byte view = 1;
byte tc = NONE;                   /* the least "highest listed view" among the possible TC(view-1); NONE: there is no TC */
byte committed = GENESIS;         /* the highest block that anyone can have committed */

byte lock[HONEST];                /* locked block */
byte high[HONEST];                /* highest certified block known: highQC */

byte cand[2];                     /* justify of this view's two blocks; NONE: not proposed */
byte votes[2];                    /* honest votes for each, counted */
byte tout[HONEST];                /* highQC view in the Timeout(view) of each; NONE: not signed */

byte b, w, s, g, lo, hi, yes; /* scratch, zeroed at the end of each atomic step */

inline scrub() { b = 0; w = 0; s = 0; g = 0; lo = 0; hi = 0; yes = 0 }

/* yes = a is x or an ancestor of x. */
inline descends(x, a) {
	w = x;
	do
	:: VIEW(w) > VIEW(a) -> w = parent[w]
	:: else -> break
	od;
	yes = (w == a)
}

/* Replica r sees QC(x): its high QC rises, and it locks x's parent if that is higher. */
inline know(r, x) {
	if
	:: VIEW(x) > VIEW(high[r]) -> high[r] = x
	:: else
	fi;
	if
	:: VIEW(parent[x]) > VIEW(lock[r]) -> lock[r] = parent[x]
	:: else
	fi
}

#ifdef FREE_LEARNING
/* Replica r sees any set of the QCs of earlier views: delivery is the adversary's. */
inline learn(r) {
	b = 2;
	do
	:: b < 2 * view && ISQC(b) && (VIEW(b) > VIEW(high[r]) || VIEW(parent[b]) > VIEW(lock[r])) -> know(r, b); b++
	:: b < 2 * view -> b++
	:: b >= 2 * view -> break
	od
}
#endif

/* Whether a replica with this high QC can be in the present view: by QC(view-1), or by a TC, which brought its QC. */
#define HERE(r)   (VIEW(high[r]) == view - 1 || tc <= VIEW(high[r]))

/* Replica r sees one QC, if it needs one to be in this view at all. */
inline enter(r) {
	if
	:: HERE(r) -> skip
	:: b = 2;
	   do
	   :: b < 2 * view && ISQC(b) && VIEW(b) > VIEW(high[r]) && (VIEW(b) == view - 1 || tc <= VIEW(b)) -> know(r, b); break
	   :: b < 2 * view - 1 -> b++
	   :: b >= 2 * view - 1 -> break
	   od
	fi
}

/* yes = a block of this view may be justified by x: rule 4 of §2. */
inline justifies(x) {
	yes = false;
	if
#ifdef FORGED_JUSTIFY
	:: VIEW(x) < view && (x == GENESIS || parent[x] != NONE) -> yes = true
#endif
	:: ISQC(x) && VIEW(x) == view - 1 -> yes = true
#ifdef NO_TC_RULE
	:: ISQC(x) && VIEW(x) < view - 1 && tc != NONE -> yes = true
#else
	:: ISQC(x) && VIEW(x) < view - 1 && tc <= VIEW(x) -> yes = true
#endif
	:: else
	fi
}

/* The adversary picks a justify below last for block c of this view, or does not propose it. */
inline propose(c, last) {
	b = 0;
	do
	:: b < last ->
		justifies(b);
		if
		:: yes -> cand[c] = b; break
		:: b++
		fi
	:: b >= last -> break
	od;
	scrub()
}

/* yes = replica r may vote for a block on justify x: rule 5 of §2. */
inline safe(r, x) {
#ifdef NO_LOCK
	yes = true
#else
	if
	:: VIEW(x) > VIEW(lock[r]) -> yes = true
	:: else -> descends(x, lock[r])
	fi
#endif
}

/* Replica r votes for one of the blocks, or for none. The justify in a proposal is seen before the vote. */
inline vote(r) {
	if
	:: cand[0] != NONE -> s = 0
	:: cand[1] != NONE -> s = 1
	:: s = NONE
	fi;
	if
	:: s != NONE ->
#ifdef FORGED_JUSTIFY
		if
		:: ISQC(cand[s]) -> know(r, cand[s])
		:: else
		fi;
#else
		know(r, cand[s]);
#endif
		safe(r, cand[s]);
		if
		:: yes -> votes[s]++
		:: else
		fi
	:: else
	fi
}

/* Replica r signs Timeout(view), or not. */
inline giveUp(r) {
	enter(r);
	if
	:: HERE(r) -> tout[r] = VIEW(high[r])
	:: true
	fi
}

/* What one honest replica does in this view. */
inline act(r) {
	atomic {
		if
		:: true                            /* it is elsewhere, or idle */
		:: tc != NONE || ISQC(2 * view - 2) || ISQC(2 * view - 1) ->
#ifdef FREE_LEARNING
			learn(r);
#endif
#ifdef TIMEOUT_VOTE
			giveUp(r);
#endif
			vote(r);
#ifdef AMNESIA
			vote(r);                   /* restarted, and lastVoted was not on disk */
#endif
#ifdef FREE_LEARNING
			learn(r);
#endif
			if
			:: view < VIEWS && tout[r] == NONE -> giveUp(r)   /* in the last view nothing follows from it */
			:: else
			fi
		fi;
		scrub()
	}
}

/* QC(x) commits x's grandparent if the three views are consecutive (or what a seeded bug makes of that rule). */
inline commit(x) {
#ifdef TWO_CHAIN
	g = parent[x];
	yes = (VIEW(x) == VIEW(g) + 1);
#else
	b = parent[x];
	g = parent[b];
#ifdef GAPS
	yes = true;
#else
	yes = (VIEW(x) == VIEW(b) + 1 && VIEW(b) == VIEW(g) + 1);
#endif
#endif
	if
	:: yes && g != GENESIS ->
		if
		:: VIEW(g) >= VIEW(committed) ->
			descends(g, committed);
			assert(yes);               /* agreement: no two conflicting blocks commit */
			committed = g
		:: else ->
			descends(committed, g);
			assert(yes)                /* agreement, the older block found later */
		fi
	:: else
	fi
}

/* The votes of this view become QCs. */
inline certify() {
	if
	:: votes[0] < NEED && votes[1] >= NEED ->          /* a view's only certified block is its first */
		cand[0] = cand[1]; votes[0] = votes[1];
		cand[1] = NONE; votes[1] = 0
	:: else
	fi;
	s = 0;
	do
	:: s < 2 ->
		if
		:: cand[s] != NONE && votes[s] >= NEED ->
			parent[2 * view + s] = cand[s];
			certified = certified | (1 << (2 * view + s));
			commit(2 * view + s)
#ifdef STRICT
			;
			/* Stronger than agreement: once committed, always extended. */
			descends(2 * view + s, committed);
			assert(yes)
#endif
		:: else
#ifdef FORGED_JUSTIFY
			-> parent[2 * view + s] = cand[s]
#endif
		fi;
		s++
	:: else -> break
	od;
#ifdef STRICT
	assert(!(ISQC(2 * view) && ISQC(2 * view + 1)));  /* at most one certified block a view */
#endif
	s = 0
}

/* The timeouts of this view become TCs. Only the most permissive matters: the least highest listed view. */
inline expire() {
	tc = NONE;
	s = 0;
	do
	:: s < HONEST ->
		w = s + (NEED == 2 -> 1 : 0);
		do
		:: w < (NEED == 2 -> HONEST : s + 1) ->
			hi = (tout[s] > tout[w] -> tout[s] : tout[w]);
			tc = (hi < tc -> hi : tc);
			w++
		:: else -> break
		od;
		s++
	:: else -> break
	od;
	s = 0;
	do
	:: s < HONEST -> tout[s] = NONE; s++
	:: else -> break
	od
}

/* Honest replicas differ only in what they know: keep them sorted, so that a state is stored once and not six times. */
inline swap(i, j) {
	if
	:: high[i] * BLOCKS + lock[i] > high[j] * BLOCKS + lock[j] ->
		hi = high[i]; high[i] = high[j]; high[j] = hi;
		lo = lock[i]; lock[i] = lock[j]; lock[j] = lo
	:: else
	fi
}

init {
	d_step {
		cand[0] = NONE; cand[1] = NONE;
		tout[0] = NONE; tout[1] = NONE; tout[2] = NONE;
#ifdef FORGED_JUSTIFY
		s = 1;
		do
		:: s < BLOCKS -> parent[s] = NONE; s++
		:: else -> break
		od
#endif
	}
	do
	:: view <= VIEWS ->
		atomic {
			propose(0, 2 * view);
			if
			:: cand[0] != NONE -> propose(1, cand[0] + 1)   /* the two are interchangeable: the first is no lower */
			:: else
			fi
		};
		act(0);
		act(1);
		act(2);
		d_step {
			certify();
			expire();
			cand[0] = NONE; cand[1] = NONE;
			votes[0] = 0; votes[1] = 0;
			swap(0, 1); swap(1, 2); swap(0, 1);
			scrub();
			view++
		}
	:: else -> break
	od
}
