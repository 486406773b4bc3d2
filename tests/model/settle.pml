/* SPDX-License-Identifier: Apache-2.0 */
/* handover-settle.c and handover-guest.c: a host that dies and comes back, resynchronisation, Forget, the guest's own REGISTER. Part of proctype Side. */

CRASHED:
	atomic {
		forget_locals();
		d_step { copy(mem[me], disk[me]) };
#ifdef UNREGISTER_AT_STOP
		if
		:: M.key != 0 -> lun_register(me, M.key, 0); wire = 0
		:: else
		fi;
#endif
		/* What a unit attention has said, it said to the one who died. */
		if
		:: true
		:: told[me] -> told[me] = 0
		fi;
		M.in_tried = 0;
		settling = AT_OPEN
	};

	/* handover_settle: at open, or before a call */
SETTLE:
	if
	DIE
	:: atomic {
		true;
		if
		:: M.step == import_register || M.step == import_reregister || M.step == import_preempt ->
			/* An unfinished REGISTER (K -> K) may have moved the generation or not. */
			inexact = M.step != import_register || (M.state == EXPORTED && OUT.key == IN.key);
			PROBE(import_reregister, IN.key, SETTLE_IMPORT)
		:: M.step == import_undo || M.step == abort_unregister ->
			about = IN.key;
			may_have = M.in_exact;
			undo_for = FOR_SETTLE;
			goto UNDO
		:: M.step == abort_undo ->
			about = OUT.key;
			may_have = M.take_back_sent;
			undo_for = FOR_SETTLE_OUT;
			goto UNDO
		:: M.step == release_unregister -> goto RELEASE
		:: M.step == abort_register || M.step == abort_take_back ->
			PROBE(M.step, OUT.key, SETTLE_TAKE_BACK)
		:: M.step == forget_unregister -> goto FORGET
#if MOVE
		:: M.step == prepare_register || M.step == prepare_unregister -> goto PREPARE_DROP
		:: M.step == export_move -> PROBE(export_move, OUT.key, MOVE_FOUND_OUT)
		:: M.step == abort_move -> PROBE(abort_move, IN.key, MOVE_BACK_FOUND_OUT)
#endif
		:: else -> conclude(); goto SETTLED
		fi
	}
	fi;
	/* Not settled: at open again and again; a call gives up. */
SETTLE_AGAIN:
	if
	DIE
	:: atomic {
		true;
		if
		:: settling == BEFORE_A_CALL -> RETURN(LUN_ERROR)
		:: else -> forget_locals(); settling = AT_OPEN; goto SETTLE
		fi
	}
	fi;

SETTLE_IMPORT:
	if
	DIE
	:: atomic {
		judge(IN.key);
		if
		:: proven == UNSURE -> proven = 0; goto SETTLE_AGAIN
#ifdef SETTLE_UNTIL_REGISTERED
		:: proven == NO -> proven = 0; goto SETTLE_AGAIN
#endif
		:: else
		fi;
		M.in_added = 1;
		M.in_registered = proven == YES;
		M.in_exact = M.in_exact && M.in_registered;
		M.in_moves = (!M.in_registered -> 0 : (inexact -> NEVER : 2));
		conclude();
		goto SETTLED
	}
	fi;

SETTLE_TAKE_BACK:
	if
	DIE
	:: atomic {
		judge(OUT.key);
		if
		:: proven == UNSURE -> proven = 0; goto SETTLE_AGAIN
		:: else -> M.take_back = proven == YES; conclude(); goto SETTLED
		fi
	}
	fi;

SETTLED:
	if
	DIE
	:: atomic {
		proven = 0;
		inexact = 0;
		about = 0;
		undo_for = 0;
		may_have = 0;
		holds = 0;
		seen[me] = 0;
		if
		:: settling == BEFORE_A_CALL -> settling = 0; goto CALLED
		:: settling == AT_OPEN && M.pending != 0 -> PROBE(guest_probe, M.pending, GUEST_SETTLE)
		:: else -> goto RESYNC
		fi
	}
	fi;

	/* handover_guest_settle, of a REGISTER: first, is the new key there? */
