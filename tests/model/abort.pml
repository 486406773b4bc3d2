/* SPDX-License-Identifier: Apache-2.0 */
/* handover-abort.c, handover-take-back.c, and handover_undo. Part of proctype Side. */

#define REOPENED \
	M.state = ACTIVE; \
	M.take_back = 0; \
	M.take_back_sent = 0; \
	if \
	:: OUT.row != 1 -> M.key = OUT.key; M.holder = OUT.row >= 3 \
	:: else \
	fi; \
	conclude(); \
	guest_at = (guest_at == X -> me : guest_at); \
	open_gate(); \
	RETURN(OK)

#define FENCED_AT_SOURCE \
	set_fenced(); \
	M.take_back = 0; \
	M.take_back_sent = 0; \
	M.state = ACTIVE; \
	conclude(); \
	guest_at = (guest_at == X -> me : guest_at); \
	open_gate(); \
	RETURN(IS_FENCED)

ABORT:
	atomic {
		if
		:: M.in_registered && M.in != 0 -> goto ABORT_DESTINATION
		:: !(M.in_registered && M.in != 0) && M.state == EXPORTED -> goto ABORT_SOURCE
		:: !(M.in_registered && M.in != 0) && (M.state == INCOMING || (M.state == ACTIVE && M.in_done && M.in != 0)) ->
			goto ABORT_DESTINATION
		:: else -> RETURN(OK)
		fi
	};

ABORT_SOURCE:
	if
	DIE
	:: atomic {
		true;
		if
		:: OUT.row == 1 -> REOPENED
		:: else
		fi;
#if MOVE
		if
		:: M.moved -> PROBE(abort_barrier, OUT.key, ABORT_MOVED)
		:: else
		fi;
#endif
		if
#ifndef NO_SETTLING_BEFORE_ABORT
		:: M.take_back -> goto FINISH_TAKE_BACK
#endif
#ifndef ABORT_BARRIER_IN_ROW_3
		:: !M.take_back && OUT.row == 3 && M.out_count == 1 ->
			/* handover_look, for a key that more than source and destination have */
			meet(me);
			if
			:: COUNT(OUT.key) > 2 -> RETURN(KEY_SHARED)
			:: else -> PREEMPT(abort_preempt, OUT.key, ABORT_PREEMPTED)
			fi
#endif
		:: else -> PROBE(abort_barrier, OUT.key, ABORT_BARRIER)
		fi
	}
	fi;

	/* Rows 2 and 4, and row 3 with a key that is another's too. */
#define AS_COUNTED (COUNT(OUT.key) <= M.out_count)
/* A stranger with the guest's key that goes as the destination comes: the count does not tell. */
#define MASKED (AS_COUNTED && M.out_count > 1 && (GUEST_KEY(D) || GUEST_KEY(SIDES - 1)))
ABORT_BARRIER:
	if
	DIE
	:: atomic {
		judge(OUT.key);
		if
		:: proven == UNSURE -> RETURN(LUN_ERROR)
#if defined(CONFLICT_TAKES_BACK) || defined(ABORT_BARRIER_IN_ROW_3)
		:: proven == NO -> proven = 0; goto TAKE_BACK
#else
		:: proven == NO -> FENCED_AT_SOURCE
#endif
#if defined(NO_COUNT_AFTER_BARRIER) || defined(ABORT_BARRIER_IN_ROW_3)
		:: proven == YES -> REOPENED
#else
		:: proven == YES && !force && MASKED -> goto LIMIT_REACHED
		:: proven == YES && (force || (AS_COUNTED && !MASKED)) -> REOPENED
		:: proven == YES && !force && !AS_COUNTED -> conclude(); RETURN(WRONG_STATE)
#endif
		fi
	}
	fi;

	/* Row 3. */
ABORT_PREEMPTED:
	if
	DIE
	:: atomic {
		true;
		if
		:: wire == CONFLICT -> wire = 0; goto TAKE_BACK
		:: else -> sent_good = wire == GOOD; wire = 0
		fi;
		look(OUT.key);
		if
		:: sent_good && sole -> REOPENED
		:: else -> PROBE(abort_preempt, OUT.key, ABORT_PREEMPT_UNSURE)
		fi
	}
	fi;
/* A PREEMPT that never arrived has removed nobody; and what is listed is this nexus's own where nothing has come between. */
#ifdef LOST_PREEMPT_IS_TRUSTED
#define COUNT_TELLS true
#else
#define COUNT_TELLS (!inexact && COUNT(OUT.key) == 1)
#endif
ABORT_PREEMPT_UNSURE:
	if
	DIE
	:: atomic {
		inexact = gen != before[me] + 1;
		judge(OUT.key);
		if
		:: proven == UNSURE -> RETURN(LUN_ERROR)
		:: proven == NO && sent_good -> FENCED_AT_SOURCE
		:: proven == NO && !sent_good -> proven = 0; goto TAKE_BACK
		/* As seen before the proof: what is seen after it may be the destination's. */
		:: proven == YES && sole && COUNT_TELLS -> REOPENED
		:: proven == YES && !(sole && COUNT_TELLS) -> conclude(); RETURN(WRONG_STATE)
		fi
	}
	fi;

	/* Not registered any more: the destination holds, or a peer has fenced. */
