/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the hand-over share; for handover*.c alone. */
#ifndef PRMIG_HANDOVER_INTERNAL_H
#define PRMIG_HANDOVER_INTERNAL_H

#include "handover.h"

/* record->in_moves: unknown. */
#define HANDOVER_NEVER_EXACT (UINT32_MAX / 2)

/* Sets the message and returns error. */
enum nexus_error handover_fail(struct handover *handover, enum nexus_error error,
			       const char *format, ...) __attribute__((format(printf, 3, 4)));
/* NEXUS_ERROR_LUN with what the LUN answered, or Timeout. */
enum nexus_error handover_fail_lun(struct handover *handover, const char *doing);

/* Saves the record; NEXUS_ERROR_LUN with a message when that fails. */
enum nexus_error handover_save(struct handover *handover);

/*
 * One step on the wire: journalled, sent. The record still names the step when this returns: the caller puts the outcome into
 * the record and calls handover_conclude. *ret_wire is set on NEXUS_OK only.
 */
enum nexus_error handover_step(struct handover *handover, enum record_step step,
			       const struct pr_out *out, enum handover_wire *ret_wire);
/* The same for REGISTER AND MOVE of K to port, this nexus being unregistered. */
enum nexus_error handover_move(struct handover *handover, enum record_step step, uint64_t key,
			       const struct record_port *port, enum handover_wire *ret_wire);
/* A moved hand-over. */
enum nexus_error handover_import_moved(struct handover *handover, const struct state_line *line);
enum nexus_error handover_abort_moved_source(struct handover *handover);
enum nexus_error handover_move_back(struct handover *handover);
/* Export's REGISTER AND MOVE, after the terms are found. Where the LUN cannot, nothing changes and NEXUS_OK is returned. */
enum nexus_error handover_export_move(struct handover *handover,
				      const struct record_port *destination);
/* Found at open: was it moved? */
enum nexus_error handover_settle_move(struct handover *handover);
enum nexus_error handover_settle_prepare(struct handover *handover);
enum nexus_error handover_reopened(struct handover *handover);
enum nexus_error handover_fenced_at_source(struct handover *handover);

/* A step that is no PERSISTENT RESERVE OUT: journalled. */
enum nexus_error handover_begin_step(struct handover *handover, enum record_step step);

/* The step is over: RECORD_STEP_NONE, saved. */
enum nexus_error handover_conclude(struct handover *handover);

/* REGISTER (key -> new_key) with the APTPL bit as REPORT CAPABILITIES shows PTPL_A just before (the last REGISTER decides for the whole cluster). */
enum nexus_error handover_register(struct handover *handover, enum record_step step, uint64_t key,
				   uint64_t new_key, enum handover_wire *ret_wire);

/* What READ KEYS and READ RESERVATION, of one generation, show. */
struct handover_view {
	struct pr_keys keys;
	struct pr_reservation reservation;
};
enum nexus_error handover_look(struct handover *handover, uint64_t key,
			       struct handover_view *ret_view);
/* View: the reservation is of this key and type, and the key is listed once. */
bool handover_view_sole_holder(const struct handover_view *view, uint64_t key, uint8_t type);

/*
 * Is this nexus registered with key? REGISTER (key -> key): GOOD proves it, RESERVATION CONFLICT disproves it, and where the LUN's answer cannot be
 * trusted PRGENERATION decides. Harms nothing; moves the generation by one when registered (*ret_moved says by how much it moved).
 */
enum nexus_error handover_probe(struct handover *handover, enum record_step step, uint64_t key,
				bool *ret_registered, uint32_t *ret_moved,
				struct pr_keys *ret_after);

/* After a proof of registration: which TransportID this nexus has on the LUN, where READ FULL STATUS tells. */
void handover_learn_transport_id(struct handover *handover, uint64_t key);

/*
 * Takes into memory whether this nexus, registered with key, holds the reservation. With the key listed more than once
 * the LUN does not tell, and what this nexus did itself is trusted.
 */
void handover_note_holder(struct record *record, uint64_t key, const struct handover_view *view);

/* The nexus has lost its registration to another initiator. */
void handover_set_fenced(struct record *record, uint64_t key);
void handover_set_unregistered(struct record *record);

/* Whether the line is of the hand-over with these terms. */
bool handover_same(const struct record_terms *terms, const struct state_line *line);
/* Design section 7, "Import is taken by"; line NULL: any. */
enum nexus_error handover_check_state(struct handover *handover, const struct state_line *line,
				      bool force);
/* The line itself: LUN and age. */
enum nexus_error handover_check_line(struct handover *handover, const struct state_line *line,
				     bool force);
/*
 * Invariant 4: is K, as Export counted it, on a nexus that is neither the source, nor this one (stands_here), nor one that
 * this guest has used before? Without READ FULL STATUS the number alone tells.
 */
bool handover_strangers_share_key(struct handover *handover, const struct state_line *line,
				  bool stands_here);
