/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand-over of a nexus that moves whole (handler/handover-whole.c, handler/move-marker.c): a source, destinations that may all be given the same
 * lines, each of which dies and comes back at any point; an orchestrator that calls anything at any time; lost answers; an adversary that
 * removes the guest's key or the marker's. tests/model/run says which configurations are explored.
 *
 * One transition is one command on the wire (the marker's REGISTER, the nexus's login or logout) or one saving of the record. What a call looks up before
 * it swaps, and what it reads afterwards, are transitions of their own.
 */

#ifndef CALLS
#define CALLS 4
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef X_STEPS
#define X_STEPS 0
#endif
#ifndef LOST_ANSWERS
#define LOST_ANSWERS 0
#endif
#ifndef SIDES
#define SIDES 2
#endif
#ifndef RECOVERY
#define RECOVERY 0
#endif
#define LINES 3

#define DOORS 1
#define FENCE 2
#define ROBBED 5  /* of its session, where the guest runs */
#define LOST 4	  /* Release, and the guest's nexus is nowhere */
#define RECOVER 9 /* neither Import again nor Abort (without force) brings it to its place */
#ifdef ONLY
#define CHECK(which, condition) assert(ONLY != which || (condition))
#else
#define CHECK(which, condition) assert(which && (condition))
#endif

mtype = {
	none,
	export_leave,
	export_leave_again,
	import_arrive,
	abort_come_back,
	abort_hand_back,
	release_left
};

#define S 0
#define ACTIVE 1
#define INCOMING 2
#define EXPORTED 3

/* The marker's key: nothing, the source's, a ticket with its number, a destination with number and host. */
#define NOTHING 0
#define SOURCE 1
#define TICKET(n) (10 + (n))
#define ARRIVED(n, host) (20 + 10 * (host) + (n))
#define IS_TICKET(m) ((m) > 10 && (m) < 20)
#define IS_ARRIVED(m) ((m) > 20)
#define HOST_OF(m) (((m) - 20) / 10)
#define NUMBER_OF(m) ((m) % 10)

byte marker = NOTHING;
byte session = S + 1; /* who is logged in as the nexus; 0: nobody */
bit key = 1;	      /* the guest's, on that nexus */
bit fenced;	      /* another initiator has removed it */
bit unmarked;	      /* and the marker's */
byte lines;	      /* given out */
byte tickets;	      /* made */
bit gate[SIDES];
bit ran[SIDES]; /* the guest has written since Import */
byte crashes = CRASHES, calls = CALLS, x_steps = X_STEPS, lost_answers = LOST_ANSWERS;
bit recovering;
bit busy[SIDES]; /* an Import or Abort was called, and is not answered with what became of it */
bit releasing;
bit finishing; /* Release: the guest has been let run at the destination, and nobody aborts that any more */

/* On disk. */
typedef Record {
	byte state;
	bit away;
	bit arrived;
	bit released;
	mtype step
};
Record disk[SIDES];

#define EXPORT_CALL 1
#define IMPORT_CALL 2
#define ABORT_CALL 3
#define RELEASE_CALL 4
byte want[SIDES];
byte want_line;
byte answer;
#define OK 1
#define STALE 2
#define WRONG_STATE 3
#define IS_FENCED 4
#define LUN_ERROR 5

#define SETTLED(n) (!busy[n] && disk[n].step == none)
#define MAY_RELEASE (SETTLED(1) && SETTLED(SIDES - 1))
#define OPEN_GATES (gate[0] + gate[1] + (SIDES > 2 -> gate[SIDES - 1] : 0))

#define SAVE \
	d_step { \
		disk[me].state = m.state; \
		disk[me].away = m.away; \
		disk[me].arrived = m.arrived; \
		disk[me].released = m.released; \
		disk[me].step = m.step \
	}
#define LOAD \
	d_step { \
		m.state = disk[me].state; \
		m.away = disk[me].away; \
		m.arrived = disk[me].arrived; \
		m.released = disk[me].released; \
		m.step = disk[me].step \
	}
#define MAY_DIE \
	if \
	:: crashes > 0 && !recovering -> crashes--; goto DEAD \
	:: skip \
	fi
#define STEP(what) \
	atomic { \
		m.step = what; \
		SAVE; \
		MAY_DIE \
	}
#define CONCLUDE \
	atomic { \
		m.step = none; \
		SAVE; \
		MAY_DIE \
	}
