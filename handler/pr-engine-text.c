/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine as fields: generation, aptpl, type, holder, and nexuses, a list of <name>:<key>:<unit attentions>[:<relative target port>] with '/'
 * between. The key is in hexadecimal digits; each unit attention that waits is a letter; the port is written where it is not 1. holder is a
 * place in the list. Nexuses that are not registered and have nothing waiting are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pr-engine-internal.h"

#define LIST_MAX (PR_ENGINE_NEXUSES * (CFGSTRING_NAME_MAX + 40))
#define KEY_DIGITS_MAX 16
#define PORT_DIGITS_MAX 5

static bool is_written(const struct pr_engine_nexus *nexus)
{
	return nexus->name[0] != '\0' && (nexus->key != 0 || nexus->unit_attention_count > 0);
}

static size_t put_nexus(const struct pr_engine_nexus *nexus, char *text, size_t size)
{
	char letters[PR_ENGINE_UNIT_ATTENTIONS + 1] = "", port[PORT_DIGITS_MAX + 2] = "";

	for (unsigned int i = 0; i < nexus->unit_attention_count; i++)
		letters[i] = (char)('a' + pr_engine_attention_number(nexus->unit_attentions[i]));
	if (nexus->relative_target_port != 1)
		snprintf(port, sizeof(port), ":%u", nexus->relative_target_port);
	return (size_t)snprintf(text, size, "%s:%llx:%s%s", nexus->name,
				(unsigned long long)nexus->key, letters, port);
}

void pr_engine_add_fields(struct fields_writer *writer, const struct pr_engine *engine)
{
	char list[LIST_MAX] = "";
	unsigned int place = 0, holder = 0;
	size_t len = 0;

	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		if (!is_written(&engine->nexuses[i]))
			continue;
		if (i == engine->holder && engine->type != PR_TYPE_NONE &&
		    !pr_type_all_registrants(engine->type))
			holder = place;
		if (place++ > 0)
			list[len++] = '/';
		len += put_nexus(&engine->nexuses[i], list + len, sizeof(list) - len);
	}
	fields_add_number(writer, "generation", engine->generation);
	fields_add_number(writer, "aptpl", engine->aptpl);
	fields_add_number(writer, "type", engine->type);
	fields_add_number(writer, "holder", holder);
	fields_add_text(writer, "nexuses", list);
}

/* Only the digits that the writer would have written: no sign, no leading zero. 0 digits: false. */
static bool get_digits(const char *text, int base, size_t digits_max, uint64_t max, uint64_t *ret)
{
	const char *digits = base == 16 ? "0123456789abcdef" : "0123456789";
	size_t len = strlen(text);
	unsigned long long value;

	if (len == 0 || len > digits_max || strspn(text, digits) != len ||
	    (text[0] == '0' && len > 1))
		return false;
	value = strtoull(text, NULL, base);
	if (value > max)
		return false;
	*ret = value;
	return true;
}

static bool get_letters(const char *letters, struct pr_engine_nexus *ret_nexus)
{
	for (; *letters != '\0'; letters++) {
		unsigned int number = (unsigned int)(*letters - 'a');

		if (*letters < 'a' || number >= PR_ENGINE_UNIT_ATTENTIONS)
			return false;
		for (unsigned int i = 0; i < ret_nexus->unit_attention_count; i++)
			if (ret_nexus->unit_attentions[i] == pr_engine_attention(number))
				return false;
		ret_nexus->unit_attentions[ret_nexus->unit_attention_count++] =
			pr_engine_attention(number);
	}
	return true;
}

