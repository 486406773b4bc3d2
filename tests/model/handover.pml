/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand-over of handler/handover*.c as a protocol: hosts that die and come back, an orchestrator that calls anything, an adversary.
 * tests/model/run says which configurations are explored; each is a set of -D.
 *
 * One transition is one command on the wire, or one saving of the record. What is left out: groups and siblings, guests' unit attentions, LUNs whose
 * PRGENERATION does not move by one, a REGISTER that is kept for a fresh line, a full disk, time. Where a stranger has registered the guest's own key
 * since Export, a LUN that shows keys alone does not tell it from a destination: LIMIT_REACHED (idle.pml) says where, and nothing is asserted after it.
 */

/* Of crashes, steps of the adversary, lost answers: as many as there may be. */
#define ANY 255
#define SPEND(what) what = (what == ANY -> ANY : what - 1)

#ifndef ROW
#define ROW row /* of the design's table, at the start: each of them */
byte row;
#define EACH_ROW 1
#else
#define EACH_ROW 0
#endif
#ifndef CALLS
#define CALLS 0 /* of the orchestrator, in all; 0: without bound, but for the state lines */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef X_STEPS
#define X_STEPS 2
#endif
#ifndef LOST_ANSWERS
#define LOST_ANSWERS 0
#endif
#ifndef RESETS
#define RESETS 0
#endif
#ifndef GENERATION
#define GENERATION 1 /* PRGENERATION at the start, with RESETS */
#endif
#ifndef GUEST
#define GUEST 0 /* the guest changes its key where it runs; the orchestrator moves it back */
#endif
#ifndef QEMU
#define QEMU 0 /* drives it: a write at the source means Abort, a write at the destination that the guest is there */
#endif
#ifndef MOVE
#define MOVE 0 /* the LUN has READ FULL STATUS and REGISTER AND MOVE, and the destination is Prepared */
#endif
#define FULL_STATUS MOVE
#ifndef LIVE
#define LIVE 0 /* 1: what follows a call ends; 2: whatever happens, recovery comes and ends (under weak fairness) */
#endif
#ifndef RECOVERY
#define RECOVERY 0
#endif
#ifndef SIDES
#define SIDES 2
#endif
#ifndef LINES
#define LINES 3 /* how many state lines there are at most */
#endif

#define S 0
#define D 1
#define X SIDES
#define NEXUSES (SIDES + 1)

/* Registration keys: the guest's, a stranger's, the guest's other. */
#define K 1
#define KX 2
#define K2 3
#define KP 4 /* of Prepare */

/* ---- assertions; ONLY: all but one are off ---- */
#define DOORS 1
#define FENCE 2
#define GAP 3
#define LOST 4	  /* the registration is nowhere, and nobody has removed it */
#define ROBBED 5  /* of a running guest, by this hand-over */
#define STOLEN 6  /* from the stranger */
#define ALARM 7	  /* fenced, says prmig, and nobody has fenced */
#define LEFT 8	  /* a call ends, and a fenced key is registered */
#define RECOVER 9 /* neither Import again nor Abort brings it to its place */
#define HOLDER_LEFT 11 /* handover-traces, 16: the limit: a destination that was fenced holds until it undoes */
#ifdef ONLY
#define CHECK(which, condition) assert(ONLY != which || mistaken || (condition))
#else
#define CHECK(which, condition) assert(which && (mistaken || (condition)))
#endif

/* record_step_name's, with '_' for '-'. */
mtype = {
	none,
	export_barrier,
	import_register,
	import_reregister,
	import_preempt,
	import_undo,
	release_probe,
	release_unregister,
	abort_barrier,
	abort_preempt,
	abort_register,
	abort_take_back,
	abort_undo,
	abort_unregister,
	forget_unregister,
	guest_probe,
	resync_probe,
	confirm_barrier,
	prepare_register,
	prepare_unregister,
	export_move,
	abort_move
};

#define GOOD 1
#define CONFLICT 2
#define UNKNOWN 3

#define RUNNING 0
byte phase = RUNNING; /* 1: recovery */

byte calls = CALLS;
byte crashes = CRASHES;
byte x_steps = X_STEPS;
byte lost_answers = LOST_ANSWERS;
byte resets = RESETS;

bit gate[SIDES];

/*
 * A lost probe, and in the same instant another initiator's step, which moves PRGENERATION by one, with K on another nexus: taken for a proof. A limit;
 * nothing is asserted after it.
 */
bit mistaken;

#include "types.pml"
#include "lun.pml"
#include "record.pml"
#include "orchestrator.pml"
#include "adversary.pml"

proctype Side(byte me) {
	byte wire;	/* of the last command */
	byte proven;	/* a probe's verdict */
	bit sole;	/* when the LUN was last looked at, K was listed once, and held */
	bit held;	/* K holds */
	bit many;	/* K is listed more than once */
	byte l;		/* Import: the line */
	byte old_key;	/* Import over an exported nexus */
	bit was_active;
	bit force;
	bit again;	/* Export */
	bit inexact;
	bit sent_good;	/* the PREEMPT */
	bit automatic;
	bit reset_seen;
	byte settling;
	byte drop_for;
	byte about;	/* handover_undo, resynchronisation, Forget: the key */
	byte undo_for;
	bit may_have;
	bit holds;
	byte failing;	/* what Import answers after its undo */
	mtype step = none; /* about to be sent: from, to (PREEMPT: of from), and who takes the answer */
	byte from;
	byte to;
	bit preempts;
	bit moves;
	byte next;
	byte result;

#include "idle.pml"
#include "source.pml"
#include "abort.pml"
#include "destination.pml"
#include "settle.pml"
#if QEMU
#include "qemu.pml"
#endif
#if MOVE
#include "move.pml"
#endif
#include "send.pml"
}

init {
	atomic {
#if EACH_ROW
		if
		:: row = 2
		:: row = 3
		:: row = 4
		fi;
#endif
		key[S] = K;
		if
		:: key[X] = 0
		:: key[X] = KX
		:: key[X] = K
		fi;
		if
		:: ROW == 3 -> res = S + 1
		:: ROW == 4 -> res = ALL_REGISTRANTS
		:: ROW == 2 -> res = FREE
		:: ROW == 2 && key[X] != 0 -> res = X + 1
		fi;
		gate[S] = 1;
		mem[S].state = ACTIVE;
		mem[S].key = K;
		mem[S].holder = ROW >= 3;
		mem[D].state = INCOMING;
		mem[SIDES - 1].state = INCOMING;
		d_step {
			save(S);
			save(D);
			save(SIDES - 1)
		}
		run Side(S);
		run Side(D);
#if SIDES == 3
		run Side(2);
#endif
		run Adversary();
#if RECOVERY
		run Recovery()
#endif
	}
}

#if LIVE == 1
ltl ends { [] ((phase == 1) -> <> ended) }
#endif
#if LIVE == 2
ltl ends { [] ((lines > 0) -> <> (ended || answer == LIMIT)) }
#endif
