/* SPDX-License-Identifier: Apache-2.0 */
/* handover-import.c, handover-register.c. Part of proctype Side. */

/* handover_fail_stale */
#define STALE_OR_FENCED(others) ((others) == 0 -> IS_FENCED : STALE)
#ifdef REGISTRANTS_DECIDE
#define AS_EXPORTED(moves, more) (COUNT(IN.key) == IN.count + more)
#else
#define AS_EXPORTED(moves, more) (M.in_moves != NEVER && gen == IN.generation + moves && COUNT(IN.key) == IN.count + more)
#endif
#define SAME_IN (M.in != 0 && IN.id == line[l].id)
/* handover_strangers_share_key, of LUNs that tell, and of those that do not */
#if FULL_STATUS
#define STRANGERS(stands_here) (IN.count > 1 + (stands_here) && key[X] == IN.key)
#else
#define STRANGERS(stands_here) (IN.count > 1 + (stands_here))
#endif
#define IS_TAKEN \
	import_ok = import_fresh; \
	import_fresh = 0; \
	RETURN(OK)

#define BEGIN \
	if \
	:: !SAME_IN -> M.in_ran = 0; M.in_tried = 0 \
	:: else \
	fi; \
	M.in = l; \
	l = 0; \
	M.in_done = 0

#define UNDO_IMPORT(r) failing = r; about = IN.key; may_have = M.in_exact && IN.row == 3; undo_for = FOR_IMPORT; goto UNDO

IMPORT:
	if
	DIE
	:: atomic {
		true;
		if
		:: M.state == EXPORTED && OUT.id == line[l].id -> goto ABORT_SOURCE
		/* The source's Abort may have taken it back, and this nexus not have seen that yet. */
		:: M.state == ACTIVE && M.in_done && SAME_IN &&
			(M.in_ran || M.key != IN.key || M.key == 0 || gen == M.proven) -> IS_TAKEN
		:: M.state == ACTIVE && M.in_done && SAME_IN && !(M.in_ran || M.key != IN.key || M.key == 0 || gen == M.proven) ->
			meet(me);
			about = IN.key;
			many = COUNT(about) != 0;
			if
			:: !many -> LOSE_REGISTRATION(0); RETURN(IS_FENCED)
			:: else -> PROBE(resync_probe, about, IMPORT_AGAIN)
			fi
		:: else
		fi;
		if
		:: SAME_IN && M.in_ran && !M.in_done -> RETURN(STALE)
#ifdef NO_IMPORT_OVER_EXPORTED
		:: M.state == EXPORTED -> RETURN(WRONG_STATE)
#endif
#if RESETS
		:: line[l].aged -> RETURN(STALE)
#endif
		:: M.state == ACTIVE && !M.fenced && !SAME_IN && (M.key != 0 || guest_at == me) -> RETURN(WRONG_STATE)
		:: M.in_registered && !SAME_IN -> RETURN(WRONG_STATE)
		:: else
		fi;
		was_active = M.state == ACTIVE;
		gate[me] = 0;
		if
		:: line[l].row == 1 -> goto IMPORT_NOTHING
		:: else
		fi;
		old_key = (M.state == EXPORTED && OUT.row != 1 -> OUT.key : 0);
		/* Export has counted what an unfinished Import of this hand-over had registered by then. */
		if
		:: M.in_registered && IN.generation != line[l].generation -> M.in_moves = 0; M.in_added = 0
		:: else
		fi;
		BEGIN;
#ifndef IMPORT_STAYS_ACTIVE
		M.state = (M.state == ACTIVE -> INCOMING : M.state);
#endif
#if MOVE
		if
		:: IN.moved -> PROBE(import_reregister, IN.key, IMPORT_MOVED)
		:: else
		fi;
#endif
		if
		:: M.in_registered -> goto GO_ON
		:: else -> goto IMPORT_CHECK
		fi
	}
	fi;
