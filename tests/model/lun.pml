/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LUN: registrations, reservation, PRGENERATION, and the commands of SPC-4 that change them, each one step. Nexuses 0 to X - 1 are prmig's,
 * X is the adversary's. PRGENERATION never wraps here: the bounds keep it below 256.
 */

#define FREE 0		    /* nobody holds; 1 to X + 1: nexus res - 1 holds, type T */
#define ALL_REGISTRANTS 9   /* types 7 and 8 */

byte key[NEXUSES];
unsigned res : 4;
/*
 * Only differences of PRGENERATION matter, and only small ones: where it cannot fall back, it stands still instead, and what is remembered of it grows
 * older. 0: so old that nothing that follows from it can come true.
 */
#if RESETS
byte gen = GENERATION;
/* Where PRGENERATION may come back to what it was: only between an Import's check and its REGISTER; later lines age. */
#define MAY_RESET (GENERATION > 20 || (mem[D].in_added && !mem[D].in_registered))
#else
#define NOW 8
#define gen NOW
#endif
byte before[SIDES]; /* before a probe */
byte seen[SIDES];   /* when the LUN was last looked at */

/* A unit attention waits for the nexus: 29h (power on, reset), or 2Ah (its registration was taken). */
bit reset_pending[SIDES];
bit told[SIDES];

/* ---- what the assertions need to know, and no nexus does ---- */

bit fence; /* the adversary has removed the guest's registration */
bit late_key; /* the adversary has registered K since an Export */
unsigned guest_at : 2 = S; /* where the guest runs; X: nowhere, it is paused */
bit hit;  /* scratch */

#if SIDES == 3
#define COUNT(k) ((key[0] == k) + (key[1] == k) + (key[2] == k) + (key[3] == k))
#define GUESTS (GUEST_KEY(0) || GUEST_KEY(1) || GUEST_KEY(2))
#else
#define COUNT(k) ((key[0] == k) + (key[1] == k) + (key[2] == k))
#define GUESTS (GUEST_KEY(0) || GUEST_KEY(1))
#endif
#define TOTAL (NEXUSES - COUNT(0))
#define HELD_BY_ONE (res != FREE && res != ALL_REGISTRANTS)
#define HOLDER_KEY(k) (HELD_BY_ONE && key[(HELD_BY_ONE -> res - 1 : 0)] == k)
/* handover_view_sole_holder: row 3 is of type T alone */
#define SOLE_HOLDER(k) (HOLDER_KEY(k) && COUNT(k) == 1)
#define GUEST_KEY(n) (key[n] == K || key[n] == K2)
/* The guest's writes pass here, as far as its cluster is concerned. */
#define DOOR(n) (gate[n] && GUEST_KEY(n))

#define OK_TWO_DOORS (!(DOOR(0) && DOOR(1)) && (SIDES < 3 || !((DOOR(0) || DOOR(1)) && DOOR(SIDES - 1))))
#define OK_FENCE (!fence || !(DOOR(0) || DOOR(1) || DOOR(SIDES - 1)))

/* Of a stranger that took over with type 7 or 8 and has gone: the late REGISTER's undo frees what it left. */
#define LEFT_BEHIND (fence && key[X] == 0)

/* After whatever opens a gate or changes a registration. */
inline watch() {
	CHECK(DOORS, OK_TWO_DOORS);
	CHECK(FENCE, OK_FENCE);
#ifdef HOLDER_LEFT_IS_CHECKED
	CHECK(HOLDER_LEFT, !(fence && res == ALL_REGISTRANTS && GUEST_KEY(D) && !gate[D]));
#endif
	CHECK(LOST, fence || GUESTS)
}

#define OLDER(what) what = (what > 0 -> what - 1 : 0)
inline tick() {
#if RESETS
	gen++
#else
	before[0] = (before[0] == NOW -> NOW - 1 : 0);
	before[1] = (before[1] == NOW -> NOW - 1 : 0);
	seen[0] = 0;
	seen[1] = 0;
	mem[0].proven = 0;
	mem[1].proven = 0;
	disk[0].proven = 0;
	disk[1].proven = 0;
#if SIDES == 3
	before[2] = (before[2] == NOW -> NOW - 1 : 0);
	seen[2] = 0;
	mem[2].proven = 0;
	disk[2].proven = 0;
#endif
	OLDER(line[1].generation);
	OLDER(line[2].generation)
#if LINES > 1
	;
	OLDER(line[3].generation)
#endif
#if LINES > 2
	;
	OLDER(line[4].generation)
#endif
#endif
}

