/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host knows of an emulated LUN, as text: the file /var/lib/prmig/lun/<designator>, and the ticket by which all of it moves to
 * another host. Pure: no I/O, no locks; who may change it when is lun-emulate*.c's.
 */
#ifndef PRMIG_REGISTRY_H
#define PRMIG_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cfgstring.h"
#include "nexus-types.h"
#include "pr-engine.h"

#define REGISTRY_MOVERS PR_ENGINE_NEXUSES
#define REGISTRY_BOOT_MAX 64
#define REGISTRY_TEXT_MAX 32768
#define REGISTRY_TICKET_MAX 3072 /* with NUL */

enum registry_mode {
	REGISTRY_AWAY, /* nothing of the LUN is here: there is no file */
	REGISTRY_HERE,
	REGISTRY_LEFT, /* a ticket is out: nothing changes until it comes back, or goes for good */
};

/* A nexus that moves, or has. */
struct registry_mover {
	char name[CFGSTRING_NAME_MAX + 1]; /* at the host that it leaves or has left */
	char id[NEXUS_ID_LEN + 1]; /* of a hand-over that left from here; empty: came here */
	char here[CFGSTRING_NAME_MAX + 1]; /* who it has become here; empty: nobody yet */
};

struct registry {
	enum registry_mode mode;
	uint64_t token; /* of the claim, as it is at the LUN */
	/* Journal of a change of the claim: token -> next, after which next_mode holds. 0: none under way. */
	uint64_t next;
	enum registry_mode next_mode;
	uint64_t
		ticket; /* by which it came here, and to which hand_back changes the claim; 0: it did not come */
	bool touched; /* a registration or the reservation has changed since it came */
	bool lost;    /* what was registered before is not known: who opens it is told */
	char boot[REGISTRY_BOOT_MAX];
	size_t mover_count;
	struct registry_mover movers[REGISTRY_MOVERS];
	struct pr_engine engine;
};

/* text: REGISTRY_TEXT_MAX bytes. False: it does not fit. */
bool registry_format(const struct registry *registry, char *text);
/* False: reason (NEXUS_MESSAGE_MAX bytes); *ret_registry untouched. */
bool registry_parse(const char *text, struct registry *ret_registry, char *reason);

/* NULL: none of that name. */
struct registry_mover *registry_find_mover(struct registry *registry, const char *name);
/* The one that has become here; NULL: none. */
struct registry_mover *registry_find_arrived(struct registry *registry, const char *here);
/* Adds one with this name, or finds it. NULL: no room. */
struct registry_mover *registry_add_mover(struct registry *registry, const char *name);
void registry_remove_mover(struct registry *registry, struct registry_mover *mover);

/* Of one table at two times: who is registered with what, and what is reserved, is the same. */
bool registry_same(const struct pr_engine *a, const struct pr_engine *b);

/*
 * The ticket of name: the claim's token, the movers, the engine. ret: REGISTRY_TICKET_MAX bytes, of letters, digits and "-._:/@%".
 * False: it does not fit.
 */
bool registry_ticket_format(const struct registry *registry, const char *name, char *ret);
/*
 * What arrives by it: mode AWAY, ticket the token, the movers with nobody here yet; whoever moves stands in the engine under a name that no
 * nexus has, until it is known who it becomes (registry_arrive). ret_name: CFGSTRING_NAME_MAX + 1 bytes. False: reason.
 */
bool registry_ticket_parse(const char *ticket, struct registry *ret_registry, char *ret_name,
			   char *reason);
/*
 * The mover is nexus here from now on, with what was registered there. here must not be in the table, or have nothing registered and be closed. False: reason.
 */
bool registry_arrive(struct registry *registry, struct registry_mover *mover, const char *here,
		     char *reason);
/* And back: under the name of a mover again. NULL is taken. False: reason. */
bool registry_depart(struct registry *registry, struct registry_mover *mover, char *reason);

#endif
