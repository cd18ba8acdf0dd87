/*
 * The lost QC: chained HotStuff with round-robin leaders, n = 4, f = 1, after the network has become synchronous
 * (docs/protocol.md §3). Votes for the block of view v go to leader(v+1); if that one is dead or Byzantine, QC(v) is
 * lost unless the votes also travel in the timeouts, and from whoever leaves v by a TC that it did not sign.
 * docs/model.md explains the abstraction and lists the switches; scripts/model runs it.
 *
 * Replicas 0, 1, 2 are honest; replica 3 leads views 3, 7, 11. Before GST (which comes before anyone enters view 4)
 * proposals and votes are lost and timers fire at will. From then on the channels are reliable, in any order relative to
 * each other, and a timer fires only in a view that its replica was in at a moment when nothing was under way.
 *
 * Claim: when the first replica enters view END, a block of view SINCE or later has been committed; and nothing ever stops.
 *
 * Switches: BYZANTINE (replica 3 is not dead but hostile), MUTE (it proposes nothing), CALM (GST comes first), FIRST, END, SINCE,
 * NOT_CARRIED, NOT_RELEASED, LATE_DROPPED, UNBOUNDED_TC, SLOW_REPEAT.
 */

#ifndef END
#define END 8
#endif
#ifndef SINCE
#define SINCE 3
#endif

#define HONEST   3
#define ALL      7                     /* the set of the honest */
#ifndef FIRST
#define FIRST    2                     /* the view all start in; the genesis QC stands for the view before it */
#endif
#define LEADER(v) ((v) % 4)
#define TWO(set) ((set) == 3 || (set) == 5 || (set) == 6 || (set) == 7)

mtype = { PROPOSAL, VOTE, TIMEOUT, QC, TC };

/* From s to r, FIFO: q[3*s+r] carries kind, view, view of the QC carried, flag (of a timeout: embeds the vote; of a
 * proposal or TC: the TC lists a view that no QC matches). */
chan q[9] = [8] of { mtype, byte, byte, bool };

bool gst, over;
byte started;                          /* how many have looked around: before that no timer fires */
byte ripe[HONEST];                     /* the view that each was in when last nothing was under way: its timer may fire */

byte par[END];                         /* justify view of the block of each view: one block of a view matters */
byte leaked[END];                      /* the honest whose vote in each view was sent to the Byzantine replica too */

byte view[HONEST], high[HONEST], lock[HONEST], voted[HONEST], gaveUp[HONEST], done[HONEST];
byte listed[HONEST];                   /* highQC view in the last timeout of each */

/* What must hold when the first replica enters view END. */
#ifdef BYZANTINE
#define COMMITTED (done[0] >= SINCE || done[1] >= SINCE || done[2] >= SINCE)
#else
#define COMMITTED (done[me] >= SINCE)
#endif

#define QUIET (started == HONEST && empty(q[1]) && empty(q[2]) && empty(q[3]) && empty(q[5]) && empty(q[6]) && empty(q[7]))
/* Replica r gave up its view, another honest one is past it, and r does not know. */
#ifdef SLOW_REPEAT
#define STRANDED(r) false
#else
#define STRANDED(r) (gaveUp[r] == view[r] && (view[(r + 1) % 3] > view[r] || view[(r + 2) % 3] > view[r]))
#endif

#define A     ((me + 1) % 3)           /* the two other honest ones */
#define B     ((me + 2) % 3)

inline send(to, kind, v, h, x) { q[3 * me + to] ! kind, v, h, x }
inline broadcast(kind, v, h, x) { send(A, kind, v, h, x); send(B, kind, v, h, x) }

/* Replica me sees QC(x): high QC, lock, and commit over three consecutive views. */
inline know(x) {
	if
	:: x > high[me] -> high[me] = x
	:: else
	fi;
	if
	:: par[x] > lock[me] -> lock[me] = par[x]
	:: else
	fi;
	if
	:: x == par[x] + 1 && par[x] == par[par[x]] + 1 && par[par[x]] > done[me] -> done[me] = par[par[x]]
	:: else
	fi
}

inline leak() { leaked[view[me]] = leaked[view[me]] | (1 << me) }

/* Leave the view for v; byTC: not by QC(v-1). */
inline enter(v, byTC) {
#ifndef NOT_RELEASED
	if
	:: byTC && voted[me] == view[me] && gaveUp[me] < view[me] && high[me] < view[me] ->
		leak();
		broadcast(VOTE, view[me], 0, 0)
	:: else
	fi;
#endif
	view[me] = v;
	gst = gst || v > 3;
	heard = 0; hostile = 0; most = 0; cand = 0;
	if
	:: v >= END ->
		assert(COMMITTED);
		over = true
	:: else
	fi
}

