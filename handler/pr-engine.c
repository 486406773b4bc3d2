/* SPDX-License-Identifier: Apache-2.0 */
/* The table of nexuses, and how commands stand to the reservation. */
#include "pr-engine.h"

#include <stdio.h>
#include <string.h>

#include "be.h"
#include "pr-engine-internal.h"

#define ISCSI_PORT_NAME 0x45
#define ISCSI_HEADER_LEN 4

const struct pr_engine_answer pr_engine_not_stored = {
	.status = SCSI_CHECK_CONDITION,
	.sense_key = SCSI_ILLEGAL_REQUEST,
	.asc_ascq = SCSI_ASC_INSUFFICIENT_REGISTRATION_RESOURCES,
};

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool same_port_name(const char *a, const char *b)
{
	while (*a != '\0' && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return *a == '\0' && *b == '\0';
}

void pr_engine_init(struct pr_engine *engine, bool ptpl_c)
{
	memset(engine, 0, sizeof(*engine));
	engine->ptpl_c = ptpl_c;
}

int pr_engine_find(const struct pr_engine *engine, const char *name, uint16_t relative_target_port)
{
	for (int i = 0; i < PR_ENGINE_NEXUSES; i++)
		if (engine->nexuses[i].name[0] != '\0' &&
		    strcmp(engine->nexuses[i].name, name) == 0 &&
		    engine->nexuses[i].relative_target_port == relative_target_port)
			return i;
	return -1;
}

/* To initiators names that differ by case alone are one port. but: a slot that does not count; -1: each counts. */
static bool name_clashes(const struct pr_engine *engine, const char *name, int but, char *reason)
{
	for (int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		const char *other = engine->nexuses[i].name;

		if (i == but || strcmp(other, name) == 0 || !same_port_name(other, name))
			continue;
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "the LUN knows a nexus '%s', whose name differs from '%s' by upper and "
			 "lower case alone: initiators take both for one "
			 "port; use another name",
			 other, name);
		return true;
	}
	return false;
}

bool pr_engine_name_free(const struct pr_engine *engine, const char *name,
			 uint16_t relative_target_port, char *reason)
{
	if (pr_engine_find(engine, name, relative_target_port) >= 0) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "the LUN knows a nexus '%s' already", name);
		return false;
	}
	return !name_clashes(engine, name, -1, reason);
}

static int find_room(const struct pr_engine *engine)
{
	for (int i = 0; i < PR_ENGINE_NEXUSES; i++)
		if (engine->nexuses[i].name[0] == '\0')
			return i;
	for (int i = 0; i < PR_ENGINE_NEXUSES; i++)
		if (!engine->nexuses[i].open && engine->nexuses[i].key == 0)
			return i;
	return -1;
}

int pr_engine_open(struct pr_engine *engine, const char *name, uint16_t relative_target_port,
		   char *reason)
{
	int slot = pr_engine_find(engine, name, relative_target_port);
	struct pr_engine_nexus *nexus;

	if (slot >= 0 && engine->nexuses[slot].open) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "nexus '%s' is open on this LUN already", name);
		return -1;
	}
	if (slot < 0) {
		if (!pr_engine_name_free(engine, name, relative_target_port, reason))
			return -1;
		slot = find_room(engine);
		if (slot < 0) {
			snprintf(reason, NEXUS_MESSAGE_MAX,
				 "%d nexuses are open or registered on this LUN already, which is "
				 "the most",
				 PR_ENGINE_NEXUSES);
			return -1;
		}
		nexus = &engine->nexuses[slot];
		memset(nexus, 0, sizeof(*nexus));
		snprintf(nexus->name, sizeof(nexus->name), "%s", name);
		nexus->relative_target_port = relative_target_port;
	}
	engine->nexuses[slot].open = true;
	return slot;
}

void pr_engine_close(struct pr_engine *engine, unsigned int nexus)
{
	struct pr_engine_nexus *slot = &engine->nexuses[nexus];

	slot->open = false;
	if (slot->key == 0 && slot->unit_attention_count == 0)
		memset(slot, 0, sizeof(*slot));
}