IMPORT_AGAIN:
	if
	DIE
	:: atomic {
		judge(about);
		about = 0;
		if
		:: proven == UNSURE -> RETURN(LUN_ERROR)
		:: proven == NO -> proven = 0; conclude(); LOSE_REGISTRATION(many); many = 0; goto IMPORT
		:: proven == YES -> conclude(); IS_TAKEN
		fi
	}
	fi;

	/* Row 1: what stands here of an older hand-over, or of this one before the guest was fenced, goes. */
IMPORT_NOTHING:
	if
	DIE
	:: atomic {
		true;
		if
		:: M.in_registered -> about = IN.key; may_have = M.in_exact && IN.row == 3; undo_for = FOR_NOTHING; goto UNDO
		:: !M.in_registered && M.state == EXPORTED && OUT.row != 1 && key[me] != 0 && drop_for == 0 ->
			drop_for = FOR_IMPORT;
			goto DROP_EXPORTED
		:: else
		fi;
		BEGIN;
		goto IMPORTED
	}
	fi;

IMPORT_CHECK:
	if
	DIE
	:: atomic {
		meet(me);
		if
		:: AS_EXPORTED(0, 0) || (M.in_tried && COUNT(IN.key) == IN.count)
		:: else -> M.in_tried = 1; result = STALE_OR_FENCED(COUNT(IN.key)); NOT_TAKEN(result)
		fi;
		if
		:: IN.row == 3 && STRANGERS(old_key == IN.key) -> NOT_TAKEN(KEY_SHARED)
		:: else
		fi;
		reset_seen = 0;
		M.in_added = 1;
		M.in_moves = 0;
		inexact = 0;
		REGISTER(import_register, old_key, IN.key, IMPORT_REGISTER_SENT)
	}
	fi;
IMPORT_REGISTER_SENT:
	atomic {
		if
		/* The same key, standing since an older hand-over: Export counted it. */
		:: old_key == IN.key && wire == GOOD -> M.in_added = 0
		:: old_key == IN.key && wire == UNKNOWN -> inexact = 1
		:: else
		fi;
		if
		:: wire == CONFLICT && old_key != 0 ->
			wire = 0;
			old_key = 0;
			REGISTER(import_register, 0, IN.key, IMPORT_REGISTER_SENT)
		:: else
		fi;
		old_key = 0;
		M.in_moves = 1;
		if
		:: wire == GOOD -> wire = 0; M.in_registered = 1; conclude(); goto IMPORT_LOOK
		:: else -> inexact = inexact || wire == CONFLICT; PROBE(import_reregister, IN.key, IMPORT_REGISTERED)
		fi
	};
IMPORT_REGISTERED:
	if
	DIE
	:: atomic {
		judge(IN.key);
		if
		:: proven == UNSURE -> NOT_TAKEN(LUN_ERROR)
		:: else
		fi;
		M.in_moves = (inexact -> NEVER : 2);
		inexact = 0;
		M.in_registered = proven == YES;
		conclude();
		if
		:: proven == YES -> proven = 0; goto IMPORT_LOOK
		:: else -> NOT_TAKEN(LUN_ERROR)
		fi
	}
	fi;

	/* handover_import_go_on: K stands here by an Import that is not done. In this order: a K listed alone is this nexus's, if it is registered
	   after that. */
GO_ON:
	if
	DIE
	:: atomic {
		look(IN.key);
		PROBE(import_reregister, IN.key, WENT_ON)
	}
	fi;
WENT_ON:
	if
	DIE
	:: atomic {
		judge(IN.key);
		if
		:: proven == UNSURE -> NOT_TAKEN(LUN_ERROR)
		:: else
		fi;
		M.in_registered = proven == YES;
		M.in_exact = M.in_exact && M.in_registered;
		M.in_moves = (!M.in_registered -> 0 : (M.in_moves < NEVER -> M.in_moves + 1 : NEVER));
		proven = 0;
		conclude();
		if
		:: M.in_registered && IN.row == 3 && sole -> goto IMPORTED
		:: else
		fi;
		if
		:: !M.in_registered -> sole = 0; held = 0; many = 0; goto IMPORT_CHECK
		:: else
		fi;
		if
		:: !(M.in_exact && IN.row == 3) -> sole = 0; held = 0; many = 0; goto IMPORT_LOOK
		:: else
		fi;
		if
		:: COUNT(IN.key) > 2 -> NOT_TAKEN(KEY_SHARED)
		:: COUNT(IN.key) <= 2 && held -> PREEMPT(import_preempt, IN.key, IMPORT_PREEMPTED)
		:: else ->
			failing = STALE_OR_FENCED(COUNT(IN.key));
			about = IN.key;
			may_have = 1;
			undo_for = FOR_IMPORT;
			goto UNDO
		fi
	}
	fi;

