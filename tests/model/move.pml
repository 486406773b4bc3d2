/* SPDX-License-Identifier: Apache-2.0 */
/* handover-move.c: REGISTER AND MOVE, on a LUN that has READ FULL STATUS. Part of proctype Side. */

	/* Prepare: who is this nexus? */
PREPARE:
	if
	DIE
	:: atomic {
		true;
		if
		:: M.in_registered || M.key != 0 || M.state == EXPORTED -> RETURN(WRONG_STATE)
		:: else -> REGISTER(prepare_register, 0, KP, PREPARED)
		fi
	}
	fi;
PREPARED:
	atomic {
		if
		:: wire == CONFLICT -> conclude(); RETURN(WRONG_STATE)
		:: else -> prepared = key[me] == KP; wire = 0; goto PREPARE_DROP
		fi
	};
PREPARE_DROP:
	atomic { REGISTER(prepare_unregister, KP, 0, PREPARE_DROPPED) };
PREPARE_DROPPED:
	if
	DIE
	:: atomic {
		true;
		if
		:: wire == UNKNOWN && COUNT(KP) != 0 ->
			if
			:: settling -> goto SETTLE_AGAIN
			:: else -> RETURN(LUN_ERROR)
			fi
		:: else -> wire = 0; conclude()
		fi;
		if
		:: settling -> goto SETTLED
		:: else -> RETURN(OK)
		fi
	}
	fi;

	/* Export, where the key is another's too */
EXPORT_MOVE:
	if
	DIE
	:: atomic {
		true;
		if
		:: prepared && res == me + 1 -> moves = 1; REGISTER(export_move, OUT.key, OUT.key, EXPORT_MOVED)
		:: else -> conclude(); RETURN(OK)
		fi
	}
	fi;
EXPORT_MOVED:
	atomic {
		if
		:: wire == UNKNOWN -> PROBE(export_move, OUT.key, MOVE_FOUND_OUT)
		:: else ->
			M.moved = wire == GOOD;
			OUT.moved = M.moved;
			conclude();
			RETURN(OK)
		fi
	};
	/* It is done when this nexus is unregistered and the destination is there. */
MOVE_FOUND_OUT:
	if
	DIE
	:: atomic {
		judge(OUT.key);
		if
		:: proven == UNSURE && settling -> proven = 0; goto SETTLE_AGAIN
		:: proven == UNSURE && !settling -> RETURN(LUN_ERROR)
		:: else
		fi;
		M.moved = proven == NO && key[D] == OUT.key;
		OUT.moved = M.moved;
		conclude();
		if
		:: settling -> goto SETTLED
		:: else -> RETURN(OK)
		fi
	}
	fi;

IMPORT_MOVED:
	if
	DIE
	:: atomic {
		judge(IN.key);
		if
		:: proven == UNSURE -> NOT_TAKEN(LUN_ERROR)
		:: else -> M.in_registered = proven == YES; proven = 0; conclude(); goto IMPORT_MOVED_LOOK
		fi
	}
	fi;
IMPORT_MOVED_LOOK:
	if
	DIE
	:: atomic {
		look(IN.key);
		if
		:: M.in_registered && held -> goto IMPORTED
		:: !M.in_registered && held -> NOT_TAKEN(WRONG_STATE)
		:: else -> NOT_TAKEN(IS_FENCED)
		fi
	}
	fi;

MOVE_BACK:
	atomic { moves = 1; REGISTER(abort_move, IN.key, IN.key, MOVED_BACK) };
MOVED_BACK:
	if
	DIE
	:: atomic {
		M.in_registered = 0;
		if
		:: wire != GOOD -> PROBE(abort_move, IN.key, MOVE_BACK_FOUND_OUT)
		:: else -> M.in = 0; conclude(); RETURN(OK)
		fi
	}
	fi;
MOVE_BACK_FOUND_OUT:
	if
	DIE
	:: atomic {
		judge(IN.key);
		if
		:: proven == UNSURE && settling -> proven = 0; goto SETTLE_AGAIN
		:: proven == UNSURE && !settling -> RETURN(LUN_ERROR)
		:: else -> M.in_registered = proven == YES; conclude()
		fi;
		if
		:: settling -> goto SETTLED
		:: !settling && M.in_registered -> RETURN(LUN_ERROR)
		:: else -> M.in = 0; conclude(); RETURN(OK)
		fi
	}
	fi;

ABORT_MOVED:
	if
	DIE
	:: atomic {
		judge(OUT.key);
		if
		:: proven == UNSURE -> RETURN(LUN_ERROR)
		:: proven == YES -> M.moved = 0; REOPENED
		:: else -> proven = 0; conclude()
		fi;
		if
		:: key[D] != OUT.key -> FENCED_AT_SOURCE
		:: else -> RETURN(WRONG_STATE)
		fi
	}
	fi;