/* entry is cut at its colons. */
static bool get_nexus(char *entry, struct pr_engine_nexus *ret_nexus)
{
	char *parts[4] = {entry};
	size_t count = 1;
	uint64_t key, port = 1;
	struct pr_engine_nexus nexus = {0};

	for (char *at = strchr(entry, ':'); at != NULL; at = strchr(at + 1, ':')) {
		if (count == 4)
			return false;
		*at = '\0';
		parts[count++] = at + 1;
	}
	if (count < 3 || !cfgstring_name_valid(parts[0]) ||
	    !get_digits(parts[1], 16, KEY_DIGITS_MAX, UINT64_MAX, &key) ||
	    !get_letters(parts[2], &nexus) ||
	    (count == 4 &&
	     (!get_digits(parts[3], 10, PORT_DIGITS_MAX, UINT16_MAX, &port) || port <= 1)))
		return false;
	memcpy(nexus.name, parts[0], strlen(parts[0]) + 1); /* which is valid, so it fits */
	nexus.key = key;
	nexus.relative_target_port = (uint16_t)port;
	if (!is_written(&nexus))
		return false;
	*ret_nexus = nexus;
	return true;
}

static bool get_nexuses(const char *text, char separator, struct pr_engine *engine, char *reason)
{
	char list[LIST_MAX];
	unsigned int place = 0;

	if (!fields_get_text(text, separator, "nexuses", list, sizeof(list))) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "field 'nexuses' is missing or too long");
		return false;
	}
	for (char *entry = list[0] != '\0' ? list : NULL; entry != NULL; place++) {
		char *end = strchr(entry, '/');
		struct pr_engine_nexus nexus;

		if (end != NULL)
			*end++ = '\0';
		if (place == PR_ENGINE_NEXUSES) {
			snprintf(reason, NEXUS_MESSAGE_MAX,
				 "field 'nexuses' lists more than %d nexuses", PR_ENGINE_NEXUSES);
			return false;
		}
		if (!get_nexus(entry, &nexus)) {
			snprintf(reason, NEXUS_MESSAGE_MAX,
				 "entry %u of field 'nexuses' is malformed", place);
			return false;
		}
		if (!pr_engine_name_free(engine, nexus.name, nexus.relative_target_port, reason))
			return false;
		engine->nexuses[place] = nexus;
		entry = end;
	}
	if (pr_engine_registrations(engine) > PR_ENGINE_REGISTRATIONS) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "field 'nexuses' lists more than %d keys",
			 PR_ENGINE_REGISTRATIONS);
		return false;
	}
	return true;
}

/* Whether what is held agrees with who is registered. */
static bool check_reservation(const struct pr_engine *engine, char *reason)
{
	bool one_holder = engine->type != PR_TYPE_NONE && !pr_type_all_registrants(engine->type);

	if (engine->type != PR_TYPE_NONE && !pr_type_valid(engine->type)) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "field 'type': %u is no type of a reservation",
			 engine->type);
		return false;
	}
	if ((one_holder && engine->nexuses[engine->holder].key == 0) ||
	    (!one_holder && engine->holder != 0)) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "field 'holder': nexus %u cannot hold the reservation", engine->holder);
		return false;
	}
	if (engine->type != PR_TYPE_NONE && pr_engine_registrations(engine) == 0) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "field 'type': a reservation is held, but nobody is registered");
		return false;
	}
	return true;
}

bool pr_engine_get_fields(const char *text, char separator, bool ptpl_c,
			  struct pr_engine *ret_engine, char *reason)
{
	struct pr_engine engine;
	uint64_t generation, aptpl, type, holder;

	pr_engine_init(&engine, ptpl_c);
	if (!fields_require_number(text, separator, "generation", UINT32_MAX, &generation,
				   reason) ||
	    !fields_require_number(text, separator, "aptpl", ptpl_c, &aptpl, reason) ||
	    !fields_require_number(text, separator, "type", 15, &type, reason) ||
	    !fields_require_number(text, separator, "holder", PR_ENGINE_NEXUSES - 1, &holder,
				   reason) ||
	    !get_nexuses(text, separator, &engine, reason))
		return false;
	engine.generation = (uint32_t)generation;
	engine.aptpl = aptpl;
	engine.type = (uint8_t)type;
	engine.holder = (uint8_t)holder;
	if (!check_reservation(&engine, reason))
		return false;
	*ret_engine = engine;
	return true;
}
