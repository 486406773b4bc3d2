/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command on the wire, journalled before: the host may die before the journal, between journal and wire, and behind the wire; the answer
 * may be lost, with the command or without. Part of proctype Side; "next" says who takes the answer.
 */

SEND_PROBE:
	if
	DIE
	:: atomic { before[me] = gen; goto SEND }
	fi;
SEND:
	if
	DIE
	:: atomic {
		journal(step);
		if
		:: MAY_CRASH -> CRASH
		:: MAY_LOSE -> SPEND(lost_answers); wire = UNKNOWN
		:: true ->
			if
#if MOVE
			:: moves -> lun_move(me, from, 1 - me)
#endif
			:: preempts -> lun_preempt(me, from, from, me + 1)
			:: !preempts && !moves -> lun_register(me, from, to)
			fi;
			if
			:: MAY_CRASH -> CRASH
			:: MAY_LOSE -> SPEND(lost_answers); wire = UNKNOWN
			:: true
			fi
		fi;
		from = 0;
		to = 0;
		preempts = 0;
		moves = 0;
		step = none;
		d_step { proven = next; next = 0 };
		if
		:: proven == AT_EXPORT_ANSWERED -> proven = 0; goto EXPORT_ANSWERED
		:: proven == AT_RELEASE_UNREGISTERED -> proven = 0; goto RELEASE_UNREGISTERED
		:: proven == AT_RELEASE_PROBED -> proven = 0; goto RELEASE_PROBED
		:: proven == AT_RELEASE_UNSURE -> proven = 0; goto RELEASE_UNSURE
#if MOVE
		:: proven == AT_ABORT_MOVED -> proven = 0; goto ABORT_MOVED
#endif
		:: proven == AT_ABORT_PREEMPTED -> proven = 0; goto ABORT_PREEMPTED
		:: proven == AT_ABORT_BARRIER -> proven = 0; goto ABORT_BARRIER
		:: proven == AT_ABORT_PREEMPT_UNSURE -> proven = 0; goto ABORT_PREEMPT_UNSURE
		:: proven == AT_ABORT_REGISTER_SENT -> proven = 0; goto ABORT_REGISTER_SENT
		:: proven == AT_ABORT_REGISTERED -> proven = 0; goto ABORT_REGISTERED
		:: proven == AT_TAKE_BACK_SENT -> proven = 0; goto TAKE_BACK_SENT
		:: proven == AT_TAKE_BACK_PROVED -> proven = 0; goto TAKE_BACK_PROVED
		:: proven == AT_UNDO_PROVED -> proven = 0; goto UNDO_PROVED
		:: proven == AT_UNDO_SENT -> proven = 0; goto UNDO_SENT
		:: proven == AT_UNDO_UNSURE -> proven = 0; goto UNDO_UNSURE
		:: proven == AT_IMPORT_AGAIN -> proven = 0; goto IMPORT_AGAIN
#if MOVE
		:: proven == AT_IMPORT_MOVED -> proven = 0; goto IMPORT_MOVED
#endif
		:: proven == AT_IMPORT_REGISTER_SENT -> proven = 0; goto IMPORT_REGISTER_SENT
		:: proven == AT_IMPORT_REGISTERED -> proven = 0; goto IMPORT_REGISTERED
		:: proven == AT_WENT_ON -> proven = 0; goto WENT_ON
		:: proven == AT_IMPORT_PREEMPTED -> proven = 0; goto IMPORT_PREEMPTED
		:: proven == AT_IMPORT_PREEMPT_UNSURE -> proven = 0; goto IMPORT_PREEMPT_UNSURE
		:: proven == AT_SETTLE_IMPORT -> proven = 0; goto SETTLE_IMPORT
		:: proven == AT_SETTLE_TAKE_BACK -> proven = 0; goto SETTLE_TAKE_BACK
#if MOVE
		:: proven == AT_MOVE_FOUND_OUT -> proven = 0; goto MOVE_FOUND_OUT
#endif
#if MOVE
		:: proven == AT_MOVE_BACK_FOUND_OUT -> proven = 0; goto MOVE_BACK_FOUND_OUT
#endif
		:: proven == AT_GUEST_SETTLE -> proven = 0; goto GUEST_SETTLE
		:: proven == AT_GUEST_OLD -> proven = 0; goto GUEST_OLD
		:: proven == AT_RESYNC_DOUBT -> proven = 0; goto RESYNC_DOUBT
		:: proven == AT_FORGET_SENT -> proven = 0; goto FORGET_SENT
#if QEMU
		:: proven == AT_CONFIRMED -> proven = 0; goto CONFIRMED
#endif
#if MOVE
		:: proven == AT_PREPARED -> proven = 0; goto PREPARED
#endif
#if MOVE
		:: proven == AT_PREPARE_DROPPED -> proven = 0; goto PREPARE_DROPPED
#endif
#if MOVE
		:: proven == AT_EXPORT_MOVED -> proven = 0; goto EXPORT_MOVED
#endif
#if MOVE
		:: proven == AT_MOVED_BACK -> proven = 0; goto MOVED_BACK
#endif
		fi
	}
	fi;