#define LOG_IN \
	atomic { \
		CHECK(ROBBED, session == 0 || session == me + 1 || !gate[session - 1]); \
		session = me + 1 \
	}
#define LOG_OUT \
	atomic { \
		if \
		:: session == me + 1 -> session = 0 \
		:: else \
		fi \
	}
#define OPEN \
	atomic { \
		gate[me] = 1; \
		CHECK(DOORS, OPEN_GATES == 1) \
	}
/* REGISTER (old -> new) of the marker's nexus, then READ KEYS: after that found == new says that it is done. */
#define SWAP(old, new) \
	atomic { \
		if \
		:: marker == (old) && (old) != NOTHING -> marker = (new) \
		:: marker != (old) || (old) == NOTHING \
		:: lost_answers > 0 && !recovering -> lost_answers-- /* it never came there */ \
		fi; \
		MAY_DIE \
	}; \
	found = marker

proctype Side(byte me) {
	Record m;
	byte found;
	byte l;
	byte result;
	bit died;

	LOAD;
IDLE:
end_idle:
	do
	:: want[me] != 0 && recovering ->
		result = 0;
		if
		:: want[me] == EXPORT_CALL -> goto EXPORT
		:: want[me] == IMPORT_CALL -> l = want_line; goto IMPORT
		:: want[me] == ABORT_CALL -> goto ABORT
		:: want[me] == RELEASE_CALL -> goto RELEASE
		fi
	:: atomic { !recovering && calls > 0 && me == S -> calls-- }; goto EXPORT
	/* When Import has answered, or none is under way or to be settled (design section 7: Release means that the guest has ended here). */
	:: atomic { !recovering && calls > 0 && me == S && MAY_RELEASE -> calls--; finishing = disk[1].state == ACTIVE || disk[SIDES - 1].state == ACTIVE; releasing = 1 };
		goto RELEASE
	:: atomic { !recovering && calls > 0 && !finishing && !releasing -> calls--; busy[me] = 1 }; goto ABORT
	:: atomic { !recovering && calls > 0 && me != S && lines > 0 && !releasing -> calls--; busy[me] = 1; l = lines }; goto IMPORT
	:: atomic { !recovering && calls > 0 && me != S && lines > 1 && !releasing -> calls--; busy[me] = 1; l = lines - 1 }; goto IMPORT
	:: atomic { !recovering && gate[me] && me != S && !ran[me] -> ran[me] = 1 }
	:: atomic { !recovering && crashes > 0 -> crashes--; goto DEAD }
	od;

ANSWER:
	atomic {
		if
		:: recovering -> want[me] = 0; answer = result
		:: else
		fi;
		busy[me] = busy[me] && died; /* who has died has not answered */
		died = 0;
		releasing = releasing && me != S;
		found = 0;
		l = 0;
		result = 0;
		goto IDLE
	}

	/* ---- Export ---- */

EXPORT:
	if
	:: m.step != none -> goto SETTLE_FIRST
	:: else
	fi;
	if
	:: m.state == INCOMING || (m.state == ACTIVE && m.away) || tickets >= LINES -> result = WRONG_STATE; goto ANSWER
	:: m.state == EXPORTED -> goto LEAVE_AGAIN
	:: else
	fi;
	gate[me] = 0;
	m.state = EXPORTED;
	m.away = 1;
	STEP(export_leave);
	/* REGISTER AND IGNORE EXISTING KEY, by who has the nexus; then proof that the target keeps it, and the logout. */
	atomic {
		tickets++;
		marker = TICKET(tickets);
		MAY_DIE
	};
	atomic {
		LOG_OUT;
		MAY_DIE
	};
	goto LEFT;

LEAVE_AGAIN:
	m.away = 1;
	STEP(export_leave_again);
	found = marker;
	if
	:: !IS_TICKET(found) && found != SOURCE -> CONCLUDE; result = WRONG_STATE; goto ANSWER
	:: else
	fi;
	tickets++;
	l = tickets;
	SWAP(found, TICKET(l));
	if
	:: found == TICKET(l)
	:: else -> CONCLUDE; result = WRONG_STATE; goto ANSWER
	fi;
	LOG_OUT;

LEFT:	CONCLUDE;
	atomic {
		lines = tickets;
		result = OK
	};
	goto ANSWER;

	/* ---- Import ---- */

IMPORT:
	if
	:: m.step != none -> goto SETTLE_FIRST
	:: else
	fi;
	if
	:: m.state == ACTIVE -> result = (m.away -> WRONG_STATE : OK); goto ANSWER
	:: m.arrived -> goto PROVE
	:: else
	fi;
	STEP(import_arrive);
	found = marker;
#ifdef ARRIVE_WITHOUT_SWAP
	if
	:: found == TICKET(l)
	:: else -> CONCLUDE; result = STALE; goto ANSWER
	fi;
#else
	if
	:: found == ARRIVED(l, me)
	:: found == TICKET(l) ->
		SWAP(TICKET(l), ARRIVED(l, me));
		if
		:: found == ARRIVED(l, me)
		:: else -> CONCLUDE; result = STALE; goto ANSWER
		fi
	:: else -> CONCLUDE; result = STALE; goto ANSWER
	fi;
#endif
	atomic {
		LOG_IN;
		MAY_DIE
	};
	m.away = 0;
	m.arrived = 1;
	CONCLUDE;

PROVE:	/* REGISTER (K -> K) */
	if
	:: key == 0 ->
#ifdef REGISTERS_ANEW
		key = 1
#else
		goto HAND_BACK
#endif
	:: else
	fi;
	CHECK(FENCE, !(key && fenced));
	m.state = ACTIVE;
	m.arrived = 0;
	ran[me] = 0;
	CONCLUDE;
	OPEN;
	result = OK;
	goto ANSWER;

	/* ---- Abort ---- */

ABORT:
	if
	:: m.step != none -> goto SETTLE_FIRST
	:: else
	fi;
	if
	:: m.state == EXPORTED -> goto COME_BACK
	:: m.arrived -> goto HAND_BACK
	:: m.state == ACTIVE && me != S && !m.away ->
		if
		:: ran[me] -> result = WRONG_STATE; goto ANSWER
		:: else -> gate[me] = 0; m.state = INCOMING; goto HAND_BACK
		fi
	:: else -> result = (m.released -> WRONG_STATE : OK); goto ANSWER
	fi;

COME_BACK:
	STEP(abort_come_back);
	if
	:: !m.away -> goto HERE
	:: else
	fi;
#ifndef COMES_BACK_UNASKED
	found = marker;
	if
	:: found == SOURCE
	:: IS_TICKET(found) ->
		SWAP(found, SOURCE);
		if
		:: found == SOURCE
		:: else -> CONCLUDE; result = WRONG_STATE; goto ANSWER
		fi
	:: else -> CONCLUDE; result = WRONG_STATE; goto ANSWER
	fi;
#endif
HERE:	atomic {
		LOG_IN;
		MAY_DIE
	};
#ifdef TIDY_BEFORE_SAVED
	marker = NOTHING;
	MAY_DIE;
#endif
	m.away = 0;
	CONCLUDE;
	m.state = ACTIVE;
	CONCLUDE;
	OPEN;
	/* tidy */
	if
	:: marker == SOURCE -> marker = NOTHING
	:: else
	fi;
	result = (key == 0 -> IS_FENCED : OK);
	goto ANSWER;

HAND_BACK:
#ifndef HAND_BACK_KEEPS_ARRIVED
	m.away = 1;
	m.arrived = 0;
#endif
	STEP(abort_hand_back);
HAND_BACK_NOW:
	atomic {
		LOG_OUT;
		MAY_DIE
	};
	found = marker;
	if
	:: IS_ARRIVED(found) && HOST_OF(found) == me ->
		SWAP(found, TICKET(NUMBER_OF(found)));
		if
		:: IS_ARRIVED(found) && HOST_OF(found) == me -> result = LUN_ERROR; goto ANSWER
		:: else
		fi
	:: else
	fi;
#ifdef HAND_BACK_KEEPS_ARRIVED
	MAY_DIE;
	m.away = 1;
	m.arrived = 0;
#endif
	CONCLUDE;
	result = (result == 0 -> OK : result);
	goto ANSWER;

	/* ---- Release ---- */

RELEASE:
	if
	:: m.step != none -> goto SETTLE_FIRST
	:: else
	fi;
	if
	:: m.state != EXPORTED || !m.away -> result = (m.released -> OK : WRONG_STATE); goto ANSWER
	:: else
	fi;
	STEP(release_left);
	found = marker;
#ifndef RELEASE_UNASKED
	if
	:: IS_ARRIVED(found)
	:: else -> CONCLUDE; result = WRONG_STATE; goto ANSWER
	fi;
#endif
	CHECK(LOST, IS_ARRIVED(found));
	m.state = ACTIVE;
	m.released = 1;
	CONCLUDE;
	/* tidy */
	if
	:: atomic { IS_ARRIVED(marker) -> marker = NOTHING }
	:: else
	fi;
	result = OK;
	goto ANSWER;

	/* ---- a kill, and what it leaves ---- */

DEAD:
	atomic {
		died = 1;
		gate[me] = 0;
		if
		:: session == me + 1 -> session = 0
		:: else
		fi;
		LOAD
	};
	if
	:: !m.away -> LOG_IN
	:: else
	fi;
	if
	:: m.state == ACTIVE && !m.away && m.step == none -> OPEN
	:: else
	fi;
	result = 0;

SETTLE_FIRST:
	if
	:: m.step == none
	:: m.step == export_leave -> goto UNLEAVE
#ifdef LEAVE_AGAIN_IS_FIRST
	:: m.step == export_leave_again -> goto UNLEAVE
#endif
#ifdef SETTLE_ARRIVES
	:: m.step == import_arrive -> LOG_IN; m.away = 0; m.arrived = 1; CONCLUDE
	:: m.step == abort_hand_back -> result = LUN_ERROR; goto HAND_BACK_NOW
#else
	:: m.step == import_arrive || m.step == abort_hand_back -> result = LUN_ERROR; goto HAND_BACK_NOW
#endif
	:: else -> CONCLUDE
	fi;
	result = LUN_ERROR; /* whoever called asks again */
	goto ANSWER;

UNLEAVE:
	/* Nobody has a ticket of this hand-over. */
	marker = SOURCE;
	MAY_DIE;
	LOG_IN;
	m.away = 0;
	m.state = ACTIVE;
	CONCLUDE;
	OPEN;
	if
	:: atomic { marker == SOURCE -> marker = NOTHING }
	:: else
	fi;
	result = LUN_ERROR;
	goto ANSWER
}

