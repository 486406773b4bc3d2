/* SPDX-License-Identifier: Apache-2.0 */
#include "move-marker.h"

#include <stdio.h>
#include <string.h>

#include "pr.h"

/* The key, from its top: the hand-over (a hash of its id), where the nexus is, the ticket's number, the host. Never 0. */
#define HANDOVER_SHIFT 40
#define PLACE_SHIFT 38
#define NONCE_SHIFT 20
#define NONCE_MASK 0x3ffffu
#define HOST_MASK 0xfffffu
/* A command whose answer was lost is sent once more: the session in between has ended it. */
#define ATTEMPTS 3

enum place { NOWHERE, TICKET, SOURCE, DESTINATION };

static enum place place_of(uint64_t key)
{
	return (enum place)(key >> PLACE_SHIFT & 3);
}

static uint64_t with_place(uint64_t key, enum place place, uint32_t host)
{
	key &= ~((uint64_t)3 << PLACE_SHIFT | HOST_MASK);
	return key | (uint64_t)place << PLACE_SHIFT | (host & HOST_MASK);
}

/* FNV-1a. */
static uint64_t make(const char *id, enum place place, uint32_t nonce)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *id != '\0'; id++)
		hash = (hash ^ (uint8_t)*id) * 0x100000001b3;
	hash ^= hash >> 24;
	return with_place(hash << HANDOVER_SHIFT | (uint64_t)(nonce & NONCE_MASK) << NONCE_SHIFT,
			  place, 0);
}

static bool same_handover(uint64_t a, uint64_t b)
{
	return a >> HANDOVER_SHIFT == b >> HANDOVER_SHIFT;
}

static uint64_t be64(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

static enum lun_move unknown(const struct move_marker_ops *ops, void *user, char *reason)
{
	snprintf(reason, MOVE_MARKER_REASON_MAX, "the LUN does not tell who has the nexus: %s",
		 ops->error(user));
	return LUN_MOVE_UNKNOWN;
}

static enum lun_move refuse(char *reason, enum lun_move result, const char *text)
{
	snprintf(reason, MOVE_MARKER_REASON_MAX, "%s", text);
	return result;
}

/* The key of like's hand-over that is listed, whatever it says of where the nexus is; 0: none. False: no answer. */
static bool find(const struct move_marker_ops *ops, void *user, uint64_t like, uint64_t *ret_key)
{
	uint8_t data[MOVE_MARKER_KEYS_BYTES];
	struct pr_keys keys;
	size_t len;

	if (!ops->read_keys(user, data, sizeof(data), &len) ||
	    !pr_keys_parse(data, len, like, &keys) || keys.truncated)
		return false;
	*ret_key = 0;
	for (uint32_t i = 0; i < keys.count; i++) {
		uint64_t key = be64(data + 8 + 8 * (size_t)i);

		if (same_handover(key, like) && place_of(key) != NOWHERE)
			*ret_key = key;
	}
	return true;
}

/* What found says about an answer other than the one hoped for. */
static enum lun_move elsewhere(uint64_t found, char *reason)
{
	switch (place_of(found)) {
	case DESTINATION:
		return refuse(reason, LUN_MOVE_TAKEN, "the nexus has arrived at another host");
	case SOURCE:
		return refuse(reason, LUN_MOVE_TAKEN, "the source has taken the nexus back");
	case TICKET:
		return refuse(reason, LUN_MOVE_TAKEN, "the source has made a newer state line");
	case NOWHERE:
		break;
	}
	return refuse(reason, LUN_MOVE_REFUSED,
		      "the LUN does not tell who has the nexus: the key that said so (prmig's own, "
		      "for the time of the hand-over) is not registered any more");
}

/* The same for who wants to arrive: a line whose hand-over has ended is out of date. */
static enum lun_move too_late(uint64_t found, char *reason)
{
	if (place_of(found) != NOWHERE)
		return elsewhere(found, reason);
	return refuse(
		reason, LUN_MOVE_TAKEN,
		"its hand-over has ended, or the key that said so on the LUN (prmig's own) is not "
		"registered any more");
}

/* REGISTER (old -> new); DONE: new stands. The keys say who put them there, so that READ KEYS tells what became of it. */
static enum lun_move swap(const struct move_marker_ops *ops, void *user, uint64_t old,
			  uint64_t new_key, char *reason)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		enum move_marker_wire wire = ops->put(user, old, new_key, false);
		uint64_t found;

		if (!find(ops, user, new_key, &found))
			continue;
		if (found == new_key)
			return LUN_MOVE_DONE;
		if (found != old)
			return elsewhere(found, reason);
		if (wire == MOVE_MARKER_REFUSED || wire == MOVE_MARKER_CONFLICT) {
			snprintf(reason, MOVE_MARKER_REASON_MAX,
				 "the LUN does not let the marker's key be changed: %s",
				 ops->error(user));
			return LUN_MOVE_REFUSED;
		}
	}
	return unknown(ops, user, reason);
}

/* What stands of an older hand-over, or nothing, becomes key. Only for who has the nexus. */
static enum lun_move put_anew(const struct move_marker_ops *ops, void *user, uint64_t key,
			      char *reason)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		enum move_marker_wire wire = ops->put(user, 0, key, true);
		uint64_t found;

		if (!find(ops, user, key, &found))
			continue;
		if (found == key)
			return LUN_MOVE_DONE;
		if (wire == MOVE_MARKER_REFUSED || wire == MOVE_MARKER_CONFLICT) {
			snprintf(reason, MOVE_MARKER_REASON_MAX,
				 "the LUN does not register the marker's key: %s",
				 ops->error(user));
			return LUN_MOVE_REFUSED;
		}
	}
	return unknown(ops, user, reason);
}

