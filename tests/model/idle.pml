/* SPDX-License-Identifier: Apache-2.0 */
/* A nexus between calls: what may happen to it next. Part of proctype Side. */

/* A guest that the LUN shuts out, though it is registered as far as prmig knows, raises doubt; so does a unit attention. */
#define RESYNC_KEY (M.in_registered -> IN.key : M.key)
#define DOUBT (told[me] || (gate[me] && guest_at == me && key[me] == 0 && res != FREE))
#define RESYNC_MATTERS (told[me] || DOUBT || (M.state != EXPORTED && COUNT(RESYNC_KEY) == 0))

#define CALL(c) calls = (CALLS == 0 -> 0 : calls - 1); call[me] = c; unanswered[me] = unanswered[me] || c == IMPORT_CALL || c == ABORT_CALL
#define NOT_ABOUT(n) (call[n] == 0)
/* The end of a call. In the last state line's words: what a fence has removed does not stay. */
#define RETURN(r) result = r; goto RETURNED

#define BEGIN_CALL \
	if \
	:: M.step == none -> goto CALLED \
	:: else -> settling = BEFORE_A_CALL; goto SETTLE \
	fi
/* The exporter's own line means Abort, and stands below. */
#define NOT_OWN(n) !(M.state == EXPORTED && OUT.id == line[n].id)
#define IS_ABORT import_ok = 0; import_fresh = 0; aborting[me] = 1

end_idle:
	if
	DIE
	:: atomic { MAY_CALL && IS_SOURCE && lines < LINES && (M.state == EXPORTED || guest_at == me) &&
		(NOT_OLDER || M.state == ACTIVE) ->
		CALL(EXPORT_CALL); import_fresh = 0; BEGIN_CALL }
	:: atomic { MAY_CALL && IS_SOURCE && MAY_RELEASE && M.state == EXPORTED ->
		CALL(RELEASE_CALL); finishing = 1; BEGIN_CALL }
	:: atomic { MAY_CALL && IS_SOURCE && MAY_RELEASE && M.state == EXPORTED && import_ok ->
		CALL(RELEASE_CALL); finishing = 1; force = 1; BEGIN_CALL }
	:: atomic { MAY_CALL && MAY_ABORT && lines > 0 && (M.state != ACTIVE || M.in_done || M.in_registered) ->
		CALL(ABORT_CALL); IS_ABORT; BEGIN_CALL }
	:: atomic { MAY_CALL && MAY_IMPORT && IS_DESTINATION && lines > 0 && NOT_OWN(1) ->
		CALL(IMPORT_CALL); import_fresh = !ABORTING; l = 1; BEGIN_CALL }
	:: atomic { MAY_CALL && MAY_IMPORT && IS_DESTINATION && lines > 1 && NOT_OWN(2) ->
		CALL(IMPORT_CALL); import_fresh = !ABORTING; l = 2; BEGIN_CALL }
	:: atomic { MAY_CALL && MAY_IMPORT && IS_DESTINATION && lines > 2 && NOT_OWN(3) ->
		CALL(IMPORT_CALL); import_fresh = !ABORTING; l = 3; BEGIN_CALL }
	/* The exporter's own line: Abort. */
	:: atomic { MAY_CALL && me == S && M.state == EXPORTED && MAY_ABORT ->
		CALL(ABORT_CALL); IS_ABORT; l = M.out; BEGIN_CALL }
#if !QEMU
	/* The guest is let run at the destination. */
	:: atomic { phase == RUNNING && gate[me] && M.in_done && !M.in_ran && guest_at == X && import_ok && !ABORTING &&
		!AT_OTHERS(ABORT_CALL) && !AT_OTHERS(EXPORT_CALL) ->
		M.in_ran = 1; d_step { save(me) }; guest_at = me;
#if GUEST
		ran = me != S;
#endif
		goto end_idle }
#else
	:: atomic { MAY_CALL && me == S && M.state == EXPORTED && M.out_saved -> CALL(WRITE_CALL); BEGIN_CALL }
	:: atomic { MAY_CALL && me != S && M.state == ACTIVE && M.in_loaded && guest_at == X -> CALL(WRITE_CALL); BEGIN_CALL }
#endif
	/* The timer; and what a unit attention or a RESERVATION CONFLICT of the guest says. */
	:: atomic { phase == RUNNING && (M.key != 0 || M.in_registered) && RESYNC_MATTERS ->
		call[me] = RESYNC_CALL; goto RESYNC }
#if MOVE
	:: atomic { MAY_CALL && me == D && lines == 0 -> CALL(PREPARE_CALL); BEGIN_CALL }
#endif
#if GUEST
	:: atomic { MAY_CALL && guest_at == me && me != S && M.key == K && gate[me] ->
		CALL(WRITE_CALL); goto GUEST_REGISTER }
	:: atomic { MAY_CALL && me == D && M.state == INCOMING && MAY_ABORT && key[S] == K ->
		CALL(FORGET_CALL); BEGIN_CALL }
#endif
	:: atomic { phase == 1 && want[me] != 0 ->
		call[me] = want[me];
		want[me] = 0;
		l = (call[me] == IMPORT_CALL -> want_line : 0);
		force = want_force;
		if
		:: call[me] == RESYNC_CALL -> goto RESYNC
		:: call[me] == IMPORT_CALL -> import_fresh = 1; BEGIN_CALL
		:: else -> BEGIN_CALL
		fi }
	fi;

CALLED:
	atomic {
		if
		:: l != 0 -> goto IMPORT
		:: l == 0 && call[me] == EXPORT_CALL -> goto EXPORT
		:: l == 0 && call[me] == RELEASE_CALL -> goto RELEASE
		:: l == 0 && call[me] == ABORT_CALL -> goto ABORT
#if GUEST
		:: l == 0 && call[me] == FORGET_CALL -> goto FORGET
#endif
#if QEMU
		:: call[me] == WRITE_CALL && M.state == EXPORTED -> goto WRITES_AT_SOURCE
		:: call[me] == WRITE_CALL && M.state == ACTIVE && M.in_loaded -> goto WRITES_AT_DESTINATION
		:: call[me] == WRITE_CALL && M.state != EXPORTED && !(M.state == ACTIVE && M.in_loaded) -> RETURN(WRONG_STATE)
#endif
#if MOVE
		:: call[me] == PREPARE_CALL -> goto PREPARE
#endif
		fi
	};

	/* A stranger has registered the guest's own key since Export, and is not told from the destination (the LUN shows keys, not whose). */
LIMIT_REACHED:
	answer = LIMIT;
end_limit:
	false;

	/* The end of a call: what a fence has removed does not stay. */
RETURNED:
	atomic {
		CHECK(LEFT, !fence || !GUEST_KEY(me) || result == HOLDS || call[me] == RESTART || result == LUN_ERROR ||
			    ((result == WRONG_STATE || result == STALE || call[me] == RESYNC_CALL) && (M.in_registered || M.take_back)) ||
			    (res == ALL_REGISTRANTS && TOTAL == 1 && !gate[me]));
		aborting[me] = aborting[me] && !(call[me] == ABORT_CALL && result != LUN_ERROR);
		unanswered[me] = unanswered[me] && ((call[me] != IMPORT_CALL && call[me] != ABORT_CALL) || result == LUN_ERROR);
		answer = (phase == RUNNING -> 0 : result);
		call[me] = 0;
		forget_locals();
		goto end_idle
	};
