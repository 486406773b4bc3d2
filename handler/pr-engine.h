/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persistent reservations of one LUN, decided here (SPC-4): registrations, the reservation, unit attentions, the command matrix, and all of
 * it as text. For a LUN that has no reservations of its own, or whose nexuses share one path. Pure: no I/O, no clock, no locks, nothing
 * allocated; a struct pr_engine is plain memory that may be copied. It does not know the ring, files, claims or hand-over.
 *
 * A nexus is a slot of the table, found by its name and relative target port; a slot's number stays the same while the nexus is open or
 * registered or has unit attentions waiting, and is what every call takes. To initiators a nexus is an iSCSI port of the name
 * PR_ENGINE_PORT_PREFIX <name> PR_ENGINE_PORT_SUFFIX, in lower case, as such names compare.
 *
 * How a command goes (the caller's lock is held all the way, or two reservation commands exclude each other in another way):
 *	if (!pr_engine_admits(&engine, nexus, cdb, &answer))	   -> answer: a unit attention, RESERVATION CONFLICT, refused
 *	REQUEST SENSE: pr_engine_take_unit_attention()		   -> data
 *	PERSISTENT RESERVE IN: pr_engine_in()			   -> data or answer
 *	PERSISTENT RESERVE OUT: pr_engine_out(&engine, ..., &change)
 *		change.changed: write change.next to stable storage; failed: answer with pr_engine_not_stored, and forget change
 *		abort what change.aborted says; pr_engine_commit(&engine, &change); answer change.answer
 *	anything else					           -> the medium
 *
 * What is there: REGISTER, REGISTER AND IGNORE EXISTING KEY, REGISTER AND MOVE, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT AND ABORT with all six
 * types; READ KEYS, READ RESERVATION, REPORT CAPABILITIES, READ FULL STATUS. What is not, and said so in REPORT CAPABILITIES: SPEC_I_PT
 * (SIP_C 0), ALL_TG_PT (ATP_C 0), REPLACE LOST RESERVATION (RLR_C 0), RESERVE and RELEASE 6 and 10 (CRH 0, INVALID COMMAND OPERATION CODE: TCMU
 * tells nothing of logouts and resets, which have to end such a reservation).
 *
 * Where the standard is open, or targets differ:
 *	REGISTER (0, 0) of an unregistered nexus   GOOD, PRGENERATION + 1 and APTPL taken over: the letter of the standard (so SCST, tgt)
 *	PREEMPT (K, 0), nothing held		   RESERVATION CONFLICT: no registration has that key (so SCST, COMSTAR)
 *	PREEMPT of the sender's own key, of which  the sender is removed with the others, under all registrants too: the letter
 *	the reservation does not hang
 *	PREEMPT where TYPE is not used		   TYPE and SCOPE are not looked at
 *	RELEASE of a holder, SCOPE not 0	   INVALID RELEASE OF PERSISTENT RESERVATION, as for another TYPE
 *	REGISTER AND MOVE, SCOPE and TYPE	   not looked at
 *	REGISTER AND MOVE, TransportID unknown	   INVALID FIELD IN PARAMETER LIST: a port that is not in the table; one that is needs no session.
 *						   A name without ISID names no port
 *	REGISTER AND MOVE, TRANSPORTID LENGTH	   PARAMETER LIST LENGTH ERROR where the list is too short for it, INVALID FIELD IN
 *						   PARAMETER LIST where it is below 24 or no multiple of 4
 *	SPEC_I_PT				   INVALID FIELD IN PARAMETER LIST whatever follows the first 24 bytes
 *	PREEMPT AND ABORT and the sender	   its own commands are aborted only where its own registration is removed
 *	unit attention or RESERVATION CONFLICT	   POWER ON... (29h) first, then the conflict, then other unit attentions: SAM-5, status precedence
 *	READ LONG, XDWRITE and its kin		   class W, as everything that no table lists; REPORT SUPPORTED OPERATION CODES class R,
 *						   as ALLOW COMMANDS 100b says
 *	power loss				   what waited of unit attentions gives way to POWER ON
 *	READ FULL STATUS			   ALL_TG_PT 0: one descriptor for each nexus
 */
#ifndef PRMIG_PR_ENGINE_H
#define PRMIG_PR_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cfgstring.h"
#include "fields.h"
#include "nexus-types.h"
#include "pr.h"
#include "scsi.h"

#define PR_ENGINE_REGISTRATIONS 32 /* at most; then INSUFFICIENT REGISTRATION RESOURCES */
#define PR_ENGINE_NEXUSES 64	   /* slots: a bit each in a uint64_t */
#define PR_ENGINE_UNIT_ATTENTIONS 8
#define PR_ENGINE_PORT_PREFIX "iqn.2026-11.org.prmig:"
#define PR_ENGINE_PORT_SUFFIX ",i,0x000000000000"
#define PR_ENGINE_IN_MAX 4240 /* the longest data of PERSISTENT RESERVE IN: READ FULL STATUS */

/* What the fields take as text, with 32 registrations and nothing else in the table; and with a full table. */
#define PR_ENGINE_FIELDS_REGISTRATIONS 2944
#define PR_ENGINE_FIELDS_MAX 6400

struct pr_engine_nexus {
	char name[CFGSTRING_NAME_MAX + 1]; /* empty: the slot is free */
	uint16_t relative_target_port;	   /* 1 and up */
	bool open;
	uint64_t key;		      /* 0: not registered */
	uint8_t unit_attention_count; /* oldest first, each once */
	uint16_t unit_attentions[PR_ENGINE_UNIT_ATTENTIONS];
};

struct pr_engine {
	bool ptpl_c;	/* APTPL can be kept: the caller has stable storage */
	bool aptpl;	/* PTPL_A */
	uint8_t type;	/* of the reservation; PR_TYPE_NONE: none */
	uint8_t holder; /* slot; 0 where not one nexus holds it */
	uint32_t generation;
	struct pr_engine_nexus nexuses[PR_ENGINE_NEXUSES];
};

/* A SCSI answer; sense_key and asc_ascq with CHECK CONDITION alone. */
struct pr_engine_answer {
	uint8_t status;	   /* enum scsi_status */
	uint8_t sense_key; /* enum scsi_sense_key */
	uint16_t asc_ascq;
};

/* What PERSISTENT RESERVE OUT comes to. Without changed, next is the engine as it was. */
struct pr_engine_change {
	struct pr_engine_answer answer;
	bool changed; /* next differs: to be stored before the answer */
	bool aborts;  /* PREEMPT AND ABORT, GOOD: commands of the nexuses of aborted */
	uint64_t
		aborted; /* a bit for each slot. Among them may be the sender: not this command, then, but its others */
	uint16_t unit_attention
		[PR_ENGINE_NEXUSES]; /* what each slot is given: in next already; 0: nothing */
	struct pr_engine next;
};

/* ---- nexuses ---- */

/* Nothing registered, nothing held. ptpl_c: whether APTPL is to be taken. */
void pr_engine_init(struct pr_engine *engine, bool ptpl_c);

/*
 * The slot of a nexus from now on open: the one that it has (with its registration and unit attentions), else a free one, else one of a
 * nexus that is neither open nor registered. name: cfgstring_name_valid. -1 with reason (NEXUS_MESSAGE_MAX bytes): it is open, another one's
 * name differs by upper and lower case alone (to initiators they would be one port), or the table is full.
 */
int pr_engine_open(struct pr_engine *engine, const char *name, uint16_t relative_target_port,
		   char *reason);
/* Its registration and unit attentions stay. */
void pr_engine_close(struct pr_engine *engine, unsigned int nexus);
/* Open or not; -1: not in the table. */
int pr_engine_find(const struct pr_engine *engine, const char *name, uint16_t relative_target_port);
/* The nexus goes on under another name: same slot, key, reservation. False with reason: the name is taken, or differs from another's by
 * upper and lower case alone. */
bool pr_engine_rename(struct pr_engine *engine, unsigned int nexus, const char *name, char *reason);

bool pr_engine_is_holder(const struct pr_engine *engine, unsigned int nexus);
unsigned int pr_engine_registrations(const struct pr_engine *engine);

/* ---- commands ---- */

/*
 * Whether the command goes on. cdb: at least scsi_cdb_length() bytes. False: answer it so; a unit attention answered has left the queue.
 * The order is that of SAM-5 (see above); INQUIRY, REPORT LUNS and REQUEST SENSE pass unit attentions.
 */
bool pr_engine_admits(struct pr_engine *engine, unsigned int nexus, const uint8_t *cdb,
		      struct pr_engine_answer *ret_answer);
/* The command matrix alone: RESERVATION CONFLICT. PERSISTENT RESERVE OUT has its own rules, RESERVE and RELEASE are refused before: false
 * for these. */
bool pr_engine_conflicts(const struct pr_engine *engine, unsigned int nexus, enum scsi_class class);

/* cdb: PR_CDB_LEN bytes. data: PR_ENGINE_IN_MAX bytes; *ret_len of them are the data, cut at ALLOCATION LENGTH. */
struct pr_engine_answer pr_engine_in(const struct pr_engine *engine, const uint8_t *cdb,
				     uint8_t *data, size_t *ret_len);
/* cdb: PR_CDB_LEN bytes. list: what arrived in the data-out buffer, list_len bytes. */
void pr_engine_out(const struct pr_engine *engine, unsigned int nexus, const uint8_t *cdb,
		   const uint8_t *list, size_t list_len, struct pr_engine_change *ret_change);
/*
 * change is what pr_engine_out made of engine. Between the two engine may have answered unit attentions (they stay answered); nothing
 * else may have changed it.
 */
void pr_engine_commit(struct pr_engine *engine, const struct pr_engine_change *change);
/* The answer where a change could not be stored: INSUFFICIENT REGISTRATION RESOURCES. */
extern const struct pr_engine_answer pr_engine_not_stored;

/* ---- unit attentions ---- */

/* At the end of the queue, unless it waits there already. False: none of those that a queue holds (pr-engine-attention.c has the list). */
bool pr_engine_add_unit_attention(struct pr_engine *engine, unsigned int nexus, uint16_t asc_ascq);
/* The oldest, for REQUEST SENSE. False: none. */
bool pr_engine_take_unit_attention(struct pr_engine *engine, unsigned int nexus,
				   uint16_t *ret_asc_ascq);

/*
 * The LUN lost power (the host has booted): PRGENERATION 0; with APTPL registrations and reservation stay, else both go. POWER ON, RESET,
 * OR BUS DEVICE RESET OCCURRED for each nexus in the table.
 */
void pr_engine_power_loss(struct pr_engine *engine);

/* ---- as text ---- */

/* Adds the fields of all but which nexuses are open: at most PR_ENGINE_FIELDS_MAX bytes. */
void pr_engine_add_fields(struct fields_writer *writer, const struct pr_engine *engine);
/*
 * text: of which fields_check has said FIELDS_GOOD. *ret_engine: what pr_engine_init and the fields make of it, no nexus open. False: reason
 * (NEXUS_MESSAGE_MAX bytes) says which field is missing or makes no sense; *ret_engine untouched.
 */
bool pr_engine_get_fields(const char *text, char separator, bool ptpl_c,
			  struct pr_engine *ret_engine, char *reason);

#endif