/* yes = the lock rule lets me vote for a block on the QC of view x. */
inline safe(x) {
	i = x;
	do
	:: i > lock[me] -> i = par[i]
	:: else -> break
	od;
	yes = (x > lock[me] || i == lock[me]);
	i = 0
}

/* Vote for the block of this view, which is justified by QC(cand). */
inline vote() {
	safe(cand);
	if
	:: yes && !refuse ->
		voted[me] = view[me];
		ballot[view[me]] = ballot[view[me]] | (1 << me);
		if
		:: LEADER(view[me] + 1) == A -> send(A, VOTE, view[me], 0, 0)
		:: LEADER(view[me] + 1) == B -> send(B, VOTE, view[me], 0, 0)
		:: LEADER(view[me] + 1) == 3 -> leak()
		:: else
		fi
	:: else
	fi;
	cand = 0; yes = 0; refuse = 0
}

#ifdef NOT_CARRIED
#define CARRIED false
#else
#define CARRIED (voted[me] == view[me])
#endif

inline repeat() { broadcast(TIMEOUT, view[me], listed[me], CARRIED) }

inline timeOut() {
	gaveUp[me] = view[me];
	listed[me] = high[me];
	heard = heard | (1 << me);
	most = (high[me] > most -> high[me] : most);
	if
	:: CARRIED -> leak()
	:: else
	fi;
	repeat()
}

#define MOVES    (high[me] + 1 > view[me] || after + 1 > view[me])
#define PROPOSES (LEADER(view[me]) == me && voted[me] < view[me] && gaveUp[me] < view[me] && proposed < view[me])
#define VOTES    (cand != 0 && voted[me] < view[me] && gaveUp[me] < view[me])
#define JOINS    (gaveUp[me] < view[me] && (TWO(heard) || heard != 0 && hostile))
#define EXPIRES  (gaveUp[me] == view[me] && (heard == ALL || TWO(heard) && hostile))

/* After each input: do what the rules ask for until there is nothing left. */
inline settle() {
	do
	:: over -> break
	:: !over && high[me] + 1 > view[me] -> enter(high[me] + 1, false); badTC = 0
	:: !over && high[me] + 1 <= view[me] && after + 1 > view[me] -> enter(after + 1, true); badTC = bad
	:: !over && !MOVES && PROPOSES ->
		proposed = view[me];
		par[view[me]] = high[me];
		cand = high[me];
		refuse = (high[me] + 1 != view[me] && badTC);
		broadcast(PROPOSAL, view[me], high[me], refuse)
	:: !over && !MOVES && !PROPOSES && VOTES -> vote()
	:: !over && !MOVES && !PROPOSES && !VOTES && JOINS -> timeOut()
	:: !over && !MOVES && !PROPOSES && !VOTES && !JOINS && EXPIRES ->
		after = view[me];
#ifdef UNBOUNDED_TC
		bad = hostile;
#endif
		broadcast(TC, view[me], most, bad)
	:: !over && !MOVES && !PROPOSES && !VOTES && !JOINS && !EXPIRES ->
		i = high[me] + 1;
		do
		:: i < END && ballot[i] != ALL -> i++
		:: else -> break
		od;
		if
		:: i < END ->                  /* my sum of the votes is a QC that perhaps nobody else has */
			know(i);
			if
			:: LEADER(i + 1) != me || i + 1 < view[me] -> broadcast(QC, i, i, 0)
			:: else
			fi
		:: else -> i = 0; break
		fi;
		i = 0
	od;
	after = 0; bad = 0; cand = 0; refuse = 0;
	/* Votes that cannot make a higher QC are dropped. */
	i = 0;
	do
	:: i < END && i <= high[me] -> ballot[i] = 0; i++
	:: else -> break
	od;
	i = 0
}

inline forget() { kind = 0; v = 0; h = 0; x = 0 }

