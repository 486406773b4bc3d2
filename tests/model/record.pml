/* SPDX-License-Identifier: Apache-2.0 */
/* What handover*.c has in common: journal, step, probe, look. */

inline copy(dst, src) {
	dst.state = src.state;
	dst.key = src.key;
	dst.holder = src.holder;
	dst.fenced = src.fenced;
	dst.proven = src.proven;
	dst.out = src.out;
	dst.out_count = src.out_count;
	dst.out_saved = src.out_saved;
	dst.moved = src.moved;
	dst.take_back = src.take_back;
	dst.take_back_sent = src.take_back_sent;
	dst.in = src.in;
	dst.in_registered = src.in_registered;
	dst.in_loaded = src.in_loaded;
	dst.in_done = src.in_done;
	dst.in_ran = src.in_ran;
	dst.in_exact = src.in_exact;
	dst.in_added = src.in_added;
	dst.in_tried = src.in_tried;
	dst.in_moves = src.in_moves;
	dst.preparing = src.preparing;
	dst.pending = src.pending;
	dst.step = src.step
}

inline save(n) {
	copy(disk[n], mem[n])
}

/* handover_conclude */
inline conclude() {
	d_step {
		M.step = none;
		save(me)
	}
}

inline journal(name) {
	d_step {
		M.step = name;
#ifdef SENT_BEFORE_JOURNALLED
		skip
#else
		save(me)
#endif
	}
}

inline set_unregistered() {
	M.key = 0;
	M.holder = 0
}

inline set_fenced() {
	set_unregistered();
	M.fenced = 1;
	CHECK(ALARM, fence)
}

inline open_gate() {
	d_step {
		gate[me] = 1;
		watch()
	}
}

/* The line, from what the LUN shows. */
inline export_line(new_row) {
	d_step {
		lines++;
		line[lines].row = new_row;
		line[lines].key = (new_row == 1 && !M.fenced -> 0 : (M.key == K2 -> K2 : K));
		line[lines].fenced = new_row == 1 && M.fenced;
		line[lines].generation = (new_row == 1 -> 0 : gen);
		line[lines].count = (new_row == 1 -> 0 : COUNT(M.key));
		line[lines].id = (again -> OUT.id : lines);
		M.out_count = (!again || line[lines].count < M.out_count -> line[lines].count : M.out_count);
		M.out = lines;
		M.holder = new_row >= 3;
		M.take_back = 0;
		M.out_saved = QEMU;
		M.in_loaded = 0;
		M.moved = 0;
		M.state = EXPORTED;
		M.in_done = 0;
		M.in_ran = 1;
		M.step = none;
		import_ok = 0;
		import_fresh = 0
	}
}

/*
 * One command on the wire, journalled before: the host may die before the journal, between journal and wire, and behind the wire; the answer
 * may be lost, with the command or without. then: what follows, which ends with a goto.
 */
#define MAY_CRASH (!mistaken && crashes > 0 && phase == RUNNING)
#define MAY_LOSE (!mistaken && lost_answers > 0 && phase == RUNNING)
/* Who takes the answer (send.pml). */
#define AT_EXPORT_ANSWERED 1
#define AT_RELEASE_UNREGISTERED 2
#define AT_RELEASE_PROBED 3
#define AT_RELEASE_UNSURE 4
#define AT_ABORT_MOVED 5
#define AT_ABORT_PREEMPTED 6
#define AT_ABORT_BARRIER 7
#define AT_ABORT_PREEMPT_UNSURE 8
#define AT_ABORT_REGISTER_SENT 9
#define AT_ABORT_REGISTERED 10
#define AT_TAKE_BACK_SENT 11
#define AT_TAKE_BACK_PROVED 12
#define AT_UNDO_PROVED 13
#define AT_UNDO_SENT 14
#define AT_UNDO_UNSURE 15
#define AT_IMPORT_AGAIN 16
#define AT_IMPORT_MOVED 17
#define AT_IMPORT_REGISTER_SENT 18
#define AT_IMPORT_REGISTERED 19
#define AT_WENT_ON 20
#define AT_IMPORT_PREEMPTED 21
#define AT_IMPORT_PREEMPT_UNSURE 22
#define AT_SETTLE_IMPORT 23
#define AT_SETTLE_TAKE_BACK 24
#define AT_MOVE_FOUND_OUT 25
#define AT_MOVE_BACK_FOUND_OUT 26
#define AT_GUEST_SETTLE 27
#define AT_GUEST_OLD 28
#define AT_RESYNC_DOUBT 29
#define AT_FORGET_SENT 30
#define AT_CONFIRMED 31
#define AT_PREPARED 32
#define AT_PREPARE_DROPPED 33
#define AT_EXPORT_MOVED 34
#define AT_MOVED_BACK 35
#define CRASH SPEND(crashes); gate[me] = 0; call[me] = RESTART; goto CRASHED
#define DIE :: atomic { MAY_CRASH -> CRASH }
#define REGISTER(name, old, new, label) step = name; from = old; to = new; next = AT_##label; goto SEND
#define PREEMPT(name, whose, label) step = name; from = whose; to = whose; preempts = 1; next = AT_##label; goto SEND
/* handover_probe: the generation is read before; judge() is the first that label does. */
#define PROBE(name, whose, label) step = name; from = whose; to = whose; next = AT_##label; goto SEND_PROBE

