/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words that the hand-over, the nexus and the D-Bus edge share. Pure.
 */
#ifndef PRMIG_NEXUS_TYPES_H
#define PRMIG_NEXUS_TYPES_H

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

#endif
