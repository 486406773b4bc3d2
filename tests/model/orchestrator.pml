/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who calls: anything in any order, repeated, lines old and new, both sides at once; but
 * - a guest that was let run at the destination is not aborted, and what was released is not aborted (design section 7: Release means that the guest
 *   has ended at the source), and Release is not called while an Import or Abort has not been answered;
 * - a guest is let run at the destination after Import has said so, with no Abort under way.
 */

#define EXPORT_CALL 1
#define IMPORT_CALL 2
#define RELEASE_CALL 3
#define ABORT_CALL 4
#define FORGET_CALL 5
#define RESYNC_CALL 6
#define RESTART 7 /* the host is down, or settling */
#define WRITE_CALL 8 /* no call: a write, which QEMU's hand-over waits for */
#define PREPARE_CALL 9

byte call[SIDES];

/* What a call answers. */
#define OK 1
#define IS_FENCED 2
#define STALE 3
#define WRONG_STATE 4
#define HOLDS 5 /* WrongState: keeps what it alone holds */
#define LUN_ERROR 6
#define KEY_SHARED 7
#define LIMIT 8 /* no answer: what follows is known not to hold (orchestrator.pml says where) */

#if MOVE
bit prepared; /* the orchestrator has Prepare's line */
#endif
bit import_ok; /* Import has answered OK, and nothing was called since that undoes it */
bit import_fresh; /* nothing was called since an Import began */
bit unanswered[SIDES]; /* an Import or Abort is under way, or its host has died, or the LUN has not answered */
bit aborting[SIDES]; /* an Abort is under way, or has to be repeated */
#if GUEST
bit ran; /* the guest has run at the destination */
#else
#define ran 0
#endif
bit finishing; /* Release was called and not refused */

#define AT_OTHERS(c) ((me != 0 && call[0] == c) || (me != 1 && call[1] == c) || (me != SIDES - 1 && call[SIDES - 1] == c))
#define MAY_CALL (!mistaken && phase == RUNNING && (CALLS == 0 || calls > 0))
/* Where the guest comes back: the older hand-over, whose guest has run at the destination, is not aborted. */
#define NOT_OLDER (!GUEST || me != S || !ran || M.in_registered)
#define MAY_ABORT (NOT_OLDER && (!QEMU || me != S) && !finishing && (guest_at == X || guest_at == S) && !AT_OTHERS(RELEASE_CALL))
#define UNANSWERED (unanswered[0] || unanswered[1] || unanswered[SIDES - 1])
#define MAY_RELEASE (!UNANSWERED)
#define ABORTING (aborting[0] || aborting[1] || aborting[SIDES - 1])
#define MAY_IMPORT (!AT_OTHERS(RELEASE_CALL))
/* Where the guest comes back, too. */
#define IS_SOURCE (me == S || GUEST)
#define IS_DESTINATION (me != S || GUEST)

/* The recovery's calls. */
byte want[SIDES];
unsigned want_line : 3;
bit want_force;
byte answer;

#define IDLE_ALL (call[0] == 0 && call[1] == 0 && call[SIDES - 1] == 0)

#if RECOVERY
#define ASK(n, what, which, forced) \
	want_line = which; \
	want_force = forced; \
	answer = 0; \
	want[n] = what; \
	answer != 0; \
	if \
	:: answer == LIMIT || (answer == KEY_SHARED && late_key) -> goto STOP \
	:: else \
	fi

#define RIGHT_RESERVATION(n) (ROW != 3 || fence || res == n + 1)
#define AT(n, other) \
	(mem[n].state == ACTIVE && DOOR(n) && !fence && !GUEST_KEY(other) && RIGHT_RESERVATION(n) && \
	 mem[n].key == key[n])
/* The last of all registrants cannot go: the limit of handover-traces' end. */
#define NOT_REGISTERED(n) (!GUEST_KEY(n) || (res == ALL_REGISTRANTS && TOTAL == 1 && !gate[n]))
#define FENCED (fence && NOT_REGISTERED(S) && NOT_REGISTERED(D))

bit ended;

/* After everything has gone wrong that may: nothing more does, and either way out has to lead out. */
proctype Recovery() {
	bit kept;

end_no_recovery:
	atomic { !mistaken && phase == RUNNING && IDLE_ALL && lines > 0 -> phase = 1 };
#if GUEST
	if
	:: guest_at == D -> goto FORWARD
	:: guest_at == X && mem[D].state == EXPORTED -> goto HOME
	:: guest_at == S || (guest_at == X && mem[D].state != EXPORTED) -> goto STOP
	fi;
#endif
	if
	/* Nobody knows whether Import was done: that is asked first. */
	:: finishing && UNANSWERED -> finishing = 0
	:: finishing && !UNANSWERED ->
		/* Whoever has called Release goes on with it. */
		ASK(S, RELEASE_CALL, 0, import_ok);
		if
		:: answer == OK -> goto FORWARD
		:: else -> finishing = 0
		fi
	:: else
	fi;
	if
	:: guest_at == D -> goto FORWARD
	:: guest_at != D -> goto FORWARD
	:: guest_at != D -> goto BACK
	fi;

BACK:	ASK(D, ABORT_CALL, 0, 0);
	kept = answer == HOLDS;
	ASK(S, ABORT_CALL, 0, 0);
	if
#if MOVE
	:: answer == WRONG_STATE && mem[S].moved ->
		ASK(D, IMPORT_CALL, lines, 0);
		ASK(D, ABORT_CALL, 0, 0);
		ASK(S, ABORT_CALL, 0, 0)
#endif
	:: answer == WRONG_STATE && !mem[S].moved && (ROW != 3 || kept) -> ASK(S, ABORT_CALL, 0, 1)
	:: else
	fi;
	ASK(D, RESYNC_CALL, 0, 0);
	ASK(D, ABORT_CALL, 0, 0);
	CHECK(RECOVER, AT(S, D) || FENCED);
	goto STOP;

FORWARD:
	ASK(D, IMPORT_CALL, lines, 0);
	if
	:: answer != OK && !finishing && guest_at != D ->
		/* prmigctl: Abort there, and from the beginning */
		if
		:: answer == WRONG_STATE -> ASK(D, ABORT_CALL, 0, 0)
		:: else
		fi;
		if
		:: lines < LINES + 1 -> ASK(S, EXPORT_CALL, 0, 0)
		fi;
		if
		:: answer == OK -> ASK(D, IMPORT_CALL, lines, 0)
		:: else
		fi;
		if
		:: answer != OK -> goto BACK
		:: else
		fi
	:: else
	fi;
	ASK(S, RELEASE_CALL, 0, 1);
	if
	:: answer == WRONG_STATE && guest_at != D -> goto BACK /* an Abort was begun */
	:: else
	fi;
	ASK(D, RESYNC_CALL, 0, 0);
	CHECK(RECOVER, AT(D, S) || FENCED);

#if GUEST
	goto STOP;

	/* It was exported at the destination, to go back. */
HOME:	ASK(S, IMPORT_CALL, mem[D].out, 0);
	if
	:: answer == STALE -> ASK(D, EXPORT_CALL, 0, 0); ASK(S, IMPORT_CALL, mem[D].out, 0)
	:: else
	fi;
	ASK(D, RELEASE_CALL, 0, 1);
	CHECK(RECOVER, AT(S, D) || FENCED);
#endif

STOP:	ended = 1
}
#endif
