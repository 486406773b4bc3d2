/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What prmig remembers of a nexus, and writes to disk before it answers (design section 3 and invariant 5); and the terms of a
 * hand-over, which travel in the state line. Pure: text in, text out.
 */
#ifndef PRMIG_RECORD_H
#define PRMIG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cfgstring.h"
#include "move.h"
#include "nexus-types.h"
#include "pr.h"
#include "scsi.h"

#define RECORD_UNIT_ATTENTIONS 8
#define RECORD_TRANSPORT_IDS 4
#define RECORD_TEXT_MAX 16384

/*
 * The named points: each a step on the wire of the hand-over, journalled before it is sent. RECORD_STEP_NONE: nothing is unfinished.
 * The names (record_step_name) are the words of the journal and of the protocol's model.
 */
enum record_step {
	RECORD_STEP_NONE,
	RECORD_STEP_EXPORT_BARRIER, /* REGISTER (K -> K) */
	RECORD_STEP_IMPORT_REGISTER, /* REGISTER (0 -> K), or (older K -> K) over an exported nexus */
	RECORD_STEP_IMPORT_REREGISTER,	/* REGISTER (K -> K): is it ours already? */
	RECORD_STEP_IMPORT_PREEMPT,	/* PREEMPT (K, K, T) */
	RECORD_STEP_IMPORT_UNDO,	/* REGISTER (K -> 0) */
	RECORD_STEP_RELEASE_PROBE,	/* REGISTER (K -> K): are we registered still? */
	RECORD_STEP_RELEASE_UNREGISTER, /* REGISTER (K -> 0) */
	RECORD_STEP_ABORT_BARRIER,	/* REGISTER (K -> K), rows 2 and 4 */
	RECORD_STEP_ABORT_PREEMPT,	/* PREEMPT (K, K, T), row 3 */
	RECORD_STEP_ABORT_REGISTER,	/* REGISTER (0 -> K): the take-back begins */
	RECORD_STEP_ABORT_TAKE_BACK,	/* PREEMPT (AND ABORT) (K, K, T) */
	RECORD_STEP_ABORT_UNDO,		/* REGISTER (K -> 0): nothing to take back */
	RECORD_STEP_ABORT_UNREGISTER,	/* REGISTER (K -> 0), at the destination */
	RECORD_STEP_FORGET_UNREGISTER,	/* REGISTER (K -> 0) */
	RECORD_STEP_GUEST_PROBE,  /* REGISTER (K -> K): did the guest's own command take effect? */
	RECORD_STEP_RESYNC_PROBE, /* REGISTER (K -> K): is the K that is listed ours? */
	RECORD_STEP_CONFIRM_BARRIER, /* REGISTER (K -> K): QEMU has loaded, the guest writes: is it ours still? */
	RECORD_STEP_PREPARE_REGISTER, /* REGISTER (0 -> a key for the moment): who is this nexus? */
	RECORD_STEP_PREPARE_UNREGISTER, /* REGISTER (that key -> 0) */
	RECORD_STEP_EXPORT_MOVE,	/* REGISTER AND MOVE (K, K) to the Prepared destination */
	RECORD_STEP_ABORT_MOVE,		/* REGISTER AND MOVE (K, K) back to the source */
	/* Of a nexus that moves whole (move.h). */
	RECORD_STEP_EXPORT_LEAVE,	/* the first ticket of its hand-over: nobody has one yet */
	RECORD_STEP_EXPORT_LEAVE_AGAIN, /* a fresh one */
	RECORD_STEP_IMPORT_ARRIVE,
	RECORD_STEP_ABORT_COME_BACK,
	RECORD_STEP_ABORT_HAND_BACK,
	RECORD_STEP_RELEASE_LEFT,
	RECORD_STEP_COUNT,
};
const char *record_step_name(enum record_step step);

/* What Export found and Import must find. */
struct record_terms {
	char id[NEXUS_ID_LEN + 1]; /* empty: no hand-over */
	uint8_t row;		   /* 1 to 4: design section 7 */
	uint64_t key;		   /* K; row 1: of a fenced nexus, the key it had, or 0 */
	uint8_t type;		   /* T: of the reservation, rows 3 and 4 */
	bool fenced;
	bool ptpl;	     /* PTPL_A at Export */
	uint32_t generation; /* G: PRGENERATION after the barrier */
	uint32_t count;	     /* how often K was listed then */
	uint32_t
		siblings; /* how many of these are nexuses of this group that this one leads (struct nexus_part) */
	bool led;   /* another nexus of the group leads this one */
	bool moved; /* REGISTER AND MOVE has been done: the destination holds */
	bool whole; /* the nexus itself leaves and arrives, with all that is registered on it */
	uint64_t time_s; /* wall clock of Export */
};

/* How often K has to be listed for this nexus and those that it leads. */
uint32_t record_terms_ours(const struct record_terms *terms);

/* ASC/ASCQ of unit attentions that wait for the guest, oldest first. Kept with the record, under another lock. */
struct unit_attentions {
	uint16_t asc_ascq[RECORD_UNIT_ATTENTIONS];
	size_t count;
};

/* Once each; the oldest falls out when full. */
void unit_attentions_add(struct unit_attentions *queue, uint16_t asc_ascq);
/* The oldest; the queue must not be empty. */
uint16_t unit_attentions_take(struct unit_attentions *queue);

