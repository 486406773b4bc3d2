/* SPDX-License-Identifier: Apache-2.0 */
/* handover-qemu.c: the guest's first write says where it runs. Part of proctype Side. */

	/* A write at a saved source: of the guest that runs here again, or of a program on the host. */
WRITES_AT_SOURCE:
	if
	DIE
	:: atomic {
#ifndef WRITE_MEANS_ABORT
		meet(me);
		if
		:: OUT.row != 1 && !M.take_back && COUNT(OUT.key) != 0 &&
			(COUNT(OUT.key) != M.out_count || (OUT.row == 3 && !HOLDER_KEY(OUT.key)) || (OUT.row == 4 && res != ALL_REGISTRANTS)) ->
			RETURN(WRONG_STATE)
		:: else
		fi;
#endif
		automatic = 1;
		goto ABORT_SOURCE
	}
	fi;

	/* The first write at a destination that has loaded. */
WRITES_AT_DESTINATION:
	atomic { PROBE(confirm_barrier, IN.key, CONFIRMED) };
CONFIRMED:
	if
	DIE
	:: atomic {
#ifdef ANY_K_CONFIRMS
		inexact = 0;
#else
		inexact = gen != before[me] + 1;
#endif
		judge(IN.key);
		if
		:: proven == UNSURE -> RETURN(LUN_ERROR)
		:: proven == YES && (IN.row != 3 || (!inexact && COUNT(IN.key) == 1)) ->
			M.in_loaded = 0;
			M.in_ran = 1;
			guest_at = me;
			conclude();
			open_gate();
			RETURN(OK)
		:: proven == YES && IN.row == 3 && (inexact || COUNT(IN.key) != 1) -> conclude(); RETURN(WRONG_STATE)
		:: proven == NO && COUNT(IN.key) == 0 ->
			set_fenced();
			M.in_loaded = 0;
			conclude();
			open_gate();
			RETURN(OK)
		:: proven == NO && COUNT(IN.key) > 0 ->
			set_unregistered();
			M.state = INCOMING;
			M.in_loaded = 0;
			M.in_done = 0;
			M.in = 0;
			conclude();
			RETURN(WRONG_STATE)
		fi
	}
	fi;
