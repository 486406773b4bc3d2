/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hosts, a LUN and a stranger, for the tests of hand-overs that are interrupted: each operation can be run from a state that
 * suits it, killed at its Nth event, and finished forwards or backwards as an orchestrator would.
 */
#ifndef PRMIG_TEST_HANDOVER_WORLD_H
#define PRMIG_TEST_HANDOVER_WORLD_H

#include "unit/group-world.h"
#include "unit/sides.h"

#define KEY_S 0x5151u
#define KEY_X 0x7878u
enum { SOURCE, DESTINATION, STRANGER, NEWCOMER, LED }; /* LED: the first of the siblings */
#define WORLD_SIBLINGS_MAX 2

struct world_row {
	const char *name;
	uint8_t row;  /* of design section 7's table */
	uint8_t type; /* of the reservation; 0: none */
	bool source_holds;
};

extern const struct world_row world_rows[];
extern const size_t world_row_count;

enum world_kind {
	WORLD_STANDARD,
	WORLD_LIO,
	WORLD_TGT,
	WORLD_LIO_NO_APTPL_FOLDER,
	WORLD_NO_STRANGER, /* standard, and nobody else is registered */
	WORLD_KINDS,
};

enum world_op {
	WORLD_EXPORT,
	WORLD_EXPORT_AGAIN,
	WORLD_IMPORT,
	WORLD_IMPORT_AGAIN,	 /* after a kill behind Import's last command */
	WORLD_IMPORT_LATER_LINE, /* Export again between a killed Import and this one */
	WORLD_IMPORT_BACK,	 /* onto the source, which is exported still */
	WORLD_RELEASE,
	WORLD_RELEASE_EARLY, /* before Import; something else moved the generation */
	WORLD_ABORT,
	WORLD_ABORT_REGISTERED, /* Import was killed behind its REGISTER */
	WORLD_ABORT_PREEMPTED,	/* Import was killed behind its PREEMPT */
	WORLD_ABORT_IMPORTED,
	WORLD_ABORT_THERE_REGISTERED,
	WORLD_ABORT_THERE_PREEMPTED,
	WORLD_ABORT_THERE,     /* after Import */
	WORLD_ABORT_TAKE_BACK, /* Abort was killed behind its own REGISTER, row 3 */
	WORLD_ABORT_THERE_TAKE_BACK,
	WORLD_OPS,
};

extern const char *const world_op_names[WORLD_OPS];
extern const char *const world_kind_names[WORLD_KINDS];

struct world {
	const struct world_row *row;
	enum world_kind kind;
	struct fake_lun *lun;
	struct side source, destination;
	/* The guest's other nexuses on the LUN: calls are the group's then. */
	unsigned int siblings;
	struct side source_siblings[WORLD_SIBLINGS_MAX], destination_siblings[WORLD_SIBLINGS_MAX];
	struct group_host source_host, destination_host;
	char line[(1 + WORLD_SIBLINGS_MAX) * NEXUS_STATE_LINE_MAX];
	bool imported;	     /* Import has answered success, and no Abort has undone it */
	bool doors;	     /* two gates were open, each with a key on the LUN */
	unsigned int forced; /* Aborts that needed force */
	unsigned int events; /* of the operation, so far */
	unsigned int act_at; /* the event at which act is called; UINT_MAX: never */
	void (*act)(struct side *side, enum side_event event);
	enum record_step acted_step; /* the last point before that */
	enum handover_moment acted_moment;
};

extern struct world world;

/* The worlds that are set up from now on: the nexus moves whole (sides-whole.h). */
extern bool world_whole;

/* For the worlds that are set up from now on: how many siblings, and whether each has a key of its own. */
struct world_siblings {
	unsigned int count;
	bool own_keys;
};
extern struct world_siblings world_siblings;
/* The key of the guest's nexuses: 0 is the first. */
uint64_t world_key(unsigned int number);

void world_set_up(const struct world_row *row, enum world_kind kind);
void world_tear_down(void);
/* Brings the world to where op can run. False: it makes no sense in this row. */
bool world_prepare(enum world_op op);
struct side *world_side(enum world_op op);
/* Of source or destination and its siblings. */
struct group_host *world_host(const struct side *side);
enum nexus_error world_export(struct side *side, char *line);
enum nexus_error world_import(struct side *side, char *line);
enum nexus_error world_abort(struct side *side, const char *id, bool force);
enum nexus_error world_release(struct side *side, bool force);
enum nexus_error world_restart(struct side *side);
void world_resync(struct side *side);
/* Where a side, or one of its siblings, that dies goes on. */
void world_set_killed(struct side *side, jmp_buf *killed);
/* Starts side again, and kills it at that event of settling. False: settled before that. */
bool world_killed_settling(struct side *side, unsigned int event);
/* Runs op; world.act is called at its event world.act_at. *ret_killed: the side died, and has not been started again. */
enum nexus_error world_run(enum world_op op, bool *ret_killed);
/* For world.act. */
void world_kill(struct side *side, enum side_event event);

/* As an orchestrator that goes on: Import again, Export again where that is asked for, Release. The last error. */
enum nexus_error world_forward(void);
/* As one that gives up: Abort there, here, there. */
enum nexus_error world_back(void);

#endif
