/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words that the hand-over, the nexus and the D-Bus edge share. Pure.
 */
#ifndef PRMIG_NEXUS_TYPES_H
#define PRMIG_NEXUS_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#define NEXUS_STATE_LINE_MAX 4096 /* with NUL */
#define NEXUS_MESSAGE_MAX 768
#define NEXUS_ID_LEN 32 /* a hand-over's id: hex digits */

enum nexus_state { NEXUS_ACTIVE, NEXUS_INCOMING, NEXUS_EXPORTED };

/* In the order of the names after org.prmig1.Error. */
enum nexus_error {
	NEXUS_OK,
	NEXUS_ERROR_FENCED,
	NEXUS_ERROR_STALE,
	NEXUS_ERROR_WRONG_LUN,
	NEXUS_ERROR_KEY_SHARED,
	NEXUS_ERROR_WRONG_STATE,
	NEXUS_ERROR_BAD_STATE,
	NEXUS_ERROR_NOT_REGISTERED,
	NEXUS_ERROR_UNSUPPORTED,
	NEXUS_ERROR_TIMEOUT,
	NEXUS_ERROR_LUN,
};

/*
 * What a group tells a nexus that shares its LUN with others of the group (design section 7, Groups). All zero: nothing; so it is for a nexus that is
 * called alone. Of those with one key one leads, the holder if there is one: a fence takes the key from all of them at once, so what the
 * leader proves is proved for those that are led.
 */
struct nexus_part {
	bool of_group; /* the others are called too, each in its turn */
	bool led;      /* Export: another one leads */
	uint32_t
		siblings; /* Export, of the leader: how many it leads, found registered just before */
	uint32_t
		moves; /* Import, Check: how often the others have moved PRGENERATION since this line's barrier */
	bool unproven; /* Abort of a led one: the leader's proof is still to come, so the gate stays closed */
	bool leader_lost; /* Import, Abort of a led one: another initiator has removed the leader's key */
};

#endif
