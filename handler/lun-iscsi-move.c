/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The iscsi backend's nexus moves whole (move= in its definition): it leaves with a logout and arrives with a login of the same initiator
 * name and ISID, on a target that keeps registrations beyond the session. While it is away another session looks at the LUN for
 * whoever inquires and reads: by the name that move= gives, with an ISID made up for it. The marker (move-marker.h) has that name too, and an ISID
 * that is the same on every host; its session lives for one call, on the caller's thread. A name of its own, since LIO
 * has one flag "registered" and one queue of unit attentions for all sessions of a name: a marker that unregisters under the guest's name takes
 * the guest's rights with it (seen with kernel 6.1, type 5).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lun-iscsi-marker.h"
#include "paths.h"

#define TICKET_FORM "iscsi.%12[0-9a-f].%16[0-9a-f]"

/* ---- who and where ---- */

static struct lun_iscsi *to_iscsi(struct lun *lun)
{
	return (struct lun_iscsi *)lun;
}

/* This host and LUN, among the hosts that one line may reach. */
static uint32_t host_number(const struct lun_iscsi *iscsi)
{
	uint32_t hash = 0x811c9dc5;
	char text[256];

	if (!paths_read_attribute(text, sizeof(text), "/etc/machine-id") &&
	    gethostname(text, sizeof(text)) != 0)
		text[0] = '\0';
	text[sizeof(text) - 1] = '\0';
	for (const char *at = text; *at != '\0'; at++)
		hash = (hash ^ (uint8_t)*at) * 0x01000193;
	for (const char *at = iscsi->name; *at != '\0'; at++)
		hash = (hash ^ (uint8_t)*at) * 0x01000193;
	return hash ^ hash >> 20;
}

static void isid_text(struct lun_iscsi *iscsi, char ret[2 * LUN_ISCSI_ISID_LEN + 1])
{
	uint8_t isid[LUN_ISCSI_ISID_LEN];

	pthread_mutex_lock(&iscsi->lock);
	lun_iscsi_definition_marker_isid(&iscsi->definition, isid);
	pthread_mutex_unlock(&iscsi->lock);
	for (unsigned int i = 0; i < LUN_ISCSI_ISID_LEN; i++)
		snprintf(ret + 2 * (size_t)i, 3, "%02x", isid[i]);
}

/* False: it is none of this backend's. */
static bool ticket_parse(const char *ticket, char ret_isid[2 * LUN_ISCSI_ISID_LEN + 1],
			 uint64_t *ret_key)
{
	char key[17] = "";

	if (strlen(ticket) != 6 + 12 + 1 + 16 || sscanf(ticket, TICKET_FORM, ret_isid, key) != 2 ||
	    strlen(key) != 16)
		return false;
	*ret_key = strtoull(key, NULL, 16);
	return true;
}

static bool is_away(struct lun_iscsi *iscsi)
{
	bool away;

	pthread_mutex_lock(&iscsi->lock);
	away = iscsi->away;
	pthread_mutex_unlock(&iscsi->lock);
	return away;
}

/* ---- struct lun_move_ops ---- */

static bool iscsi_offered(struct lun *lun)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct lun_iscsi_definition definition;
	char reason[LUN_REASON_MAX];
	bool known, move;

	pthread_mutex_lock(&iscsi->lock);
	known = iscsi->definition.target[0] != '\0';
	move = iscsi->definition.move[0] != '\0';
	pthread_mutex_unlock(&iscsi->lock);
	if (known)
		return move;
	if (!lun_iscsi_read_definition(iscsi->name, &definition, reason))
		return false;
	explicit_bzero(definition.password, sizeof(definition.password));
	return definition.move[0] != '\0';
}

static bool iscsi_fits(struct lun *lun, const char *ticket, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	char isid[2 * LUN_ISCSI_ISID_LEN + 1] = "", own[2 * LUN_ISCSI_ISID_LEN + 1];
	uint64_t key;

	isid_text(iscsi, own);
	if (!ticket_parse(ticket, isid, &key))
		snprintf(reason, LUN_REASON_MAX,
			 "it is of another kind of LUN than %s.conf describes", iscsi->name);
	else if (strcmp(isid, own) != 0)
		snprintf(reason, LUN_REASON_MAX,
			 "initiator, target, lun or move in %s.conf are not what they are on the "
			 "host "
			 "that "
			 "it comes from: give both the same definition",
			 iscsi->name);
	else
		return true;
	return false;
}

static enum lun_move iscsi_look(struct lun *lun, const char *ticket, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct lun_iscsi_marker marker = lun_iscsi_marker(iscsi);
	char isid[2 * LUN_ISCSI_ISID_LEN + 1];
	enum lun_move result;
	uint64_t key = 0;

	ticket_parse(ticket, isid, &key);
	result = move_marker_look(&lun_iscsi_marker_ops, &marker, key, host_number(iscsi), reason);
	lun_iscsi_marker_log_out(&marker);
	return result;
}