/* One message from s. Certificates count first, whatever else becomes of it. */
inline receive(s) {
	q[3 * s + me] ? kind, v, h, x;
	if
	:: kind != VOTE && h != 0 -> know(h)
	:: else
	fi;
	if
	:: kind == PROPOSAL || kind == TIMEOUT ->
		if
		:: h + 1 != v -> after = v - 1     /* it carries TC(v-1) */
		:: else
		fi
	:: kind == TC -> after = v
	:: else
	fi;
	bad = (kind != TIMEOUT && x);
	if
	:: kind == VOTE || kind == TIMEOUT && x ->
#ifdef LATE_DROPPED
		if
		:: v >= view[me] -> ballot[v] = ballot[v] | (1 << s)
		:: else
		fi
#else
		ballot[v] = ballot[v] | (1 << s)
#endif
	:: else
	fi;
	x = x && kind == PROPOSAL;
	move();
	if
	:: !over && kind == PROPOSAL && v == view[me] -> cand = h; refuse = x
	:: !over && kind == TIMEOUT && v == view[me] ->
		heard = heard | (1 << s);
		most = (h > most -> h : most)
	:: !over && kind == TIMEOUT && v < view[me] -> /* answer one who is behind with the highest certificate */
		if
		:: high[me] + 1 == view[me] -> send(s, QC, high[me], high[me], 0)
		:: else -> send(s, TC, view[me] - 1, high[me], badTC)
		fi
	:: else
	fi;
	forget()
}

/* Enter the view that the certificates in a message lead to, before the rest of it is looked at. */
inline move() {
	if
	:: !over && high[me] + 1 > view[me] && high[me] >= after -> enter(high[me] + 1, false); badTC = 0
	:: !over && after + 1 > view[me] && after > high[me] -> enter(after + 1, true); badTC = bad
	:: else
	fi
}

proctype Replica(byte me) {
	byte ballot[END];              /* voters whose votes are held, plain or embedded, for each view above the high QC */
	byte heard, most, cand, after, i, proposed;
	bool hostile, yes, bad, badTC, refuse;
	mtype kind;
	byte v, h;
	bool x;

	atomic { settle(); started++ }
	do
	:: over -> break
	:: atomic {
		if
		:: !over && nempty(q[3 * A + me]) -> receive(A)
		:: !over && nempty(q[3 * B + me]) -> receive(B)

		/* Loss, of what is sent only once. */
		:: !over && !gst && (q[3 * A + me] ? [PROPOSAL, _, _, _] || q[3 * A + me] ? [VOTE, _, _, _]) -> q[3 * A + me] ? _, _, _, _
		:: !over && !gst && (q[3 * B + me] ? [PROPOSAL, _, _, _] || q[3 * B + me] ? [VOTE, _, _, _]) -> q[3 * B + me] ? _, _, _, _

		/* Nothing is under way: the timers of the views that the replicas are in now may fire. */
		:: !over && gst && ripe[me] != view[me] && !STRANDED(0) && !STRANDED(1) && !STRANDED(2) && QUIET ->
			ripe[0] = view[0]; ripe[1] = view[1]; ripe[2] = view[2]

		/* A timeout is repeated well before the next view's timers fire. It matters to who was left behind: it is answered. */
		:: !over && gst && STRANDED(me) && QUIET -> repeat()

		/* The timer. */
		:: !over && gaveUp[me] < view[me] && (!gst || ripe[me] == view[me]) -> timeOut()

#ifdef BYZANTINE
		/* An early empty timeout. */
		:: !over && !hostile && heard != 0 -> hostile = true

		/* A QC of this view, which I alone learn of: two honest votes, that were sent to it or to me, and its own. */
		:: !over && (TWO(leaked[view[me]]) || TWO(ballot[view[me]])) && high[me] < view[me] -> know(view[me])

		/* A TC that it can have made, from two honest timeouts and its own, shown to me alone. */
		:: !over && gaveUp[A] == view[me] && gaveUp[B] == view[me] ->
			after = view[me];
			h = (listed[A] > listed[B] -> listed[A] : listed[B]);
			know(h);
			h = 0;
#ifdef UNBOUNDED_TC
			bad = true
#endif

#ifndef MUTE
		/* It leads this view, and shows me its block, on my own high QC. */
		:: !over && LEADER(view[me]) == 3 && voted[me] < view[me] && gaveUp[me] < view[me] && (par[view[me]] == 0 || par[view[me]] == high[me]) ->
			par[view[me]] = high[me];
			cand = high[me]
#endif
#endif
		fi;
		settle()
	   }
	od
}

init {
	byte v, r;

	atomic {
#ifdef CALM
		gst = true;
#endif
		/* The certified chain so far: a block in each view but replica 3's. */
		do
		:: v < FIRST - 1 ->
			v++;
			par[v] = (v > 1 && LEADER(v - 1) == 3 -> v - 2 : v - 1)
		:: else -> break
		od;
		r = 0;
		do
		:: r < HONEST -> view[r] = FIRST; high[r] = v; lock[r] = par[v]; r++
		:: else -> break
		od;
		v = 0; r = 0;
		run Replica(0); run Replica(1); run Replica(2)
	}
#ifndef CALM
	atomic { gst = true }
#endif
}
