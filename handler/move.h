/* SPDX-License-Identifier: Apache-2.0 */
/* What comes of a step of moving a nexus whole; of the hand-over (handover-whole*.c) and of the backends (lun-move.h). */
#ifndef PRMIG_MOVE_H
#define PRMIG_MOVE_H

/* Printable ASCII, with its NUL; percent-encoded in the line where it is not of letters, digits and "-._~". */
#define LUN_TICKET_MAX 3072

enum lun_move {
	LUN_MOVE_DONE,
	LUN_MOVE_REFUSED, /* nothing has changed, for certain */
	LUN_MOVE_TAKEN, /* the same, because another host has the nexus, or what was asked for is a ticket no more */
	LUN_MOVE_UNKNOWN, /* no answer: asked again, before anything else is done with the nexus */
};

#endif