#ifdef TAKE_BACK_ANY_GENERATION
#define DUE true
#else
#define DUE (gen == OUT.generation + 2)
#endif
TAKE_BACK:
	if
	DIE
	:: atomic {
		look(OUT.key);
		if
		:: COUNT(OUT.key) == 0 -> FENCED_AT_SOURCE
		:: else
		fi;
#ifndef CONFLICT_TAKES_BACK
		if
		:: !force && (M.out_count != 1 || !DUE || !sole) -> conclude(); RETURN(WRONG_STATE)
		:: else
		fi;
#endif
		/* A stranger that fenced, and took the guest's key, in exactly the two steps that a destination takes: not told from one. */
		if
		:: !force && gen == OUT.generation + 2 && res == X + 1 -> goto LIMIT_REACHED
		:: else
		fi;
		M.take_back = 1;
		M.take_back_sent = 0;
		sole = 0;
		held = 0;
		many = 0;
		sent_good = 0;
		REGISTER(abort_register, 0, OUT.key, ABORT_REGISTER_SENT)
	}
	fi;
ABORT_REGISTER_SENT:
	atomic {
		if
		:: wire == GOOD -> wire = 0; conclude(); goto FINISH_TAKE_BACK
		:: else -> PROBE(abort_register, OUT.key, ABORT_REGISTERED)
		fi
	};
ABORT_REGISTERED:
	if
	DIE
	:: atomic {
		judge(OUT.key);
		if
		:: proven == UNSURE -> RETURN(LUN_ERROR)
		:: proven == YES -> proven = 0; conclude(); goto FINISH_TAKE_BACK
		:: proven == NO -> M.take_back = 0; conclude(); RETURN(LUN_ERROR)
		fi
	}
	fi;
FINISH_TAKE_BACK:
	if
	DIE
	:: atomic {
		look(OUT.key);
		sent_good = 0;
#ifndef AUTOMATIC_ABORT_OF_ANY
		if
		:: automatic && (gen != OUT.generation + 3 || COUNT(OUT.key) != 2) ->
			about = OUT.key;
			may_have = M.take_back_sent;
			undo_for = FOR_AUTOMATIC;
			goto UNDO
		:: else
		fi;
#endif
		if
		:: COUNT(OUT.key) > 2 -> RETURN(KEY_SHARED)
		/* A stranger that has taken the guest's key since Export, in the destination's place. */
		:: COUNT(OUT.key) == 2 && key[X] == K -> goto LIMIT_REACHED
		:: COUNT(OUT.key) == 2 && key[X] != K -> M.take_back_sent = 1; PREEMPT(abort_take_back, OUT.key, TAKE_BACK_SENT)
		:: else -> PROBE(abort_register, OUT.key, TAKE_BACK_PROVED)
		fi
	}
	fi;
TAKE_BACK_SENT:
	if
	DIE
	:: atomic {
		sent_good = wire == GOOD;
		wire = 0;
		look(OUT.key);
		if
		:: sent_good -> goto TAKEN_BACK
		:: else -> PROBE(abort_register, OUT.key, TAKE_BACK_PROVED)
		fi
	}
	fi;
TAKE_BACK_PROVED:
	if
	DIE
	:: atomic {
		judge(OUT.key);
		if
		:: proven == UNSURE -> RETURN(LUN_ERROR)
		:: proven == YES -> proven = 0; goto TAKEN_BACK
		:: proven == NO -> proven = 0; M.take_back = 0; conclude(); goto TAKE_BACK
		fi
	}
	fi;
TAKEN_BACK:
	atomic {
		if
		:: sole -> REOPENED
		:: !sole && many -> RETURN(LUN_ERROR)
		:: else -> about = OUT.key; undo_for = FOR_TAKE_BACK; goto UNDO
		fi
	};

ABORT_DESTINATION:
	if
	DIE
	:: atomic {
		true;
		if
		:: M.state == ACTIVE && M.in_ran && !force -> RETURN(WRONG_STATE)
		:: else
		fi;
		if
		:: M.state != ACTIVE && !M.in_registered ->
			/* It gives up waiting. */
			M.state = ACTIVE;
			M.in = 0;
			conclude();
			open_gate();
			RETURN(OK)
		:: else
		fi;
		gate[me] = 0;
		about = IN.key;
		if
		:: M.state == ACTIVE ->
			M.state = INCOMING;
			M.in_done = 0;
			M.in_loaded = 0;
			M.in_registered = IN.row != 1 && M.key == IN.key;
			M.in_exact = M.in_registered && IN.row == 3;
			set_unregistered();
			M.fenced = 0;
			d_step { save(me) }
		:: else
		fi;
		if
		:: !M.in_registered -> M.in = 0; conclude(); RETURN(OK)
		:: else
		fi;
#if MOVE
		if
		:: IN.moved -> goto MOVE_BACK
		:: else
		fi;
#endif
		may_have = M.in_exact;
		undo_for = FOR_ABORT;
		goto UNDO
	}
	fi;

	/* handover_undo, for all that call it: about, may_have (its PREEMPT may have made it the holder), undo_for; the answer is "holds". */