/* A key that a target lists though the session that registered it has ended. */
static void remove_forgotten(const struct move_marker_ops *ops, void *user, uint64_t key)
{
	uint64_t broom = with_place(key, SOURCE, 0), found;

	if (!find(ops, user, key, &found) || found == 0)
		return;
	if (ops->put(user, 0, broom, true) == MOVE_MARKER_GOOD)
		ops->preempt(user, broom, key);
	ops->put(user, broom, 0, false);
}

/* Does a registration outlive its session at this target? The marker's own tells, before the guest's is risked. */
static enum lun_move prove_kept(const struct move_marker_ops *ops, void *user, uint64_t key,
				char *reason)
{
	if (!ops->log_in_again(user))
		return unknown(ops, user, reason);
	switch (ops->put(user, key, key, false)) {
	case MOVE_MARKER_GOOD:
	case MOVE_MARKER_DOUBTFUL:
		return LUN_MOVE_DONE;
	case MOVE_MARKER_CONFLICT:
		remove_forgotten(ops, user, key);
		return refuse(reason, LUN_MOVE_REFUSED,
			      "the target forgets a registration when its session ends, so that a "
			      "nexus cannot move whole there: take move= out of the definitions, "
			      "and give each host an initiator name of its own");
	case MOVE_MARKER_REFUSED:
	case MOVE_MARKER_LOST:
		break;
	}
	return unknown(ops, user, reason);
}

enum lun_move move_marker_leave(const struct move_marker_ops *ops, void *user, const char *id,
				bool here, uint32_t nonce, uint64_t *ret_ticket, char *reason)
{
	uint64_t ticket = make(id, TICKET, nonce), found;
	enum lun_move result;

	if (here) {
		result = put_anew(ops, user, ticket, reason);
		if (result == LUN_MOVE_DONE)
			result = prove_kept(ops, user, ticket, reason);
	} else {
		if (!find(ops, user, ticket, &found))
			return unknown(ops, user, reason);
		/* The same number twice would let an older line in. */
		if (found == ticket)
			ticket = make(id, TICKET, nonce + 1);
		if (place_of(found) != TICKET && place_of(found) != SOURCE)
			return elsewhere(found, reason);
		result = swap(ops, user, found, ticket, reason);
	}
	if (result == LUN_MOVE_DONE)
		*ret_ticket = ticket;
	return result;
}

enum lun_move move_marker_look(const struct move_marker_ops *ops, void *user, uint64_t ticket,
			       uint32_t host, char *reason)
{
	uint64_t found;

	if (!find(ops, user, ticket, &found))
		return unknown(ops, user, reason);
	if (found == ticket || found == with_place(ticket, DESTINATION, host))
		return LUN_MOVE_DONE;
	return too_late(found, reason);
}

enum lun_move move_marker_arrive(const struct move_marker_ops *ops, void *user, uint64_t ticket,
				 uint32_t host, char *reason)
{
	uint64_t mine = with_place(ticket, DESTINATION, host), found;

	if (!find(ops, user, ticket, &found))
		return unknown(ops, user, reason);
	if (found == mine)
		return LUN_MOVE_DONE;
	if (found != ticket)
		return too_late(found, reason);
	return swap(ops, user, ticket, mine, reason);
}

enum lun_move move_marker_come_back(const struct move_marker_ops *ops, void *user, const char *id,
				    bool force, char *reason)
{
	uint64_t mine = make(id, SOURCE, 0), found;

	if (force)
		return put_anew(ops, user, mine, reason);
	if (!find(ops, user, mine, &found))
		return unknown(ops, user, reason);
	if (found == mine)
		return LUN_MOVE_DONE;
	if (place_of(found) != TICKET)
		return elsewhere(found, reason);
	return swap(ops, user, found, mine, reason);
}

enum lun_move move_marker_hand_back(const struct move_marker_ops *ops, void *user, const char *id,
				    uint32_t host, char *reason)
{
	uint64_t like = make(id, DESTINATION, 0), found;

	if (!find(ops, user, like, &found))
		return unknown(ops, user, reason);
	/* It never arrived, has been handed back, or was taken by force. */
	if (place_of(found) != DESTINATION || (found & HOST_MASK) != (host & HOST_MASK))
		return LUN_MOVE_DONE;
	switch (swap(ops, user, found, with_place(found, TICKET, 0), reason)) {
	case LUN_MOVE_UNKNOWN:
		return LUN_MOVE_UNKNOWN;
	case LUN_MOVE_DONE:
	case LUN_MOVE_REFUSED:
	case LUN_MOVE_TAKEN:
		break;
	}
	return LUN_MOVE_DONE;
}

enum lun_move move_marker_left(const struct move_marker_ops *ops, void *user, const char *id,
			       bool force, char *reason)
{
	uint64_t found;

	if (!find(ops, user, make(id, TICKET, 0), &found))
		return unknown(ops, user, reason);
	if (force || place_of(found) == DESTINATION)
		return LUN_MOVE_DONE;
	if (place_of(found) == NOWHERE)
		return elsewhere(found, reason);
	return refuse(reason, LUN_MOVE_REFUSED, "no host has taken the nexus");
}

void move_marker_tidy(const struct move_marker_ops *ops, void *user, const char *id)
{
	uint64_t found;

	if (find(ops, user, make(id, TICKET, 0), &found) &&
	    (place_of(found) == SOURCE || place_of(found) == DESTINATION))
		ops->put(user, found, 0, false);
}
