/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A LUN whose reservations the engine decides, with nexuses that have letters for names: A, B, C and D, and P, which is A's initiator port
 * at another target port. Keys are letters, too: each of a key's bytes is the letter. States are written "A:a B:b 5/A": who is registered with
 * which key, and type and holder of the reservation ("8/all" where all registrants hold), "aptpl" where PTPL_A is 1.
 */
#ifndef PRMIG_TESTS_ENGINE_WORLD_H
#define PRMIG_TESTS_ENGINE_WORLD_H

#include "pr-engine.h"

#define ENGINE_LETTERS "ABCDP"

/* How a command ends: a status, or sense key and ASC/ASCQ. */
enum engine_end {
	GOOD = SCSI_GOOD,
	CONFLICT = SCSI_RESERVATION_CONFLICT,
	LENGTH_ERROR = 0x51a00,
	INVALID_OPERATION_CODE = 0x52000,
	INVALID_FIELD_IN_CDB = 0x52400,
	INVALID_FIELD_IN_LIST = 0x52600,
	INVALID_RELEASE = 0x52604,
	NO_RESOURCES = 0x55504,
	POWER_ON = 0x62900,
	UA3 = 0x62a03, /* RESERVATIONS PREEMPTED */
	UA4 = 0x62a04, /* RESERVATIONS RELEASED */
	UA5 = 0x62a05, /* REGISTRATIONS PREEMPTED */
};

struct engine_world {
	struct pr_engine engine;
	struct pr_engine_change change; /* of the last PERSISTENT RESERVE OUT */
	bool store_fails;
};

/* PERSISTENT RESERVE OUT as a test writes it. */
struct engine_out {
	char nexus;
	enum pr_out_action action;
	char key, new_key; /* letters; 0: zero */
	uint8_t scope, type;
	bool aptpl, all_tg_pt, spec_i_pt;
	/* REGISTER AND MOVE: to, at its own target port unless one is given. */
	char to;
	bool unregister;
	uint16_t port;
};

uint64_t engine_key(char letter);
unsigned int engine_slot(const struct engine_world *world, char nexus);

/* An empty LUN with all nexuses open, then registrations and reservation as given; nothing waits. */
void engine_world_begin(struct engine_world *world, bool ptpl_c, const char *state);
#define BEGIN(state)                                                                               \
	struct engine_world world_, *w = &world_;                                                  \
	engine_world_begin(w, true, state)

/*
 * A command from its start to its end, with what holds for every one checked: that it changed nothing, gave no unit attention and aborted
 * nothing unless GOOD; that PRGENERATION moved as the service action has it; that the state is the same after a way through text.
 */
uint32_t engine_out(struct engine_world *world, const struct engine_out *out);
#define OUT(nexus_, action_, ...)                                                                  \
	engine_out(w, &(struct engine_out){                                                        \
			      .nexus = (nexus_), .action = PR_OUT_##action_, __VA_ARGS__})
/* The same with a parameter list as it is, and without what it met on the way in. */
uint32_t engine_out_raw(struct engine_world *world, char nexus, const uint8_t *cdb,
			const uint8_t *list, size_t list_len);
/* Every other command: as far as the engine sees it. */
uint32_t engine_command(struct engine_world *world, char nexus, const uint8_t *cdb);
#define COMMAND(nexus_, ...) engine_command(w, (nexus_), (const uint8_t[SCSI_CDB_MAX]){__VA_ARGS__})
#define TEST_UNIT_READY 0x00
#define READ_10 0x28
#define WRITE_10 0x2a

/* The data, PR_ENGINE_IN_MAX bytes of which len are valid. */
struct engine_in {
	uint32_t end;
	size_t len;
	uint8_t data[PR_ENGINE_IN_MAX];
};
struct engine_in engine_in(const struct engine_world *world, uint8_t action,
			   uint16_t allocation_len);

/* As READ KEYS, READ RESERVATION and READ FULL STATUS tell it, which are compared. Static memory. */
const char *engine_state(const struct engine_world *world);
/* Takes what waits, by commands: "B:2a05 C:2a04". Static memory. */
const char *engine_attentions(struct engine_world *world);
#define STATE(want) CHECK_STR(engine_state(w), (want))
#define ATTENTIONS(want) CHECK_STR(engine_attentions(w), (want))
/* How far PRGENERATION has moved since BEGIN. */
#define MOVED(want) CHECK_INT(w->engine.generation, (want))

#endif
