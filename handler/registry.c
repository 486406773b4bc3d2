/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fields.h"

#define MAJOR 1
#define VERSION "1.0"
#define SEPARATOR '\n'
#define RELATIVE_TARGET_PORT 1
#define MOVER_TEXT_MAX (2 * (CFGSTRING_NAME_MAX + 1) + NEXUS_ID_LEN + 2)

static const char *const mode_names[] = {
	[REGISTRY_AWAY] = "away",
	[REGISTRY_HERE] = "here",
	[REGISTRY_LEFT] = "left",
};

/* ---- movers ---- */

struct registry_mover *registry_find_mover(struct registry *registry, const char *name)
{
	for (size_t i = 0; i < registry->mover_count; i++)
		if (strcmp(registry->movers[i].name, name) == 0)
			return &registry->movers[i];
	return NULL;
}

struct registry_mover *registry_find_arrived(struct registry *registry, const char *here)
{
	for (size_t i = 0; i < registry->mover_count; i++)
		if (strcmp(registry->movers[i].here, here) == 0)
			return &registry->movers[i];
	return NULL;
}

struct registry_mover *registry_add_mover(struct registry *registry, const char *name)
{
	struct registry_mover *mover = registry_find_mover(registry, name);

	if (mover != NULL || registry->mover_count == REGISTRY_MOVERS)
		return mover;
	mover = &registry->movers[registry->mover_count++];
	memset(mover, 0, sizeof(*mover));
	snprintf(mover->name, sizeof(mover->name), "%s", name);
	return mover;
}

void registry_remove_mover(struct registry *registry, struct registry_mover *mover)
{
	*mover = registry->movers[--registry->mover_count];
}

/* The name that a mover has in the engine until it is known who it becomes. */
static void moving_name(const struct registry *registry, const struct registry_mover *mover,
			char *ret)
{
	snprintf(ret, CFGSTRING_NAME_MAX + 1, "moving-%016" PRIx64 "-%zu", registry->ticket,
		 (size_t)(mover - registry->movers));
}

bool registry_same(const struct pr_engine *a, const struct pr_engine *b)
{
	if (a->type != b->type || a->holder != b->holder || a->aptpl != b->aptpl)
		return false;
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++)
		if (a->nexuses[i].key != b->nexuses[i].key)
			return false;
	return true;
}

/* ---- the common fields ---- */

static void add_movers(struct fields_writer *writer, const struct registry *registry)
{
	for (size_t i = 0; i < registry->mover_count; i++) {
		const struct registry_mover *mover = &registry->movers[i];
		char key[32], text[MOVER_TEXT_MAX];

		snprintf(key, sizeof(key), "mover%zu", i);
		snprintf(text, sizeof(text), "%s/%s/%s", mover->name, mover->here, mover->id);
		fields_add_text(writer, key, text);
	}
}

/* One word of text up to '/' or its end. */
static bool take_word(const char **text, char *ret, size_t size)
{
	size_t len = strcspn(*text, "/");

	if (len >= size)
		return false;
	memcpy(ret, *text, len);
	ret[len] = '\0';
	*text += len + ((*text)[len] == '/');
	return true;
}

static bool get_movers(const char *text, struct registry *registry, char *reason)
{
	for (size_t i = 0; i < REGISTRY_MOVERS; i++) {
		char key[32], value[MOVER_TEXT_MAX];
		const char *at = value;
		struct registry_mover *mover = &registry->movers[i];

		snprintf(key, sizeof(key), "mover%zu", i);
		if (!fields_get_text(text, SEPARATOR, key, value, sizeof(value)))
			break;
		if (!take_word(&at, mover->name, sizeof(mover->name)) ||
		    !take_word(&at, mover->here, sizeof(mover->here)) ||
		    !take_word(&at, mover->id, sizeof(mover->id)) ||
		    !cfgstring_name_valid(mover->name) ||
		    (mover->here[0] != '\0' && !cfgstring_name_valid(mover->here))) {
			snprintf(reason, NEXUS_MESSAGE_MAX, "field '%s' names no nexus", key);
			return false;
		}
		registry->mover_count++;
	}
	return true;
}