enum nexus_error handover_fail_key_shared(struct handover *handover,
					  const struct record_terms *terms);
/* keys: of the LUN without this nexus's own; Fenced when K is in none of them, else Stale. */
enum nexus_error handover_fail_stale(struct handover *handover, const struct record_terms *terms,
				     const struct pr_keys *keys, uint32_t expected);

/*
 * Rows 2 to 4 of Import: NEXUS_OK: record->in's registration and reservation are here. old_key: what an older hand-over may have left
 * registered here.
 */
enum nexus_error handover_import_registration(struct handover *handover,
					      const struct state_line *line, uint64_t old_key);
/* K stands here as far as an earlier call of this Import knows. *ret_done: that was all, or the error is final. */
enum nexus_error handover_import_go_on(struct handover *handover, const struct state_line *line,
				       bool *ret_done);
/* Import has not succeeded and its REGISTER must not stay. Keeps error and its message, unless the undo itself fails. */
enum nexus_error handover_import_undo(struct handover *handover, enum nexus_error error);

enum nexus_error handover_abort_source(struct handover *handover, bool force);
/* Rows 2 and 4, and row 3 with a key that is a stranger's too (which nobody may PREEMPT). */
enum nexus_error handover_abort_by_barrier(struct handover *handover, bool force);
/* Where the LUN tells: the reservation is the Prepared destination's. */
bool handover_destination_holds(struct handover *handover);

/* One that is led (struct nexus_part). Import: K is registered here; the leader's proof comes after that. */
enum nexus_error handover_import_led(struct handover *handover, uint64_t old_key);
/* Import, and the leader has lost K: what stands here goes. */
enum nexus_error handover_import_leader_lost(struct handover *handover,
					     const struct state_line *line);
enum nexus_error handover_abort_led(struct handover *handover, bool force);

/* Registers K here, in place of old_key. NEXUS_OK: it stands, and record->in_moves counts what that moved PRGENERATION by. */
enum nexus_error handover_register_here(struct handover *handover, uint64_t old_key);

/*
 * Release without its end: own registration of the hand-over exported is gone when this returns NEXUS_OK. The record is
 * not saved.
 */
enum nexus_error handover_drop_exported(struct handover *handover, bool force);

/*
 * Undoes Import's or Abort's own REGISTER (key -> 0), unless this nexus may be the holder (design section 7, Undo). preempted: it has sent a PREEMPT
 * that may have made it the holder, and a second nexus with key says nothing against that. *ret_holds: it holds, and nothing was undone.
 */
enum nexus_error handover_undo(struct handover *handover, enum record_step step, uint64_t key,
			       bool preempted, bool *ret_holds);

/*
 * Export again with a take-back unfinished: K alone, and not holding, is what the take-back itself registered, after another initiator
 * had removed the guest's. It goes, and the nexus is fenced.
 */
enum nexus_error handover_drop_take_back(struct handover *handover);

/*
 * handover-whole.c: the same calls for a nexus that moves whole. No key is registered or removed by them; who has the nexus is
 * decided by the ticket alone (move.h), and REGISTER (K -> K) proves what came with it.
 */
/* Export, the terms being in record->out. NEXUS_OK: the ticket is in the record. */
enum nexus_error handover_whole_leave(struct handover *handover, bool again);
/* The first leave has failed: the nexus is here again, where NEXUS_OK is returned. */
enum nexus_error handover_whole_unleave(struct handover *handover);
/* Import: the nexus is here with what the line says, when this returns NEXUS_OK. */
enum nexus_error handover_whole_arrive(struct handover *handover, const struct state_line *line);
/* Whether this line could be taken here, as far as that can be known without taking it. */
enum nexus_error handover_whole_check(struct handover *handover, const struct state_line *line);
/* Whether it is not too late for this line. */
enum nexus_error handover_whole_look(struct handover *handover, const struct state_line *line);
enum nexus_error handover_whole_abort_source(struct handover *handover, bool force);
/* Away again; imported or arrived. */
enum nexus_error handover_whole_hand_back(struct handover *handover, bool force);
/* Abort of an incoming nexus that waits for an Import, and Forget with force: it is used here. */
enum nexus_error handover_whole_use_here(struct handover *handover, const char *id, bool force);
enum nexus_error handover_whole_left(struct handover *handover, bool force);
enum nexus_error handover_whole_settle(struct handover *handover);
enum nexus_error handover_fail_gone(struct handover *handover);

/* Import has begun and is not done: K, or the nexus itself, is here. */
bool handover_import_unfinished(const struct record *record);

/* A step that an earlier call left without an outcome comes before all else, as after a restart. */
enum nexus_error handover_settle_first(struct handover *handover);
/* The calls of these names once the step is settled. */
enum nexus_error handover_release_now(struct handover *handover, bool force);
enum nexus_error handover_forget_now(struct handover *handover, bool force);

#endif
