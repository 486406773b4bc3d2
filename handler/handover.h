/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand-over of design section 7: Export, Import, Check, Release, Abort, Forget and what a restart finds unfinished.
 *
 * The decisions, and nothing else: what to ask the LUN, what to send, when the gate may open. Everything outside comes
 * through struct handover_ops, called one after the other on the caller's thread; so the same code runs over a real LUN, over a fake one,
 * and with a kill at each of its points. Includes no system header.
 */
#ifndef PRMIG_HANDOVER_H
#define PRMIG_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nexus-types.h"
#include "pr.h"
#include "record.h"

/* What became of a PERSISTENT RESERVE OUT. */
enum handover_wire {
	HANDOVER_GOOD,
	HANDOVER_CONFLICT, /* RESERVATION CONFLICT: no effect */
	HANDOVER_REFUSED,  /* CHECK CONDITION that says it had no effect */
	HANDOVER_UNKNOWN, /* no answer, or one that may lie (NOT READY): it may have taken effect */
};

/* Where a step stands when point() is called: the places where a kill, or another initiator, can come in. */
enum handover_moment {
	HANDOVER_BEFORE_JOURNAL,
	HANDOVER_JOURNALLED, /* on disk, not on the wire */
	HANDOVER_ANSWERED,   /* off the wire, the outcome not on disk */
};

#define HANDOVER_REGISTRANTS 16

/* READ FULL STATUS, of one key. */
struct handover_registrants {
	uint32_t generation;
	size_t count; /* those with the key; only the first HANDOVER_REGISTRANTS are kept */
	struct {
		char transport_id[PR_TRANSPORT_ID_TEXT_MAX];
		uint8_t raw[PR_TRANSPORT_ID_MAX]; /* the same, as the LUN gave it */
		size_t raw_len;
		uint16_t relative_target_port;
		bool holder;
	} with_key[HANDOVER_REGISTRANTS];
};

/* The world. user is what handover_init was given. */
struct handover_ops {
	/* Sends one PERSISTENT RESERVE OUT, unit attentions met on the way queued for the guest (and the command repeated). */
	enum handover_wire (*pr_out)(void *user, const struct pr_out *out);
	/* The same with REGISTER AND MOVE. */
	enum handover_wire (*pr_move)(void *user, const struct pr_move *move);
	/* False: the LUN did not answer; lun_error says why. */
	bool (*read_keys)(void *user, uint64_t key, struct pr_keys *ret_keys);
	bool (*read_reservation)(void *user, struct pr_reservation *ret_reservation);
	bool (*read_capabilities)(void *user, struct pr_capabilities *ret_capabilities);
	/* False also where the LUN has no READ FULL STATUS. */
	bool (*read_full_status)(void *user, uint64_t key, struct handover_registrants *ret);
	/* Why the last of the above failed, for people. */
	const char *(*lun_error)(void *user);
	/* A unit attention of ASC 29h (power on, reset) was met since the last call of this. */
	bool (*reset_seen)(void *user);
	/* The guest's queue of unit attentions, which commands in flight feed too. */
	void (*add_unit_attention)(void *user, uint16_t asc_ascq);
	void (*clear_unit_attentions)(void *user);
	/* state_line_format of the record as it is now. ret_line: NEXUS_STATE_LINE_MAX bytes. */
	bool (*format_line)(void *user, char *ret_line);
	/*
	 * Moving whole, as lun-move.h has it: false, or LUN_MOVE_REFUSED, where the LUN's nexus does not. lun_error says why not.
	 */
	bool (*moves)(void *user);
	bool (*ticket_fits)(void *user, const char *ticket);
	enum lun_move (*ticket_look)(void *user, const char *ticket);
	enum lun_move (*leave)(void *user, const char *id, char *ret_ticket);
	enum lun_move (*arrive)(void *user, const char *id, const char *ticket);
	enum lun_move (*come_back)(void *user, const char *id, bool force);
	enum lun_move (*unleave)(void *user, const char *id);
	enum lun_move (*hand_back)(void *user, const char *id, bool force);
	enum lun_move (*left)(void *user, const char *id, bool force);
	void (*tidy)(void *user, const char *id);
	/* The record to disk. False: it could not be written. */
	bool (*save)(void *user);
	void (*point)(void *user, enum record_step step, enum handover_moment moment);
	/* Closes the gate; open: as the record's state says. */
	void (*close_gate)(void *user);
	void (*open_gate)(void *user);
	/* Waits until no command of the guest that passed the gate before is at the LUN. False: time ran out. */
	bool (*drain)(void *user);
	/* Answers BUSY to what the gate holds. */
	void (*answer_held_busy)(void *user);
	/* A write-class command of the guest has passed since open, Import or Release. */
	bool (*guest_has_written)(void *user);
	/* The time of this call is up. */
	bool (*expired)(void *user);
	uint64_t (*wall_clock_s)(void *user);
	/* A fresh random id: NEXUS_ID_LEN hex digits and NUL. */
	void (*new_id)(void *user, char *ret_id);
};