GUEST_SETTLE:
	if
	DIE
	:: atomic {
		judge(M.pending);
		if
		:: proven == UNSURE -> goto SETTLED
		:: proven == YES -> M.key = M.pending; M.pending = 0; conclude(); goto RESYNC
		:: proven == NO -> proven = 0; conclude(); PROBE(guest_probe, M.key, GUEST_OLD)
		fi
	}
	fi;
GUEST_OLD:
	if
	DIE
	:: atomic {
		judge(M.key);
		if
		:: proven == UNSURE -> goto SETTLED
		:: else ->
			if
			:: proven == NO -> set_fenced()
			:: else
			fi;
			M.pending = 0;
			conclude();
			goto RESYNC
		fi
	}
	fi;

	/* handover_resync */
#define RESYNCED \
	if \
	:: settling && M.state == ACTIVE && !M.in_loaded -> open_gate() \
	:: else \
	fi; \
	RETURN(OK)
#define NOTE_HOLDER \
	if \
	:: !M.in_registered && (!HOLDER_KEY(M.key) || COUNT(M.key) == 1) -> \
		M.holder = res == ALL_REGISTRANTS || HOLDER_KEY(M.key) \
	:: else \
	fi
RESYNC:
	if
	DIE
	:: atomic {
		true;
		if
#ifdef TIMER_FENCES_EXPORTED
		:: RESYNC_KEY == 0 -> told[me] = 0; RESYNCED
#else
		:: RESYNC_KEY == 0 || M.state == EXPORTED -> told[me] = 0; RESYNCED
#endif
		:: else
		fi;
		meet(me);
		if
		:: COUNT(RESYNC_KEY) == 0 -> told[me] = 0; LOSE_REGISTRATION(0); RESYNCED
		:: COUNT(RESYNC_KEY) != 0 && DOUBT && !settling ->
			told[me] = 0;
			about = RESYNC_KEY;
			PROBE(resync_probe, about, RESYNC_DOUBT)
		:: else ->
			NOTE_HOLDER;
			d_step { save(me) };
			RESYNCED
		fi
	}
	fi;
RESYNC_DOUBT:
	if
	DIE
	:: atomic {
		judge(about);
		if
		:: proven == UNSURE -> RETURN(LUN_ERROR)
		:: proven == NO -> conclude(); LOSE_REGISTRATION(1); RESYNCED
		:: proven == YES -> NOTE_HOLDER; conclude(); RESYNCED
		fi
	}
	fi;

FORGET:
	if
	DIE
	:: atomic {
		meet(me);
		about = RESYNC_KEY;
		if
		:: about == 0 -> goto FORGOTTEN
		:: about != 0 && !settling && (HOLDER_KEY(about) || (res == ALL_REGISTRANTS && TOTAL == 1)) -> RETURN(WRONG_STATE)
		:: else -> REGISTER(forget_unregister, about, 0, FORGET_SENT)
		fi
	}
	fi;
FORGET_SENT:
	atomic {
		if
		:: wire == UNKNOWN && settling -> goto SETTLE_AGAIN
		:: wire == UNKNOWN && !settling -> RETURN(LUN_ERROR)
		:: else -> wire = 0; goto FORGOTTEN
		fi
	};
FORGOTTEN:
	atomic {
		set_unregistered();
		M.state = ACTIVE;
		M.fenced = 0;
		M.out = 0;
		M.in = 0;
		M.take_back = 0;
		M.in_registered = 0;
		M.in_done = 0;
		M.in_exact = 0;
		M.in_loaded = 0;
		M.pending = 0;
		conclude();
		if
		:: settling -> goto SETTLED
		:: else -> open_gate(); RETURN(OK)
		fi
	};

	/* The guest's own REGISTER, of another key: journalled as pending, not as a step. */
GUEST_REGISTER:
	if
	DIE
	:: atomic {
		M.pending = K2;
		d_step { save(me) };
		if
		:: MAY_CRASH -> CRASH
		:: true
		fi;
		lun_register(me, K, K2);
		if
		:: MAY_CRASH -> CRASH
		:: true
		fi;
		M.key = (wire == GOOD -> K2 : M.key);
		M.pending = 0;
		d_step { save(me) };
		RETURN(OK)
	}
	fi;
