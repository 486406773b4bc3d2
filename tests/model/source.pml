/* SPDX-License-Identifier: Apache-2.0 */
/* handover-export.c and handover-release.c. Part of proctype Side. */

/* Export from the active state failed: the guest goes on. */
#define EXPORT_FAILED(r) \
	if \
	:: again \
	:: else -> \
		M.state = ACTIVE; \
		conclude(); \
		guest_at = me; \
		open_gate() \
	fi; \
	RETURN(r)

EXPORT:
	atomic {
		if
		:: M.state == INCOMING || M.in_registered -> RETURN(WRONG_STATE)
		:: else
		fi;
#ifndef EXPORT_LEAVES_GATE_OPEN
		gate[me] = 0;
#endif
		again = M.state == EXPORTED;
		if
		:: guest_at == me -> guest_at = X
		:: else
		fi;
		if
		:: again && M.take_back -> goto EXPORT_DROP_TAKE_BACK
		:: else -> goto EXPORT_TERMS
		fi
	};

	/* handover_drop_take_back */
EXPORT_DROP_TAKE_BACK:
	if
	DIE
	:: atomic {
		look(OUT.key);
		if
		:: many && late_key && key[X] == K -> goto LIMIT_REACHED
		:: (many || sole) && !(many && late_key && key[X] == K) -> goto EXPORT_TERMS
		:: else -> about = OUT.key; undo_for = FOR_EXPORT; goto UNDO
		fi
	}
	fi;
EXPORT_DROPPED:
	if
	DIE
	:: atomic {
		true;
		if
		:: holds -> goto EXPORT_TERMS
		:: else -> M.take_back = 0
		fi;
		meet(me);
		if
		:: COUNT(OUT.key) == 0 -> set_fenced()
		:: else
		fi;
		conclude();
		goto EXPORT_TERMS
	}
	fi;

EXPORT_TERMS:
	if
	DIE
	:: atomic {
		about = 0;
		undo_for = 0;
		holds = 0;
		sole = 0;
		held = 0;
		many = 0;
		if
		:: again && M.moved && COUNT(OUT.key) == 0 -> RETURN(IS_FENCED)
		:: again && M.moved && COUNT(OUT.key) > 0 -> RETURN(OK)
		:: else
		fi;
		if
		:: M.key == 0 -> export_line(1); conclude(); RETURN(OK)
		:: else
		fi;
#ifdef NO_BARRIER
		goto EXPORT_LOOK
#else
		before[me] = gen;
		REGISTER(export_barrier, M.key, M.key, EXPORT_ANSWERED)
#endif
	}
	fi;
EXPORT_ANSWERED:
	if
	DIE
	:: atomic {
		inexact = gen != before[me] + 1;
		judge(M.key);
		if
		:: proven == UNSURE -> EXPORT_FAILED(LUN_ERROR)
#ifndef EXPORT_AGAIN_IS_FENCED
		:: proven == NO && again && COUNT(M.key) > 0 -> RETURN(WRONG_STATE)
		:: proven == NO && !(again && COUNT(M.key) > 0) ->
			set_fenced();
			export_line(1);
			conclude();
			RETURN(OK)
#else
		:: proven == NO -> set_fenced(); export_line(1); conclude(); RETURN(OK)
#endif
		:: proven == YES && !inexact -> seen[me] = gen; goto EXPORT_LOOK
		:: proven == YES && inexact -> inexact = 0; proven = 0; goto EXPORT_TERMS
		/* Its attempts, or its time, are used up. */
		:: proven == YES && inexact -> EXPORT_FAILED(STALE)
		fi
	}
	fi;
EXPORT_LOOK:
	if
	DIE
	:: atomic {
		meet(me);
		proven = 0;
		if
#ifndef NO_BARRIER
		:: gen != seen[me] || COUNT(M.key) == 0 -> seen[me] = 0; goto EXPORT_TERMS
		:: gen != seen[me] || COUNT(M.key) == 0 -> EXPORT_FAILED(STALE)
#endif
		:: else ->
			if
			:: res == ALL_REGISTRANTS -> export_line(4)
			/* The key may be another's too: then the record tells (a LUN without READ FULL STATUS). */
			:: HOLDER_KEY(M.key) && (COUNT(M.key) == 1 || M.holder) -> export_line(3)
			:: else -> export_line(2)
			fi;
#if MOVE
			if
			:: OUT.row == 3 && OUT.count > 1 && res == me + 1 -> goto EXPORT_MOVE
			:: else
			fi;
#endif
			conclude();
			RETURN(OK)
		fi
	}
	fi;

