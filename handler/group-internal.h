/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the group share; for group*.c alone. */
#ifndef PRMIG_GROUP_INTERNAL_H
#define PRMIG_GROUP_INTERNAL_H

#include <pthread.h>

#include "group.h"
#include "record.h"

#define GROUP_MEMBERS_MAX 256
/* All that a call starts, within the 15 s that the caller has; and a round, or what of it Export may use, so that an Abort has time left. */
#define GROUP_CALL_MS 13000
#define GROUP_ROUND_MS 6500

struct group_member {
	struct group_work *work;
	char name[CFGSTRING_NAME_MAX + 1];
	char lun[SCSI_DESIGNATOR_MAX];
	const char *
		line; /* Import, Check: its own, inside work->state; Export: its destination or NULL */
	bool open;
	struct nexus_info info; /* as it was when leaders were chosen or recalled */
	bool was_exported;	/* as the call began */
	struct record_terms
		terms; /* of its line: what Import and Check have got, what Export has made */

	/* Its place on the LUN. */
	struct group_member *first; /* on that LUN, by name */
	bool shares;		    /* there are others on that LUN */
	uint64_t key;		    /* of the hand-over; 0: none */
	bool led;
	struct group_member *leader; /* of one that is led; NULL: there is none */
	unsigned int rank;
	size_t stage;	     /* those of one LUN one after the other */
	uint32_t generation; /* of the first: after the last barrier of the LUN's Exports */
	uint32_t moves;	     /* of the first: how often Import has moved it since */

	bool due; /* in the round that comes */
	bool failed;
	struct nexus_part part;
	struct nexus_reply reply;
};

struct group_work {
	char group[CFGSTRING_NAME_MAX + 1];
	enum nexus_method method;
	struct nexus_options options;
	group_done done;
	void *user;
	char *state;
	struct group_member members[GROUP_MEMBERS_MAX]; /* by name */
	size_t count;
	bool too_many;
	struct group_reply reply;

	pthread_mutex_t lock; /* answers */
	pthread_cond_t answered;
	size_t waiting;
	uint64_t deadline_ms;
};

/* Sets the reply; false. */
bool group_fail(struct group_work *work, enum nexus_error error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- group-set.c: who shares a LUN, and who leads ---- */

/* After the members are known and sorted. */
void group_find_neighbours(struct group_work *work);
/* Export: by the keys that the guest has now. */
void group_choose_leaders(struct group_work *work);
/* Abort, Release: as they were exported or imported; asks the nexuses anew. */
void group_recall_leaders(struct group_work *work);
/* Import, Check: of the lines. False: they do not belong together. */
bool group_read_leaders(struct group_work *work);
/* Gives each its stage: on a LUN by rank, then by name; the others have stage 0. Returns how many stages there are. */
size_t group_order(struct group_work *work, unsigned int (*rank)(const struct group_member *));
/* How often the barriers of others on its LUN have moved PRGENERATION since that of its line. */
uint32_t group_moves_since(const struct group_member *member);
/* How many are led by leader and registered, by the lines that they made. */
uint32_t group_count_siblings(const struct group_work *work, const struct group_member *leader);
/*
 * Whether the lines of an Export belong together: who leads and who is led agree about the key, and on each LUN nothing but the leaders' own barriers came
 * between them.
 */
bool group_is_consistent(const struct group_work *work);

/* The members are known. Fills work->reply. */
void group_execute(struct group_work *work);

/* ---- group-round.c ---- */

uint64_t group_now_ms(void);
/* Calls those that are due, all at once. Those that have failed are left out, and none is due after it. */
void group_call_due(struct group_work *work, enum nexus_method method,
		    const struct nexus_options *options);
/* Every member, those of one LUN one after the other; a led one not after its leader has failed. */
void group_call_all(struct group_work *work, enum nexus_method method,
		    const struct nexus_options *options, size_t stages);
bool group_all_well(const struct group_work *work);
/* The reply, when one has failed. The leader's word goes first: of those that it leads it is only the consequence. */
void group_fail_with_member(struct group_work *work, const char *then);
/* Are the leaders of those that are wanted well? Asked after those that they lead have registered. */
void group_prove_leaders(struct group_work *work, const struct nexus_options *options,
			 bool (*wanted)(const struct group_member *));
/* It is certain that what those that it leads have registered must not stand. */
bool group_has_lost(const struct group_member *leader);

/* ---- group-line.c ---- */

bool group_join_lines(struct group_work *work);
/* Cuts work->state at '+' and gives each member its line. */
bool group_match_lines(struct group_work *work);

/* ---- group-export.c, group-import.c, group-abort.c ---- */

void group_export(struct group_work *work);
void group_import(struct group_work *work);
void group_abort(struct group_work *work, const struct nexus_options *options);
/* Exported, and another one leads it. */
bool group_is_led_source(const struct group_member *member);

/* ---- group.c ---- */

/* The whole call, on the caller's thread. */
void group_run(struct group_work *work);
/* group_call's arguments. False: no memory. */
bool group_work_init(struct group_work *work, const char *group, enum nexus_method method,
		     const char *state, const struct nexus_options *options);
void group_work_clear(struct group_work *work);

#endif
