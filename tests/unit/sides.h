/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts of a hand-over without threads and files: each side is a record, the "disk" that it was saved to, a gate, and a nexus of
 * the fake LUN. What a side was told to do at a point (die, let another initiator in) happens there.
 */
#ifndef PRMIG_TEST_SIDES_H
#define PRMIG_TEST_SIDES_H

#include <setjmp.h>

#include "fake-lun.h"
#include "handover.h"
#include "record.h"

/* Where a side stands when side->every is called: closer together than the named points. */
enum side_event { SIDE_POINT, SIDE_SEND, SIDE_SENT, SIDE_SAVE, SIDE_SAVED };

struct side {
	const char *name;
	unsigned int nexus;
	struct fake_lun *lun;
	struct record record;
	struct unit_attentions queue;
	char disk[RECORD_TEXT_MAX]; /* "": nothing was ever saved */
	bool disk_full;
	bool gate_open;
	bool written;
	bool by_qemu;		/* calls come through dbus-vmstate */
	bool take_only;		/* Import: all but the gate */
	struct nexus_part part; /* in a group */
	bool whole;		/* its nexus moves whole (sides-whole.h) */
	bool logged_in;		/* as the nexus that moves */
	unsigned int looks;	/* the nexus that it is otherwise */
	unsigned int misplaced; /* PERSISTENT RESERVE OUT sent by another nexus: must stay 0 */
	bool reset_seen;
	bool told;	     /* a unit attention said that registrations were taken */
	unsigned int busied; /* how often held commands were answered BUSY */
	char destination[NEXUS_STATE_LINE_MAX]; /* what Export is told; "": nothing */
	uint64_t clock_s;
	uint64_t budget; /* commands until a call has used up its time */
	char message[NEXUS_MESSAGE_MAX];
	char lun_error[NEXUS_MESSAGE_MAX];

	/* What happens at the named point. */
	enum record_step at_step;
	enum handover_moment at_moment;
	unsigned int at_skip;
	void (*at)(struct side *side);
	unsigned int points;   /* how many points were passed */
	enum record_step step; /* the last of them */
	enum handover_moment moment;
	void (*every)(struct side *side, enum side_event event);
	unsigned int unjournalled; /* sent, and not on disk before: must stay 0 */
	jmp_buf *killed;
};

/* Sends until no unit attention meets it. */
void side_execute_as(struct side *side, unsigned int nexus, const uint8_t *cdb, const uint8_t *out,
		     size_t out_len, uint8_t *in, size_t in_len, struct fake_result *ret);

void side_init(struct side *side, struct fake_lun *lun, unsigned int nexus, const char *name,
	       enum nexus_state state);
/* kill -9 and start again: memory is what the disk has; settles. */
enum nexus_error side_restart(struct side *side);
/* For side->at: the process dies here. */
void side_kill(struct side *side);

enum nexus_error side_export(struct side *side, char *line);
enum nexus_error side_prepare(struct side *side, char *line);
enum nexus_error side_import(struct side *side, const char *line);
enum nexus_error side_check(struct side *side, const char *line);
enum nexus_error side_release(struct side *side, bool force);
enum nexus_error side_abort(struct side *side, bool force);
/* Of one hand-over, by its id. */
enum nexus_error side_abort_id(struct side *side, const char *id, bool force);
enum nexus_error side_resync(struct side *side);
enum nexus_error side_prove(struct side *side);
/* A write-class command at the closed gate. */
enum nexus_error side_guest_runs(struct side *side);
enum nexus_error side_loader_gone(struct side *side);
enum nexus_error side_saver_gone(struct side *side);

/* The guest's own PERSISTENT RESERVE OUT through this side, as the nexus sends and observes it. Returns the SAM status. */
uint8_t side_guest(struct side *side, enum pr_out_action action, uint64_t key, uint64_t new_key,
		   uint8_t type);
/* Another initiator's, past prmig. */
uint8_t side_stranger(struct fake_lun *lun, unsigned int nexus, enum pr_out_action action,
		      uint64_t key, uint64_t new_key, uint8_t type, bool aptpl);

#endif