static void iscsi_stay_away(struct lun *lun, const char *id)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);

	(void)id;
	pthread_mutex_lock(&iscsi->lock);
	iscsi->away = true;
	pthread_mutex_unlock(&iscsi->lock);
}

static enum lun_move iscsi_leave(struct lun *lun, const char *id, char *ret_ticket, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct lun_iscsi_marker marker = lun_iscsi_marker(iscsi);
	char isid[2 * LUN_ISCSI_ISID_LEN + 1], why[LUN_REASON_MAX];
	uint64_t key;
	uint32_t nonce = (uint32_t)lun_iscsi_now_ms();
	enum lun_move result = move_marker_leave(&lun_iscsi_marker_ops, &marker, id,
						 !is_away(iscsi), nonce, &key, reason);

	lun_iscsi_marker_log_out(&marker);
	if (result != LUN_MOVE_DONE)
		return result;
	/* Whether the session that looks is there already is of no importance: the nexus has gone. */
	lun_iscsi_place(iscsi, true, why);
	isid_text(iscsi, isid);
	snprintf(ret_ticket, LUN_TICKET_MAX, "iscsi.%s.%016" PRIx64, isid, key);
	return LUN_MOVE_DONE;
}

/* The nexus is this host's. UNKNOWN: it cannot log in now, and does so when it can. */
static enum lun_move take(struct lun_iscsi *iscsi, char *reason)
{
	return lun_iscsi_place(iscsi, false, reason) ? LUN_MOVE_DONE : LUN_MOVE_UNKNOWN;
}

static enum lun_move iscsi_arrive(struct lun *lun, const char *id, const char *ticket, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct lun_iscsi_marker marker = lun_iscsi_marker(iscsi);
	char isid[2 * LUN_ISCSI_ISID_LEN + 1];
	enum lun_move result;
	uint64_t key = 0;

	(void)id;
	ticket_parse(ticket, isid, &key);
	result =
		move_marker_arrive(&lun_iscsi_marker_ops, &marker, key, host_number(iscsi), reason);
	lun_iscsi_marker_log_out(&marker);
	return result == LUN_MOVE_DONE ? take(iscsi, reason) : result;
}

static enum lun_move iscsi_come_back(struct lun *lun, const char *id, bool force, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct lun_iscsi_marker marker = lun_iscsi_marker(iscsi);
	enum lun_move result;

	if (!is_away(iscsi))
		return LUN_MOVE_DONE;
	if (id[0] == '\0') {
		if (force)
			return take(iscsi, reason);
		snprintf(reason, LUN_REASON_MAX,
			 "a login with the definition's initiator name would end the session of "
			 "another host that uses the same nexus now");
		return LUN_MOVE_REFUSED;
	}
	result = move_marker_come_back(&lun_iscsi_marker_ops, &marker, id, force, reason);
	lun_iscsi_marker_log_out(&marker);
	return result == LUN_MOVE_DONE ? take(iscsi, reason) : result;
}

static enum lun_move iscsi_hand_back(struct lun *lun, const char *id, bool force, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct lun_iscsi_marker marker = lun_iscsi_marker(iscsi);
	char why[LUN_REASON_MAX];
	enum lun_move result;

	(void)force;
	/* Out of the way before anybody may come. */
	lun_iscsi_place(iscsi, true, why);
	result = move_marker_hand_back(&lun_iscsi_marker_ops, &marker, id, host_number(iscsi),
				       reason);
	lun_iscsi_marker_log_out(&marker);
	return result;
}

static enum lun_move iscsi_left(struct lun *lun, const char *id, bool force, char *reason)
{
	struct lun_iscsi_marker marker = lun_iscsi_marker(to_iscsi(lun));
	enum lun_move result = move_marker_left(&lun_iscsi_marker_ops, &marker, id, force, reason);

	lun_iscsi_marker_log_out(&marker);
	return result;
}

static void iscsi_tidy(struct lun *lun, const char *id)
{
	struct lun_iscsi_marker marker = lun_iscsi_marker(to_iscsi(lun));

	move_marker_tidy(&lun_iscsi_marker_ops, &marker, id);
	lun_iscsi_marker_log_out(&marker);
}

const struct lun_move_ops lun_iscsi_move = {
	.offered = iscsi_offered,
	.fits = iscsi_fits,
	.look = iscsi_look,
	.stay_away = iscsi_stay_away,
	.leave = iscsi_leave,
	.arrive = iscsi_arrive,
	.come_back = iscsi_come_back,
	.hand_back = iscsi_hand_back,
	.left = iscsi_left,
	.tidy = iscsi_tidy,
};