/* A port on the LUN, as REGISTER AND MOVE names it. */
struct record_port {
	uint8_t transport_id[PR_TRANSPORT_ID_MAX];
	size_t transport_id_len; /* 0: none */
	uint16_t relative_target_port;
};

struct record {
	char lun[SCSI_DESIGNATOR_MAX];
	char group[CFGSTRING_NAME_MAX + 1];
	enum nexus_state state;

	uint64_t key; /* 0: not registered */
	bool holder;
	uint8_t type; /* of the reservation held */
	bool ptpl;    /* the APTPL bit of this nexus's last REGISTER */
	bool fenced;
	uint64_t fenced_key;
	bool scsi2; /* the guest holds a SCSI-2 RESERVE */
	uint32_t generation;
	uint32_t proven; /* PRGENERATION at the last proof that this nexus is registered */

	struct record_terms out; /* source: the hand-over exported, or the last one ended */
	uint32_t
		out_count; /* the least that K was listed at its Exports: later ones may count the destination */
	struct record_port
		out_destination; /* Prepared: REGISTER AND MOVE goes there, and Abort knows it by that */
	struct record_port out_origin; /* what this nexus itself was then */
	bool out_saved;		       /* by QEMU, which will not say how the migration ended */
	bool take_back;		       /* source: Abort has registered K again and is not done */
	bool take_back_sent;	       /* and may have taken the reservation with it */

	struct record_terms in;	      /* destination: the hand-over imported, or being imported */
	struct record_port in_origin; /* a moved hand-over: where it came from */
	bool in_registered;	      /* K is registered here by Import, which is not done */
	bool in_loaded;		      /* by QEMU, and the guest has not written yet */
	bool in_done;		      /* Import has succeeded */
	bool in_ran;	      /* the guest has written, or was exported, since that Import */
	bool in_taken;	      /* not on disk: all is done on the LUN, the gate is not open yet */
	bool in_exact;	      /* K was registered in time: from here on own registration decides */
	bool in_added;	      /* K is listed once more than at Export: it did not stand here then */
	bool in_register_due; /* QEMU's own migrate-pr above prmig will REGISTER (0 -> K) once */
	bool in_kept;	      /* Import answered Stale and kept K (design section 7, Stale) */
	uint32_t in_kept_generation; /* of the REGISTER that is kept, or later */
	uint64_t in_kept_until_s;    /* wall clock */
	bool in_arrived;   /* whole: the nexus has arrived by an Import that is not done */
	bool in_tried;	   /* not on disk: a line of this hand-over was Stale before */
	uint32_t in_moves; /* how often Import itself has moved PRGENERATION */

	/* Whole: the nexus is not here, for all that is known for certain: it waits for an Import, has left, or has gone. */
	bool away;
	char ticket[LUN_TICKET_MAX]; /* not on disk: of the last Export, for its line */

	uint64_t prepare_key;  /* of Prepare, while it asks */
	enum record_step step; /* sent, or about to be; outcome not on disk */

	/* A guest's PERSISTENT RESERVE OUT: journalled before it is sent. */
	bool pending;
	bool pending_stands; /* it took effect, though the guest was not told: a repetition is answered GOOD */
	uint8_t pending_cdb[PR_CDB_LEN];
	uint8_t pending_list[PR_OUT_LIST_LEN];
	size_t pending_list_len;

	/* What this guest has been on the LUN, newest first; [0] is this nexus where own_transport_id. */
	char transport_ids[RECORD_TRANSPORT_IDS][PR_TRANSPORT_ID_TEXT_MAX];
	uint16_t relative_target_port;
	bool own_transport_id;
};

/* Remembers text as this nexus's own TransportID (own) or as one of the guest's former ones. */
void record_add_transport_id(struct record *record, const char *text, bool own);
/* Whether text is a TransportID that this guest has used. */
bool record_knows_transport_id(const struct record *record, const char *text);

/* The state file's text. text: RECORD_TEXT_MAX bytes. */
bool record_format(const struct record *record, const struct unit_attentions *queue, char *text);
/* False: reason (NEXUS_MESSAGE_MAX bytes) says what is wrong; ret untouched. */
bool record_parse(const char *text, struct record *ret_record, struct unit_attentions *ret_queue,
		  char *reason);

/* A state line: what Export returns and Import takes. */
struct state_line {
	struct record_terms terms;
	char lun[SCSI_DESIGNATOR_MAX];
	char source[CFGSTRING_NAME_MAX + 1];
	struct unit_attentions unit_attentions;
	struct record_port origin;   /* moved: the source */
	char ticket[LUN_TICKET_MAX]; /* whole */
	char transport_ids[RECORD_TRANSPORT_IDS][PR_TRANSPORT_ID_TEXT_MAX];
};
/* Of an exported record. text: NEXUS_STATE_LINE_MAX bytes. */
bool state_line_format(const struct record *record, const struct unit_attentions *queue,
		       const char *source, char *text);
/* False: reason (NEXUS_MESSAGE_MAX bytes); ret untouched. */
bool state_line_parse(const char *text, struct state_line *ret_line, char *reason);

/* What Prepare returns and Export takes as its option destination. text: NEXUS_STATE_LINE_MAX bytes. */
bool prepare_line_format(const char *lun, const struct record_port *port, char *text);
/* ret_lun: SCSI_DESIGNATOR_MAX bytes. False: reason; nothing else is touched. */
bool prepare_line_parse(const char *text, char *ret_lun, struct record_port *ret_port,
			char *reason);

#endif
