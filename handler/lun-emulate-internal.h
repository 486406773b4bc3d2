/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the emulation share; for lun-emulate*.c alone. */
#ifndef PRMIG_LUN_EMULATE_INTERNAL_H
#define PRMIG_LUN_EMULATE_INTERNAL_H

#include <pthread.h>

#include "lun-claim.h"
#include "lun-emulate.h"
#include "lun-move.h"
#include "registry.h"

#define EMULATE_TARGET_PORT 1 /* relative target port of every nexus */

/* How a nexus stands to the LUN. */
enum emulate_door {
	EMULATE_OUTSIDE, /* incoming, or gone: reads, and changes nothing */
	EMULATE_INSIDE,
	EMULATE_LEFT, /* a ticket is out */
};

struct lun_emulate {
	struct lun lun; /* first */
	struct lun_ops ops;
	struct lun *inner;
	char name[CFGSTRING_NAME_MAX + 1];
	char group[CFGSTRING_NAME_MAX + 1];
	char path[CFGSTRING_MAX + 1];
	bool by_file;
	struct emulation *emulation; /* from the first connect on; read with acquire */

	/* Under emulation->lock. */
	struct lun_emulate *next;
	int slot; /* in the engine; -1: there is no room */
	enum emulate_door door;
	unsigned int epoch;	/* another one after each abort of its commands */
	unsigned int in_flight; /* at the inner LUN, of this epoch */
	unsigned int aborting;	/* of earlier ones */
	bool leaving;		/* asked to, and not answered yet */
	char leave_id[NEXUS_ID_LEN + 1];
	bool leave_over;
	enum lun_move leave_result;
	char leave_reason[LUN_REASON_MAX];
};

/* One LUN, of all its nexuses in this process. */
struct emulation {
	struct emulation *next; /* under the list's lock */
	unsigned int users;	/* likewise */
	char designator[SCSI_DESIGNATOR_MAX];

	/*
	 * Locks, in this order: the list's, change_lock, lock. change_lock makes changes one after the other, and is held over disk and LUN; lock
	 * is a leaf, for moments.
	 */
	pthread_mutex_t change_lock;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* who leaves, what is aborted */

	/* Under change_lock; what the command path reads is changed under both. */
	bool loaded;
	bool claim_opened;
	struct lun_claim claim;
	uint64_t damaged_token; /* what a damaged file says the claim was; 0: nothing */
	bool damaged;
	struct registry trial;
	char text[REGISTRY_TEXT_MAX];

	/* Under both. */
	struct registry registry;
	bool confirmed; /* the claim carries the registry's token, as far as is known */

	/* Under lock. */
	struct lun_emulate *instances;
	bool leave_busy;
};

struct lun_emulate *lun_emulate_of(struct lun *lun);

/* ---- lun-emulate-command.c ---- */

void lun_emulate_submit(struct lun *lun, struct lun_io *io);

/* ---- lun-emulate-registry.c: each under change_lock ---- */

/* First use: reads the file, finds out what kind of claim there is. */
bool emulation_load(struct emulation *emulation, struct lun_emulate *instance, char *reason);
/* registry to disk. False: reason. */
bool emulation_save(struct emulation *emulation, const struct registry *registry, char *reason);
/* registry takes effect: every nexus that is open has its slot in it. */
void emulation_install(struct emulation *emulation, const struct registry *registry);
/* What became of a change of the claim that has no outcome. False: it cannot be told now. */
bool emulation_resolve(struct emulation *emulation, struct lun_emulate *instance, char *reason);
/*
 * The claim, and with it the registry: journals trial with the change from registry.token (0: nobody's) to a fresh token or to (not 0), changes
 * the claim, and installs trial with mode. DONE alone changes anything.
 */
enum lun_claim_result emulation_change_claim(struct emulation *emulation,
					     struct lun_emulate *instance, uint64_t from,
					     uint64_t to, enum registry_mode mode,
					     struct lun_claim_owner *ret_owner, char *reason);
/* For an active nexus. */
enum lun_claim_result emulation_hold(struct emulation *emulation, struct lun_emulate *instance,
				     bool force, char *reason);
/* The same where nothing of the LUN is here, or what is here is worth nothing any more: takes the LUN with an empty registry. */
enum lun_claim_result emulation_take(struct emulation *emulation, struct lun_emulate *instance,
				     bool force, char *reason);
/* Nothing of the LUN is here. */
void emulation_set_empty(struct registry *registry);
/* The instance's slot in the engine; also under lock. False: there is none for it; reason. */
bool emulation_open_slot_locked(struct emulation *emulation, struct lun_emulate *instance,
				char *reason);
void emulation_set_door(struct emulation *emulation, struct lun_emulate *instance,
			enum emulate_door door);
bool emulation_read_owner(struct emulation *emulation, struct lun_emulate *instance,
			  struct lun_claim_owner *ret_owner, char *reason);
enum lun_claim_result emulation_join(struct emulation *emulation, struct lun_emulate *instance,
				     struct lun_claim_owner *ret_owner, char *reason);

/* ---- lun-emulate-move.c ---- */

extern const struct lun_move_ops lun_emulate_move;

#endif
