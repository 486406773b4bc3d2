/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a nexus that moves whole, as the LUN itself tells it: by the key of an I_T nexus beside, the marker's nexus, by which either host
 * can log in and over which no data goes. From Export to Release it is registered with a key that says of which hand-over it is and where the
 * nexus is: REGISTER (old -> new) is the compare and swap that all hosts see. A key that another initiator removes fits to nothing any more,
 * and then nothing but force decides. Pure.
 *
 *     ticket: left, to be taken by whoever has this very ticket
 *     source: came back             destination: arrived, and where
 */
#ifndef PRMIG_MOVE_MARKER_H
#define PRMIG_MOVE_MARKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "move.h"

#define MOVE_MARKER_KEYS_BYTES 32760 /* for READ KEYS */

/* What became of a PERSISTENT RESERVE OUT of the marker's nexus. */
enum move_marker_wire {
	MOVE_MARKER_GOOD,
	MOVE_MARKER_CONFLICT,
	MOVE_MARKER_REFUSED, /* the LUN does not do that */
	MOVE_MARKER_DOUBTFUL, /* a status that may lie: NOT READY, as LIO answers where it cannot write its APTPL file */
	MOVE_MARKER_LOST, /* no answer */
};

/* The marker's nexus. user is what the functions below were given. error says why something failed. */
struct move_marker_ops {
	/* REGISTER; ignore: AND IGNORE EXISTING KEY. */
	enum move_marker_wire (*put)(void *user, uint64_t key, uint64_t new_key, bool ignore);
	enum move_marker_wire (*preempt)(void *user, uint64_t key, uint64_t other);
	/* READ KEYS. False: no answer. */
	bool (*read_keys)(void *user, uint8_t *data, size_t size, size_t *ret_len);
	/* Ends the session and makes it again. */
	bool (*log_in_again)(void *user);
	const char *(*error)(void *user);
};

/*
 * As struct lun_move_ops has them; what the nexus itself does, log out or in, is the caller's, before or after. id: of the hand-over.
 * nonce: any number. host: who this one is among those that a ticket may reach. reason: MOVE_MARKER_REASON_MAX bytes.
 */
#define MOVE_MARKER_REASON_MAX 512
/* here: nobody has a ticket yet. REFUSED then too where the target forgets a registration when its session ends. */
enum lun_move move_marker_leave(const struct move_marker_ops *ops, void *user, const char *id,
				bool here, uint32_t nonce, uint64_t *ret_ticket, char *reason);
enum lun_move move_marker_arrive(const struct move_marker_ops *ops, void *user, uint64_t ticket,
				 uint32_t host, char *reason);
/* Whether ticket is the marker's key now. UNKNOWN: the LUN does not tell. */
enum lun_move move_marker_look(const struct move_marker_ops *ops, void *user, uint64_t ticket,
			       uint32_t host, char *reason);
enum lun_move move_marker_come_back(const struct move_marker_ops *ops, void *user, const char *id,
				    bool force, char *reason);
enum lun_move move_marker_hand_back(const struct move_marker_ops *ops, void *user, const char *id,
				    uint32_t host, char *reason);
enum lun_move move_marker_left(const struct move_marker_ops *ops, void *user, const char *id,
			       bool force, char *reason);
void move_marker_tidy(const struct move_marker_ops *ops, void *user, const char *id);

#endif
