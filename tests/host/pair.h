/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hosts on one fake LUN with a guest's backstore "vm1" on each: the source is the LUN's nexus 0, the destination, incoming, its nexus 1;
 * nexus 2 is a stranger with a key of its own. One set of machines serves one case after the other.
 */
#ifndef PRMIG_TESTS_PAIR_H
#define PRMIG_TESTS_PAIR_H

#include "fake-lun.h"
#include "machine.h"

#define PAIR_SOURCE 0
#define PAIR_DESTINATION 1
#define PAIR_STRANGER 2
#define PAIR_KEY 0x5151
#define PAIR_STRANGER_KEY 0x7878
#define PAIR_NAME "vm1"
#define PAIR_UNANSWERED 0xff
#define PAIR_PATH_MAX 112

/* Service actions. */
enum pair_action {
	PAIR_REGISTER,
	PAIR_RESERVE,
	PAIR_RELEASE,
	PAIR_CLEAR,
	PAIR_PREEMPT,
	PAIR_PREEMPT_AND_ABORT,
	PAIR_REGISTER_AND_IGNORE,
};

/* What the source has on the LUN: a row of the hand-over's table. */
struct pair_row {
	const char *name;
	uint8_t row;
	uint8_t type;	   /* of the LUN's reservation; 0: none */
	bool source_holds; /* else the stranger */
};

#define PAIR_ROWS 10
extern const struct pair_row pair_rows[PAIR_ROWS];

struct pair {
	struct fake_lun *lun;
	struct machine *machine[2]; /* by PAIR_SOURCE, PAIR_DESTINATION */
	char lun_path[64];
	bool stops; /* before pair_start: at a point the machines stop themselves, and do not die */
};

extern struct pair pair;

/* Makes LUN and machines and boots these; exits the test when that fails. */
void pair_start(void);
/* Whether the machines that ran stopped in order. */
bool pair_stop(void);
/*
 * A LUN as new with these quirks (NULL: none), backstores as new, registered and reserved as the row says; the monitor is reset. options are
 * added to the source's cfgstring (";migrate-pr=off").
 */
bool pair_set_up(const struct pair_row *row, const struct fake_quirks *quirks, const char *options);
/* kill -9 has happened, or happens now: starts the machine again and waits until its nexus answers. */
bool pair_restart(unsigned int side);
/* At which point (handler/points.h) the machine dies from now on; NULL: at none, as after pair_restart. */
bool pair_arm(unsigned int side, const char *point);
/* The file to which the machine writes the points that it reaches; PAIR_PATH_MAX bytes. */
void pair_points_path(unsigned int side, char *path);

#define PAIR_POINTS_MAX 160
#define PAIR_POINT_MAX 64
/* What pair_read_points has found of each side, in the order in which they were reached. */
struct pair_points {
	char names[PAIR_POINTS_MAX][PAIR_POINT_MAX];
	size_t count;
};
extern struct pair_points pair_points[2];

/* Reads that file and removes it. */
void pair_read_points(unsigned int side);
/* Whether it was asked about this point before, on whichever side: a short run tries each name once. */
bool pair_point_tried(const char *point);

/* The guest's; a unit attention is taken and the command sent again. Returns the SAM status, or PAIR_UNANSWERED. */
uint8_t pair_guest(unsigned int side, enum pair_action action, uint8_t type, uint64_t key,
		   uint64_t new_key);
uint8_t pair_write(unsigned int side, uint32_t timeout_ms);
/* Past prmig. */
uint8_t pair_stranger(enum pair_action action, uint8_t type, uint64_t key, uint64_t new_key);
/* CDB and parameter list of a PERSISTENT RESERVE OUT: 10 and 24 bytes. */
void pair_build(enum pair_action action, uint8_t type, uint64_t key, uint64_t new_key, uint8_t *cdb,
		uint8_t *list);

/* A call on the bus. */
bool pair_call(unsigned int side, const char *method, const char *state, bool force,
	       struct bus_reply *ret_reply);
/* Whether a property prints so now; what it is is printed when not. */
bool pair_property_is(unsigned int side, const char *property, const char *text);

/*
 * Registration and reservation of the row are at that side, once, in the LUN and in memory, and a guest's write gets through
 * there; nothing is registered at the other; there was no gap, and the stranger is unharmed. Prints what is wrong.
 */
bool pair_is_at(const struct pair_row *row, unsigned int side);

#endif