bool pr_engine_rename(struct pr_engine *engine, unsigned int nexus, const char *name, char *reason)
{
	struct pr_engine_nexus *slot = &engine->nexuses[nexus];

	if (strcmp(slot->name, name) == 0)
		return true;
	if (pr_engine_find(engine, name, slot->relative_target_port) >= 0) {
		snprintf(
			reason, NEXUS_MESSAGE_MAX,
			"nexus '%s' cannot go on as '%s': the LUN knows another nexus of that name",
			slot->name, name);
		return false;
	}
	if (name_clashes(engine, name, (int)nexus, reason))
		return false;
	snprintf(slot->name, sizeof(slot->name), "%s", name);
	return true;
}

bool pr_engine_is_holder(const struct pr_engine *engine, unsigned int nexus)
{
	if (engine->type == PR_TYPE_NONE || engine->nexuses[nexus].key == 0)
		return false;
	return pr_type_all_registrants(engine->type) || engine->holder == nexus;
}

unsigned int pr_engine_registrations(const struct pr_engine *engine)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++)
		count += engine->nexuses[i].key != 0;
	return count;
}

size_t pr_engine_transport_id(const struct pr_engine_nexus *nexus, uint8_t *ret)
{
	char text[sizeof(PR_ENGINE_PORT_PREFIX PR_ENGINE_PORT_SUFFIX) + CFGSTRING_NAME_MAX];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s%s%s", PR_ENGINE_PORT_PREFIX,
				      nexus->name, PR_ENGINE_PORT_SUFFIX);
	size_t additional_len = (len + 1 + 3) / 4 * 4; /* the NUL, and up to a multiple of 4 */

	memset(ret, 0, ISCSI_HEADER_LEN + additional_len);
	ret[0] = ISCSI_PORT_NAME;
	be_put16(ret + 2, (uint16_t)additional_len);
	for (size_t i = 0; i < len; i++)
		ret[ISCSI_HEADER_LEN + i] = (uint8_t)lower(text[i]);
	return ISCSI_HEADER_LEN + additional_len;
}

int pr_engine_find_port(const struct pr_engine *engine, const uint8_t *transport_id,
			size_t transport_id_len, uint16_t relative_target_port)
{
	char wanted[PR_TRANSPORT_ID_TEXT_MAX], found[PR_TRANSPORT_ID_TEXT_MAX];

	if (!pr_transport_id_text(transport_id, transport_id_len, wanted))
		return -1;
	for (int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		const struct pr_engine_nexus *nexus = &engine->nexuses[i];
		uint8_t own[PR_TRANSPORT_ID_MAX];

		/* FORMAT CODE and protocol as they are: a device's name is no port's, though it read like one. */
		if (nexus->name[0] != '\0' && nexus->relative_target_port == relative_target_port &&
		    pr_transport_id_text(own, pr_engine_transport_id(nexus, own), found) &&
		    own[0] == transport_id[0] && strcmp(found, wanted) == 0)
			return i;
	}
	return -1;
}

/* pr-reference section 4: SPC-4 table 65 and SBC-4 table 13 as one rule. */
bool pr_engine_conflicts(const struct pr_engine *engine, unsigned int nexus, enum scsi_class class)
{
	bool registrants =
		engine->type != PR_TYPE_WRITE_EXCLUSIVE && engine->type != PR_TYPE_EXCLUSIVE_ACCESS;

	if (engine->type == PR_TYPE_NONE || pr_engine_is_holder(engine, nexus) ||
	    (registrants && engine->nexuses[nexus].key != 0))
		return false;
	switch (class) {
	case SCSI_CLASS_R:
		return engine->type != PR_TYPE_WRITE_EXCLUSIVE &&
		       engine->type != PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY &&
		       engine->type != PR_TYPE_WRITE_EXCLUSIVE_ALL_REGISTRANTS;
	case SCSI_CLASS_W:
		return true;
	default:
		return false;
	}
}

void pr_engine_commit(struct pr_engine *engine, const struct pr_engine_change *change)
{
	struct pr_engine before = *engine;

	if (!change->changed)
		return;
	*engine = change->next;
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		struct pr_engine_nexus *nexus = &engine->nexuses[i];

		if (nexus->name[0] == '\0')
			continue;
		nexus->unit_attention_count = before.nexuses[i].unit_attention_count;
		memcpy(nexus->unit_attentions, before.nexuses[i].unit_attentions,
		       sizeof(nexus->unit_attentions));
		if (change->unit_attention[i] != 0)
			pr_engine_add_unit_attention(engine, i, change->unit_attention[i]);
	}
}
