/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which physical I_T nexuses are taken, and who decides on the reservations of a LUN. Two backstores that reach one LUN by the same ports are one
 * registrant to it: what the guest of one registers and reserves would be the other's. Whoever
 * connects first has the nexus until it is closed, or has lost its LUN.
 */
#include "nexus-internal.h"

#include <stdio.h>
#include <string.h>

/* Before any nexus's own lock. */
static pthread_mutex_t claims_lock = PTHREAD_MUTEX_INITIALIZER;
static struct nexus *claims;

/* A name that stops where ports are told apart by a ',' (iSCSI) stands for each port of it. */
static bool same_port(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return *a == *b || (*a == '\0' && *b == ',') || (*a == ',' && *b == '\0');
}

static bool same_path(const struct lun_path *a, const struct lun_path *b)
{
	return same_port(a->initiator_port, b->initiator_port) &&
	       same_port(a->target_port, b->target_port);
}

/* Where no ports are known the device stands for them: other names of it are not seen to be the same. */
static void claim_make(const struct lun_identity *identity, struct nexus_claim *ret_claim)
{
	struct nexus_claim claim = {
		.path_count = identity->path_count,
		.emulated = identity->emulated,
	};

	memcpy(claim.designator, identity->designator, sizeof(claim.designator));
	memcpy(claim.paths, identity->paths, sizeof(claim.paths));
	if (claim.path_count == 0) {
		claim.path_count = 1;
		snprintf(claim.paths[0].initiator_port, LUN_PORT_MAX, "%.255s", identity->device);
	}
	*ret_claim = claim;
}

/* Who decides on the LUN's reservations is one for all of its nexuses. */
static bool is_mixed(const struct nexus_claim *a, const struct nexus_claim *b)
{
	return a->emulated != b->emulated && strcmp(a->designator, b->designator) == 0;
}

static const struct lun_path *find_shared(const struct nexus_claim *a, const struct nexus_claim *b)
{
	if (strcmp(a->designator, b->designator) != 0)
		return NULL;
	for (size_t i = 0; i < a->path_count; i++)
		for (size_t j = 0; j < b->path_count; j++)
			if (same_path(&a->paths[i], &b->paths[j]))
				return &a->paths[i];
	return NULL;
}

/* Those that met the identification belong to the guest that has the nexus. */
static void pass_unit_attentions(struct nexus *to, const struct lun_identity *identity)
{
	for (size_t i = 0; i < identity->unit_attention_count; i++) {
		const struct lun_unit_attention *attention = &identity->unit_attentions[i];
		uint16_t asc_ascq;
		uint8_t key;

		if (scsi_sense_parse(attention->sense, attention->sense_len, &key, &asc_ascq))
			nexus_add_unit_attention(to, asc_ascq);
	}
}

static void unclaim_locked(struct nexus *nexus)
{
	struct nexus **at;

	for (at = &claims; *at != NULL; at = &(*at)->next_claim) {
		if (*at == nexus) {
			*at = nexus->next_claim;
			break;
		}
	}
}

static void say_shared(const struct nexus *other, const struct nexus_claim *claim,
		       const struct lun_path *path, char *reason)
{
	char to[16 + LUN_PORT_MAX] = "";

	if (path->target_port[0] != '\0')
		snprintf(to, sizeof(to), " to %.90s", path->target_port);
	snprintf(reason, LUN_REASON_MAX,
		 "nexus '%s' is on LUN %.40s by the same I_T nexus already (%.90s%s): the LUN "
		 "could not tell the two guests apart; give this one another path to it (another "
		 "initiator port, NPIV, an iSCSI session of its own)",
		 other->config.name, claim->designator, path->initiator_port, to);
}

static void say_mixed(const struct nexus *other, const struct nexus_claim *claim, char *reason)
{
	snprintf(
		reason, LUN_REASON_MAX,
		"nexus '%s' is on LUN %.120s with reservations %s: two registries of one LUN would "
		"not know of each other; give all nexuses of the LUN pr=emulate, or none",
		other->config.name, claim->designator,
		other->claim.emulated ? "that prmig emulates, and this one has none"
				      : "of the LUN itself, and this one has pr=emulate");
}

bool nexus_claim(struct nexus *nexus, const struct lun_identity *identity, char *reason)
{
	const struct lun_path *shared = NULL;
	struct nexus_claim claim;
	struct nexus *other;
	bool mixed = false;

	claim_make(identity, &claim);
	pthread_mutex_lock(&claims_lock);
	unclaim_locked(nexus);
	for (other = claims; other != NULL; other = other->next_claim) {
		mixed = is_mixed(&other->claim, &claim);
		shared = find_shared(&other->claim, &claim);
		if (mixed || shared != NULL)
			break;
	}
	if (mixed) {
		say_mixed(other, &claim, reason);
	} else if (shared != NULL) {
		say_shared(other, &claim, shared, reason);
		pass_unit_attentions(other, identity);
	} else {
		nexus->claim = claim;
		nexus->next_claim = claims;
		claims = nexus;
	}
	pthread_mutex_unlock(&claims_lock);
	return !mixed && shared == NULL;
}

void nexus_unclaim(struct nexus *nexus)
{
	pthread_mutex_lock(&claims_lock);
	unclaim_locked(nexus);
	pthread_mutex_unlock(&claims_lock);
}