/* The guest has ended here. */
#define RELEASED \
	set_unregistered(); \
	M.fenced = 0; \
	M.take_back = 0; \
	M.state = ACTIVE; \
	conclude(); \
	gate[me] = 1; \
	if \
	:: settling -> goto SETTLED \
	:: else -> RETURN(OK) \
	fi
/* handover_drop_exported has nothing left to do; for Import of row 1, too. */
#define DROPPED \
	if \
	:: drop_for == FOR_IMPORT -> drop_for = 0; goto IMPORT_NOTHING \
	:: else -> RELEASED \
	fi
#define NOT_DROPPED(r) \
	if \
	:: settling && r == WRONG_STATE -> conclude(); goto SETTLED \
	:: settling && r != WRONG_STATE -> goto SETTLE_AGAIN \
	:: !settling && drop_for == FOR_IMPORT -> NOT_TAKEN(r) \
	:: else -> finishing = finishing && r != WRONG_STATE; RETURN(r) \
	fi
#define RELEASE_FORCED (force || settling || drop_for == FOR_IMPORT)

RELEASE:
	if
	DIE
	:: atomic {
		true;
		if
		:: M.state != EXPORTED ->
			if
			:: settling -> RELEASED
			:: !settling && M.state == ACTIVE && M.key == 0 -> RETURN(OK)
			:: else -> NOT_DROPPED(WRONG_STATE)
			fi
		:: M.state == EXPORTED && M.in_registered && !settling -> NOT_DROPPED(WRONG_STATE)
		:: else -> goto DROP_EXPORTED
		fi
	}
	fi;

#define IMPORTED_ROWS_2_4 (COUNT(OUT.key) > M.out_count)
DROP_EXPORTED:
	if
	DIE
	:: atomic {
		meet(me);
		if
		:: OUT.row == 1 -> DROPPED
#ifdef RELEASE_BEFORE_IMPORT
		:: OUT.row != 1 -> REGISTER(release_unregister, OUT.key, 0, RELEASE_UNREGISTERED)
#endif
#ifdef RELEASE_WAITS_FOR_KEY
		/* Waits to see K at the destination. */
		:: OUT.row != 1 && (GUEST_KEY(me) && OUT.row != 3 && COUNT(OUT.key) <= M.out_count) -> NOT_DROPPED(WRONG_STATE)
		:: OUT.row == 3 && COUNT(OUT.key) != M.out_count -> NOT_DROPPED(WRONG_STATE)
#endif
		:: else
		fi;
		if
		:: COUNT(OUT.key) == 0 -> DROPPED
		:: else
		fi;
		if
		:: M.take_back && COUNT(OUT.key) > 1 ->
			/* An Abort that was begun is given up. */
			about = OUT.key;
			may_have = M.take_back_sent;
			undo_for = FOR_RELEASE;
			goto UNDO
		:: else
		fi;
		if
		:: gen == OUT.generation && !IMPORTED_ROWS_2_4 && (OUT.row == 3 || !RELEASE_FORCED) -> NOT_DROPPED(WRONG_STATE)
		:: else
		fi;
		if
		:: OUT.row == 3 || (!IMPORTED_ROWS_2_4 && !RELEASE_FORCED) || (OUT.row == 4 && TOTAL == 1) ->
			PROBE(release_probe, OUT.key, RELEASE_PROBED)
		:: else
		fi;
		/* A stranger that has registered the guest's own key since Export is not told from a destination. */
		if
		:: !RELEASE_FORCED && late_key && !GUEST_KEY(D) && !GUEST_KEY(SIDES - 1) -> goto LIMIT_REACHED
		:: else -> REGISTER(release_unregister, OUT.key, 0, RELEASE_UNREGISTERED)
		fi
	}
	fi;
RELEASE_PROBED:
	if
	DIE
	:: atomic {
		judge(OUT.key);
		if
		:: proven == UNSURE -> NOT_DROPPED(LUN_ERROR)
		:: proven == NO -> proven = 0; conclude(); DROPPED
		:: proven == YES -> proven = 0; conclude(); NOT_DROPPED(WRONG_STATE)
		fi
	}
	fi;
RELEASE_UNREGISTERED:
	atomic {
		if
		:: wire == UNKNOWN -> PROBE(release_unregister, OUT.key, RELEASE_UNSURE)
		:: else -> wire = 0; DROPPED
		fi
	};
RELEASE_UNSURE:
	if
	DIE
	:: atomic {
		judge(OUT.key);
		if
		:: proven == NO -> proven = 0; DROPPED
		:: else -> NOT_DROPPED(LUN_ERROR)
		fi
	}
	fi;