static bool check(const char *text, const char *what, char *reason)
{
	char found[16] = "";

	switch (fields_check(text, SEPARATOR, MAJOR)) {
	case FIELDS_GOOD:
		break;
	case FIELDS_UNKNOWN_VERSION:
		snprintf(reason, NEXUS_MESSAGE_MAX, "it was written by a newer version of prmig");
		return false;
	default:
		snprintf(reason, NEXUS_MESSAGE_MAX, "it is damaged");
		return false;
	}
	if (fields_get_text(text, SEPARATOR, "what", found, sizeof(found)) &&
	    strcmp(found, what) == 0)
		return true;
	snprintf(reason, NEXUS_MESSAGE_MAX, "it is no %s", what);
	return false;
}

/* ---- the file ---- */

bool registry_format(const struct registry *registry, char *text)
{
	struct fields_writer writer;

	fields_begin(&writer, text, REGISTRY_TEXT_MAX, SEPARATOR, VERSION);
	fields_add_text(&writer, "what", "registry");
	fields_add_text(&writer, "mode", mode_names[registry->mode]);
	fields_add_hex(&writer, "token", registry->token);
	fields_add_hex(&writer, "next", registry->next);
	fields_add_text(&writer, "next-mode", mode_names[registry->next_mode]);
	fields_add_hex(&writer, "ticket", registry->ticket);
	fields_add_number(&writer, "touched", registry->touched);
	fields_add_number(&writer, "lost", registry->lost);
	fields_add_text(&writer, "boot", registry->boot);
	add_movers(&writer, registry);
	pr_engine_add_fields(&writer, &registry->engine);
	return fields_finish(&writer);
}

static bool get_mode(const char *text, const char *key, enum registry_mode *ret_mode, char *reason)
{
	char name[8];

	if (fields_get_text(text, SEPARATOR, key, name, sizeof(name)))
		for (int i = REGISTRY_AWAY; i <= REGISTRY_LEFT; i++)
			if (strcmp(name, mode_names[i]) == 0) {
				*ret_mode = (enum registry_mode)i;
				return true;
			}
	snprintf(reason, NEXUS_MESSAGE_MAX, "field '%s' is missing or makes no sense", key);
	return false;
}

bool registry_parse(const char *text, struct registry *ret_registry, char *reason)
{
	static const char missing[] = "a field is missing or makes no sense";
	struct registry registry = {0};
	uint64_t lost, touched;

	if (!check(text, "registry", reason) || !get_mode(text, "mode", &registry.mode, reason) ||
	    !get_mode(text, "next-mode", &registry.next_mode, reason) ||
	    !get_movers(text, &registry, reason))
		return false;
	if (!fields_get_number(text, SEPARATOR, "token", UINT64_MAX, &registry.token) ||
	    !fields_get_number(text, SEPARATOR, "next", UINT64_MAX, &registry.next) ||
	    !fields_get_number(text, SEPARATOR, "ticket", UINT64_MAX, &registry.ticket) ||
	    !fields_get_number(text, SEPARATOR, "touched", 1, &touched) ||
	    !fields_get_number(text, SEPARATOR, "lost", 1, &lost) ||
	    !fields_get_text(text, SEPARATOR, "boot", registry.boot, sizeof(registry.boot))) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "%s", missing);
		return false;
	}
	registry.lost = lost;
	registry.touched = touched;
	if (!pr_engine_get_fields(text, SEPARATOR, true, &registry.engine, reason))
		return false;
	*ret_registry = registry;
	return true;
}

/* ---- the ticket ---- */

/* '@' stands in no field of these: it is '=' and the newline by turns, so that a line need not encode these. */
static void pack(char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '=' || *text == SEPARATOR)
			*text = '@';
}

static void unpack(char *text)
{
	bool value = false;

	for (; *text != '\0'; text++)
		if (*text == '@') {
			*text = value ? SEPARATOR : '=';
			value = !value;
		}
}