/* Import fails: where nothing of it stands on the LUN, an active nexus is as before. */
#define NOT_TAKEN(r) \
	if \
	:: was_active && !M.in_registered && M.step == none -> M.state = ACTIVE; conclude(); open_gate() \
	:: else \
	fi; \
	RETURN(r)
/* handover_undo's callers */
#define FOR_IMPORT 1
#define FOR_NOTHING 2 /* a line of row 1 */
#define FOR_ABORT 3
#define FOR_SETTLE 4
#define FOR_SETTLE_OUT 5
#define FOR_TAKE_BACK 6
#define FOR_AUTOMATIC 7
#define FOR_RELEASE 8
#define FOR_EXPORT 9
/* settling */
#define AT_OPEN 1
#define BEFORE_A_CALL 2

/* elsewhere: K is on another nexus; it is nowhere after a fence. */
#define LOSE_REGISTRATION(elsewhere) \
	if \
	:: M.in_registered -> M.in_registered = 0; M.in_exact = 0; M.in_moves = 0 \
	:: !M.in_registered && (elsewhere) && M.in_done && !M.in_ran && IN.key == M.key -> \
		gate[me] = 0; \
		set_unregistered(); \
		M.state = INCOMING; \
		M.in_done = 0; \
		M.in_loaded = 0; \
		M.in = 0 \
	:: else -> set_fenced() \
	fi; \
	d_step { save(me) }

#define YES 1
#define NO 2
#define UNSURE 3

/* READ KEYS after the probe's REGISTER. */
inline judge(whose) {
	d_step {
		meet(me);
		if
		:: wire == GOOD -> proven = YES
		:: wire == CONFLICT -> proven = NO
		:: wire == UNKNOWN && gen == before[me] + 1 && COUNT(whose) > 0 ->
			proven = YES;
			mistaken = X_STEPS > 0 && key[me] != whose
		:: wire == UNKNOWN && COUNT(whose) == 0 -> proven = NO
		:: else -> proven = UNSURE
		fi;
		if
		/* What came between may have ended it: the proof is of no generation that is known. */
		:: proven == YES && gen == before[me] + 1 -> M.proven = gen
		:: else
		fi;
		wire = 0;
		before[me] = 0
	}
}

inline forget_locals() {
	d_step {
		wire = 0;
		proven = 0;
		before[me] = 0;
		seen[me] = 0;
		l = 0;
		old_key = 0;
		force = 0;
		again = 0;
		inexact = 0;
		sole = 0;
		held = 0;
		sent_good = 0;
		many = 0;
		was_active = 0;
		automatic = 0;
		reset_seen = 0;
		settling = 0;
		about = 0;
		undo_for = 0;
		may_have = 0;
		holds = 0;
		failing = 0;
		drop_for = 0;
		step = none;
		from = 0;
		to = 0;
		next = 0;
		preempts = 0;
		moves = 0;
		result = 0
	}
}

/* READ KEYS and READ RESERVATION, of one generation (handover_look). */
inline look(whose) {
	d_step {
		meet(me);
		sole = SOLE_HOLDER(whose);
		held = HOLDER_KEY(whose);
		many = COUNT(whose) > 1
	}
}