struct handover {
	const struct handover_ops *ops;
	void *user;
	struct record *record; /* changed, and saved through ops->save */
	const char *name;      /* the nexus's, for messages and the line */
	bool migrate_pr;
	bool emulated; /* prmig decides on the LUN's reservations: who is registered is known where its nexuses are, and nowhere else */
	bool by_qemu; /* Export and Import through dbus-vmstate: nobody will say how the migration ends */
	bool automatic;		/* an Abort that nobody called: it takes back only what is exact */
	struct nexus_part part; /* in a group's call */
	char *message;		/* NEXUS_MESSAGE_MAX bytes: set with every error */
};

/*
 * Each returns NEXUS_OK or an error with handover->message set. The record is consistent, and on disk, after each.
 * force and id as in design section 4; id "" for whatever hand-over there is.
 */
/* destination: what Prepare returned there, NULL: none; it matters where K is a stranger's too. */
enum nexus_error handover_export(struct handover *handover, const char *destination,
				 char *ret_line);
/* Who this nexus is on the LUN: REGISTER with a key of its own for the moment, and READ FULL STATUS. */
enum nexus_error handover_prepare(struct handover *handover, char *ret_line);
/*
 * take_only: everything but the opening of the gate, which the same call without take_only does later; so that a group opens all gates or
 * none.
 */
enum nexus_error handover_import(struct handover *handover, const char *line, bool force,
				 bool take_only);
enum nexus_error handover_check(struct handover *handover, const char *line, bool force);
enum nexus_error handover_release(struct handover *handover, const char *id, bool force);
enum nexus_error handover_abort(struct handover *handover, const char *id, bool force);
/*
 * QEMU drives the hand-over (dbus-vmstate), and a write-class command has arrived at the closed gate: the guest runs here. At a source that saved, Abort
 * comes first, and only if nothing says that it runs elsewhere; at a destination that loaded, a proof that the registration is still its own. The
 * gate opens on NEXUS_OK; else it stays closed, and the next such command asks again.
 */
enum nexus_error handover_guest_runs(struct handover *handover);
/* Whether handover_guest_runs is to be asked. */
bool handover_awaits_guest(const struct record *record);
/* QEMU at the destination has gone before its guest ran: Abort. Does nothing when the guest has run. */
enum nexus_error handover_loader_gone(struct handover *handover);
/* QEMU at the source has gone: Release, where the Import is seen to be done. */
enum nexus_error handover_saver_gone(struct handover *handover);

enum nexus_error handover_forget(struct handover *handover, bool force);

/*
 * Is this nexus, which has been imported (all but its gate) or aborted, registered still? NEXUS_OK: what siblings with its key have
 * registered before this call, no fence has come before that. Fenced: another initiator has removed the key.
 */
enum nexus_error handover_prove(struct handover *handover);

/* At open, before anything else: finds out what became of a step that was journalled and not concluded. Opens no gate. */
enum nexus_error handover_settle(struct handover *handover);

/* Why a key in the LUN's list may be another's, though this nexus is registered with it as far as it knows. */
enum handover_doubt {
	HANDOVER_DOUBT_NONE,
	HANDOVER_DOUBT_CONFLICT, /* the guest was shut out */
	HANDOVER_DOUBT_TOLD,	 /* a unit attention said that registrations were taken */
};

/*
 * Brings memory in line with the LUN (invariant 6). An active nexus whose registration is gone becomes fenced; an incoming
 * one that lost an unfinished Import forgets it; one that was imported and whose guest has not written yet lost it to the
 * source's Abort, and becomes incoming again; an exported one is left alone. *ret_fenced: it became so now.
 */
enum nexus_error handover_resync(struct handover *handover, enum handover_doubt doubt,
				 bool *ret_fenced);

/*
 * A guest's own PERSISTENT RESERVE OUT (migrate-pr=on). repeats: it is the REGISTER (0 -> K) of a QEMU above prmig just after Import, or the one that took effect in a daemon that died before it could say so, and is to be
 * answered GOOD unsent. begin journals it. end takes the outcome into memory: only GOOD counts, and what the command's success alone does not tell is
 * asked of the LUN. settle finds out what became of one that has no outcome (a restart; told: the guest was given a status).
 * cdb: PR_CDB_LEN bytes; list: the parameter list, of which PR_OUT_LIST_LEN bytes are kept.
 */
bool handover_guest_repeats(struct handover *handover, const uint8_t *cdb, const uint8_t *list,
			    size_t list_len);
enum nexus_error handover_guest_begin(struct handover *handover, const uint8_t *cdb,
				      const uint8_t *list, size_t list_len);
enum nexus_error handover_guest_end(struct handover *handover, enum handover_wire wire);
enum nexus_error handover_guest_settle(struct handover *handover, bool told);

/* Whether the gate is open in this state. */
bool handover_gate_open(const struct record *record);

#endif