#ifdef UNDO_WHILE_HOLDER
#define MAY_HOLD false
#else
#ifdef UNDO_WHILE_SHARED
#define MAY_HOLD SOLE_HOLDER(about)
#else
#define MAY_HOLD (HOLDER_KEY(about) && (COUNT(about) == 1 || may_have))
#endif
#endif
#ifdef HOLDER_NEVER_UNREGISTERS
#define IS_LAST (res == ALL_REGISTRANTS)
#else
#define IS_LAST (res == ALL_REGISTRANTS && TOTAL == 1)
#endif
#define UNDO_STEP \
	((undo_for == FOR_IMPORT || undo_for == FOR_NOTHING) -> import_undo : \
	 (undo_for == FOR_ABORT -> abort_unregister : (undo_for == FOR_SETTLE -> M.step : abort_undo)))
#define UNDO_FAILED \
	if \
	:: settling -> goto SETTLE_AGAIN \
	:: !settling && (undo_for == FOR_IMPORT || undo_for == FOR_NOTHING) -> NOT_TAKEN(LUN_ERROR) \
	:: else -> RETURN(LUN_ERROR) \
	fi
UNDO:
	if
	DIE
	:: atomic {
		meet(me);
		holds = 0;
		step = UNDO_STEP;
		if
		:: COUNT(about) == 0 -> step = none; conclude(); goto UNDONE
		:: COUNT(about) > 0 && (IS_LAST || MAY_HOLD) && !(FULL_STATUS && COUNT(about) > 1 && res != me + 1) ->
			if
			:: COUNT(about) > 1 || gen != M.proven -> PROBE(step, about, UNDO_PROVED)
			:: else -> step = none; holds = 1; conclude(); goto UNDONE
			fi
		:: else -> REGISTER(step, about, 0, UNDO_SENT)
		fi
	}
	fi;
UNDO_PROVED:
	if
	DIE
	:: atomic {
		judge(about);
		if
		:: proven == UNSURE -> UNDO_FAILED
		:: else -> holds = proven == YES; proven = 0; conclude(); goto UNDONE
		fi
	}
	fi;
UNDO_SENT:
	atomic {
		if
		:: wire == UNKNOWN -> PROBE(M.step, about, UNDO_UNSURE)
		:: else -> wire = 0; conclude(); goto UNDONE
		fi
	};
UNDO_UNSURE:
	if
	DIE
	:: atomic {
		judge(about);
		if
		:: proven == NO -> proven = 0; conclude(); goto UNDONE
		:: else -> UNDO_FAILED
		fi
	}
	fi;
UNDONE:
	if
	DIE
	:: atomic {
		may_have = 0;
		if
		:: undo_for == FOR_EXPORT -> goto EXPORT_DROPPED
#ifdef LAST_IS_HOLDER
		:: undo_for == FOR_TAKE_BACK && holds -> REOPENED
#else
		/* The last of all registrants of what a stranger left, or Abort again tells. */
		:: undo_for == FOR_TAKE_BACK && holds -> RETURN(WRONG_STATE)
#endif
		:: undo_for == FOR_TAKE_BACK && !holds -> FENCED_AT_SOURCE
		:: undo_for == FOR_AUTOMATIC -> M.take_back = holds; conclude(); RETURN(WRONG_STATE)
		:: undo_for == FOR_RELEASE && holds -> about = 0; undo_for = 0; holds = 0; NOT_DROPPED(WRONG_STATE)
		:: undo_for == FOR_RELEASE && !holds -> about = 0; undo_for = 0; DROPPED
		:: undo_for == FOR_ABORT && holds -> RETURN(HOLDS)
		:: undo_for == FOR_ABORT && !holds ->
			M.in_registered = 0;
			M.in_exact = 0;
			M.in_moves = 0;
			M.in_added = 0;
			M.in = 0;
			conclude();
			RETURN(OK)
		:: undo_for == FOR_SETTLE_OUT -> M.take_back = holds; conclude(); goto SETTLED
		:: undo_for == FOR_SETTLE -> M.in_registered = holds; M.in_exact = M.in_exact && holds; conclude(); goto SETTLED
		:: undo_for == FOR_NOTHING && holds -> NOT_TAKEN(HOLDS)
		:: undo_for == FOR_NOTHING && !holds ->
			M.in_registered = 0;
			M.in_exact = 0;
			M.in_moves = 0;
			M.in_added = 0;
			conclude();
			about = 0;
			undo_for = 0;
			goto IMPORT_NOTHING
		:: undo_for == FOR_IMPORT && holds -> NOT_TAKEN((failing == IS_FENCED -> HOLDS : failing))
		:: undo_for == FOR_IMPORT && !holds ->
			M.in_registered = 0;
			M.in_exact = 0;
			M.in_moves = 0;
			M.in_added = 0;
			conclude();
			NOT_TAKEN(failing)
		fi
	}
	fi;