proctype Adversary() {
end_x:	do
	:: atomic { x_steps > 0 && key && !recovering -> x_steps--; key = 0; fenced = 1 }
	:: atomic { x_steps > 0 && marker != NOTHING && !recovering -> x_steps--; marker = NOTHING; unmarked = 1 }
	od
}

#if RECOVERY
#define ASK(n, what, which) \
	answer = 0; \
	want_line = which; \
	want[n] = what; \
	answer != 0
/* What an unfinished step was is settled by the call, which is then made again. */
#define CALL(n, what, which) \
	ASK(n, what, which); \
	if \
	:: answer == LUN_ERROR -> ASK(n, what, which) \
	:: else \
	fi
#define AT(n) (gate[n] && session == n + 1 && OPEN_GATES == 1)

proctype Recovery() {
end_none:
	/* Quiet, and no ticket left to make is the model's own limit. */
	atomic { calls == 0 && tickets < LINES - 1 && timeout -> recovering = 1 };
	if
	:: disk[S].released -> goto FORWARD
	:: !disk[S].released -> goto FORWARD
	:: !disk[S].released -> goto BACK
	fi;

BACK:	CALL(1, ABORT_CALL, 0);
	CALL(SIDES - 1, ABORT_CALL, 0);
	CALL(S, ABORT_CALL, 0);
	CHECK(RECOVER, AT(S) || AT(1) || AT(SIDES - 1) || unmarked);
	goto STOP;

FORWARD:
	if
	:: disk[S].released -> CALL(1, IMPORT_CALL, lines)
	:: else ->
		CALL(S, EXPORT_CALL, 0);
		CALL(1, IMPORT_CALL, lines)
	fi;
	if
	:: answer == IS_FENCED || key == 0 -> goto STOP
	:: else
	fi;
	CHECK(RECOVER, OPEN_GATES == 1 || unmarked);

STOP:	skip
}
#endif

init {
	atomic {
		gate[S] = 1;
		disk[S].state = ACTIVE;
		disk[S].step = none;
		disk[1].state = INCOMING;
		disk[1].away = 1;
		disk[1].step = none;
		disk[SIDES - 1].state = INCOMING;
		disk[SIDES - 1].away = 1;
		disk[SIDES - 1].step = none;
		run Side(S);
		run Side(1);
#if SIDES == 3
		run Side(2);
#endif
		run Adversary();
#if RECOVERY
		run Recovery()
#endif
	}
}