IMPORT_LOOK:
	if
	DIE
	:: atomic {
		meet(me);
#ifndef CHECK_BEFORE_REGISTER_ONLY
		if
#ifdef NO_RESET_CHECK
		:: !AS_EXPORTED(M.in_moves, M.in_added) ->
#else
		:: reset_seen || !AS_EXPORTED(M.in_moves, M.in_added) ->
#endif
			reset_seen = 0;
			UNDO_IMPORT(STALE_OR_FENCED(COUNT(IN.key) - (COUNT(IN.key) > 0)))
		:: else
		fi;
#endif
		reset_seen = 0;
		M.proven = gen;
		if
#ifdef PREEMPT_IN_ROW_2
		:: IN.row == 2 -> PREEMPT(import_preempt, IN.key, IMPORT_PREEMPTED)
#else
		:: IN.row == 2 -> goto IMPORTED
#endif
		:: IN.row == 4 -> goto IMPORTED
		:: IN.row == 3 && STRANGERS(!M.in_added) -> UNDO_IMPORT(KEY_SHARED)
		:: else -> CHECK(STOLEN, key[X] != K); M.in_exact = 1; PREEMPT(import_preempt, IN.key, IMPORT_PREEMPTED)
		fi
	}
	fi;

	/* What is seen is another's where this nexus has lost K in between: it counts where nothing has come between, or a proof after it. */
IMPORT_PREEMPTED:
	if
	DIE
	:: atomic {
		look(IN.key);
		sent_good = wire == GOOD;
		wire = 0;
#ifdef GENERATION_CHECK_AFTER_PREEMPT
		if
		:: sent_good && gen != IN.generation + M.in_moves + 1 -> UNDO_IMPORT(STALE)
		:: else
		fi;
#endif
		if
		:: sent_good && sole && M.in_moves != NEVER && gen == IN.generation + M.in_moves + 1 ->
			M.proven = gen;
			conclude();
			goto IMPORTED
		:: else -> PROBE(import_reregister, IN.key, IMPORT_PREEMPT_UNSURE)
		fi
	}
	fi;
IMPORT_PREEMPT_UNSURE:
	if
	DIE
	:: atomic {
		judge(IN.key);
		if
		:: proven == UNSURE -> NOT_TAKEN(LUN_ERROR)
		:: else
		fi;
		M.in_registered = proven == YES;
		M.in_exact = M.in_registered;
		M.in_moves = NEVER;
		proven = 0;
		conclude();
		if
		:: M.in_registered && held && (!many || sent_good) -> goto IMPORTED
		:: M.in_registered && held && many && !sent_good -> NOT_TAKEN(LUN_ERROR)
		:: M.in_registered && !held -> UNDO_IMPORT(IS_FENCED)
		:: else -> result = STALE_OR_FENCED(COUNT(IN.key)); NOT_TAKEN(result)
		fi
	}
	fi;

IMPORTED:
	if
	DIE
	:: atomic {
		M.state = ACTIVE;
		M.in_done = 1;
		M.in_loaded = QEMU && IN.row != 1;
		M.in_ran = 0;
		M.in_moves = 0;
		M.in_added = 0;
		M.in_registered = 0;
		M.in_exact = 0;
		M.key = (IN.row == 1 -> 0 : IN.key);
		M.holder = IN.row >= 3;
		M.fenced = IN.row == 1 && IN.fenced;
		CHECK(ALARM, !M.fenced || fence);
		conclude();
		if
		:: !M.in_loaded -> open_gate()
		:: else
		fi;
		IS_TAKEN
	}
	fi;