bool registry_ticket_format(const struct registry *registry, const char *name, char *ret)
{
	struct registry bare = *registry;
	struct fields_writer writer;

	/* Who is what here is nobody's business there. */
	for (size_t i = 0; i < bare.mover_count; i++)
		bare.movers[i].here[0] = bare.movers[i].id[0] = '\0';
	fields_begin(&writer, ret, REGISTRY_TICKET_MAX, SEPARATOR, VERSION);
	fields_add_text(&writer, "what", "ticket");
	fields_add_hex(&writer, "token", registry->token);
	fields_add_text(&writer, "name", name);
	fields_add_number(&writer, "lost", registry->lost);
	add_movers(&writer, &bare);
	pr_engine_add_fields(&writer, &registry->engine);
	if (!fields_finish(&writer))
		return false;
	pack(ret);
	return true;
}

/* So that whoever becomes what, in whatever order, no two meet under one name. */
static bool set_moving(struct registry *registry, char *reason)
{
	for (size_t i = 0; i < registry->mover_count; i++) {
		const struct registry_mover *mover = &registry->movers[i];
		int slot = pr_engine_find(&registry->engine, mover->name, RELATIVE_TARGET_PORT);
		char name[CFGSTRING_NAME_MAX + 1];

		moving_name(registry, mover, name);
		if (slot >= 0 &&
		    !pr_engine_rename(&registry->engine, (unsigned int)slot, name, reason))
			return false;
	}
	return true;
}

bool registry_arrive(struct registry *registry, struct registry_mover *mover, const char *here,
		     char *reason)
{
	struct pr_engine *engine = &registry->engine;
	char name[CFGSTRING_NAME_MAX + 1];
	int from, own = pr_engine_find(engine, here, RELATIVE_TARGET_PORT);

	moving_name(registry, mover, name);
	from = pr_engine_find(engine, name, RELATIVE_TARGET_PORT);
	if (own >= 0 && engine->nexuses[own].key != 0) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "a nexus '%s' is registered on the LUN already, and is another one than "
			 "'%s', which moves: import it on a nexus of another name",
			 here, mover->name);
		return false;
	}
	if (own >= 0) {
		engine->nexuses[own].unit_attention_count = 0;
		pr_engine_close(engine, (unsigned int)own);
	}
	if (from >= 0 && !pr_engine_rename(engine, (unsigned int)from, here, reason))
		return false;
	snprintf(mover->here, sizeof(mover->here), "%s", here);
	return true;
}

bool registry_depart(struct registry *registry, struct registry_mover *mover, char *reason)
{
	char name[CFGSTRING_NAME_MAX + 1];
	int slot;

	if (mover == NULL)
		return true;
	slot = pr_engine_find(&registry->engine, mover->here, RELATIVE_TARGET_PORT);
	moving_name(registry, mover, name);
	if (slot >= 0 && !pr_engine_rename(&registry->engine, (unsigned int)slot, name, reason))
		return false;
	mover->here[0] = '\0';
	return true;
}

bool registry_ticket_parse(const char *ticket, struct registry *ret_registry, char *ret_name,
			   char *reason)
{
	char text[REGISTRY_TICKET_MAX], name[CFGSTRING_NAME_MAX + 1];
	struct registry registry = {0};
	uint64_t lost;

	if (strlen(ticket) >= sizeof(text)) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "it is longer than any");
		return false;
	}
	memcpy(text, ticket, strlen(ticket) + 1);
	unpack(text);
	if (!check(text, "ticket", reason) || !get_movers(text, &registry, reason) ||
	    !pr_engine_get_fields(text, SEPARATOR, true, &registry.engine, reason))
		return false;
	if (!fields_get_number(text, SEPARATOR, "token", UINT64_MAX, &registry.ticket) ||
	    registry.ticket == 0 || !fields_get_number(text, SEPARATOR, "lost", 1, &lost) ||
	    !fields_get_text(text, SEPARATOR, "name", name, sizeof(name)) ||
	    registry_find_mover(&registry, name) == NULL) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "a field is missing or makes no sense");
		return false;
	}
	registry.lost = lost;
	if (!set_moving(&registry, reason))
		return false;
	*ret_registry = registry;
	memcpy(ret_name, name, sizeof(name));
	return true;
}