inline meet(n) {
	d_step {
		if
		:: n < X && reset_pending[n] -> reset_pending[n] = 0; reset_seen = 1
		:: else
		fi
	}
}

inline lun_register(n, rk, sark) {
	d_step {
		meet(n);
		if
		:: key[n] != rk -> wire = CONFLICT
		:: else ->
			if
			:: (sark) == 0 ->
				hit = res != FREE;
				key[n] = 0;
				if
				:: res == n + 1 || (res == ALL_REGISTRANTS && TOTAL == 0) ->
					res = FREE;
					CHECK(GAP, n == X || !hit || LEFT_BEHIND)
				:: else
				fi;
				hit = 0
			:: else -> key[n] = sark
			fi;
			tick();
			wire = GOOD;
			watch()
		fi
	}
}

/* n's command removes i's registration. */
inline remove(n, i) {
	if
	:: n != X && i != X ->
		/* Nobody takes it from a guest that runs. */
		CHECK(ROBBED, guest_at != i)
	:: n == X && i != X && GUEST_KEY(i) -> fence = 1
	:: else
	fi;
	key[i] = 0;
	if
	:: i != X && i != n -> told[i] = 1
	:: else
	fi
}

inline remove_key(n, i, sark) {
	if
	:: i != n && key[i] == (sark) -> remove(n, i)
	:: else
	fi
}

/* to: n + 1, or ALL_REGISTRANTS. PREEMPT AND ABORT does the same to all that stands here. */
inline lun_preempt(n, rk, sark, to) {
	d_step {
		meet(n);
		if
		:: key[n] == 0 || key[n] != rk || COUNT(sark) == 0 -> wire = CONFLICT
		:: else ->
			hit = HOLDER_KEY(sark);
			remove_key(n, 0, sark);
			remove_key(n, 1, sark);
			remove_key(n, 2, sark);
#if SIDES == 3
			remove_key(n, 3, sark);
#endif
			if
			:: hit -> res = to
			/* "If no reservation holder has that key": the sender's own registration too. LIO, SCST and tgt keep it with types 7 and 8. */
			:: !hit && key[n] == (sark) && res != ALL_REGISTRANTS -> remove(n, n)
			:: else
			fi;
			hit = 0;
			tick();
			wire = GOOD;
			watch()
		fi
	}
}

#if MOVE
/* REGISTER AND MOVE with UNREG. */
inline lun_move(n, rk, dest) {
	d_step {
		meet(n);
		if
		:: key[n] != rk || res != n + 1 -> wire = CONFLICT
		:: else ->
			key[dest] = rk;
			res = dest + 1;
			key[n] = 0;
			tick();
			wire = GOOD;
			watch()
		fi
	}
}
#endif

/* Types 7 and 8: PREEMPT of key 0 is of all others. The adversary's. */
inline lun_preempt_all(n, to) {
	d_step {
		remove_key(n, 0, key[0]);
		remove_key(n, 1, key[1]);
#if SIDES == 3
		remove_key(n, 2, key[2]);
#endif
		res = to;
		tick()
	}
}

inline lun_clear() {
	d_step {
		remove_key(X, 0, key[0]);
		remove_key(X, 1, key[1]);
#if SIDES == 3
		remove_key(X, 2, key[2]);
#endif
		key[X] = 0;
		res = FREE;
		tick()
	}
}

#if RESETS
/* Registrations and reservation outlast it (APTPL); PRGENERATION does not. */
inline lun_reset() {
	d_step {
		gen = 0;
		line[1].aged = lines > 0;
#if LINES > 1
		line[2].aged = lines > 1;
#endif
#if LINES > 2
		line[3].aged = lines > 2;
#endif
		reset_pending[0] = 1;
		reset_pending[1] = 1;
		reset_pending[SIDES - 1] = 1
	}
}
#endif
