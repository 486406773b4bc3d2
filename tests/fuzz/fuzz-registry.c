/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host knows of an emulated LUN: the file and the ticket. The input: such a text, its fields on lines of their own; its checksum
 * is put right. It is read as the one and as the other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checked-text.h"
#include "fuzz.h"
#include "registry.h"

static struct registry given, again;
static char reason[NEXUS_MESSAGE_MAX];

static void check_movers(const struct registry *a, const struct registry *b, bool whole)
{
	FUZZ_CHECK(a->mover_count == b->mover_count && a->mover_count <= REGISTRY_MOVERS);
	for (size_t i = 0; i < a->mover_count; i++) {
		FUZZ_CHECK(cfgstring_name_valid(a->movers[i].name));
		FUZZ_CHECK(strcmp(a->movers[i].name, b->movers[i].name) == 0);
		FUZZ_CHECK(!whole || strcmp(a->movers[i].here, b->movers[i].here) == 0);
		FUZZ_CHECK(!whole || strcmp(a->movers[i].id, b->movers[i].id) == 0);
	}
}

static void check_file(const char *text)
{
	static char first[REGISTRY_TEXT_MAX], second[REGISTRY_TEXT_MAX];

	memset(reason, 'x', sizeof(reason));
	if (!registry_parse(text, &given, reason)) {
		FUZZ_CHECK(reason[0] != '\0' && fuzz_printable(reason, sizeof(reason)));
		return;
	}
	FUZZ_CHECK(given.mode <= REGISTRY_LEFT && given.next_mode <= REGISTRY_LEFT);
	FUZZ_CHECK(registry_format(&given, first));
	FUZZ_CHECK(registry_parse(first, &again, reason));
	FUZZ_CHECK(given.mode == again.mode && given.token == again.token &&
		   given.next == again.next && given.next_mode == again.next_mode &&
		   given.ticket == again.ticket && given.touched == again.touched &&
		   given.lost == again.lost && strcmp(given.boot, again.boot) == 0);
	FUZZ_CHECK(registry_same(&given.engine, &again.engine));
	check_movers(&given, &again, true);
	FUZZ_CHECK(registry_format(&again, second) && strcmp(first, second) == 0);
	fuzz_deep();
}

/* All that arrive become somebody, and leave again: who is registered with what stays. */
static void check_arrivals(void)
{
	static struct pr_engine before;
	bool all = true;

	before = given.engine;
	for (size_t i = 0; i < given.mover_count; i++) {
		char here[CFGSTRING_NAME_MAX + 1];

		snprintf(here, sizeof(here), "here-%zu", i);
		all = all && registry_arrive(&given, &given.movers[i], here, reason);
		FUZZ_CHECK(!all || registry_find_arrived(&given, here) == &given.movers[i]);
	}
	FUZZ_CHECK(!all || registry_same(&before, &given.engine));
	for (size_t i = 0; i < given.mover_count; i++)
		registry_depart(&given, &given.movers[i], reason);
	FUZZ_CHECK(!all || registry_same(&before, &given.engine));
}

static void check_ticket(char *text)
{
	char name[CFGSTRING_NAME_MAX + 1], again_name[CFGSTRING_NAME_MAX + 1];
	char ticket[REGISTRY_TICKET_MAX];

	for (char *at = text; *at != '\0'; at++)
		if (*at == '=' || *at == '\n')
			*at = '@';
	memset(reason, 'x', sizeof(reason));
	if (!registry_ticket_parse(text, &given, name, reason)) {
		FUZZ_CHECK(reason[0] != '\0' && fuzz_printable(reason, sizeof(reason)));
		return;
	}
	FUZZ_CHECK(given.ticket != 0 && registry_find_mover(&given, name) != NULL);
	given.token = given.ticket;
	if (registry_ticket_format(&given, name, ticket)) {
		FUZZ_CHECK(fuzz_printable(ticket, sizeof(ticket)));
		FUZZ_CHECK(strpbrk(ticket, " =,;+\"'\\") == NULL);
		/* Who moves has another name by now than the movers' list says: that is read as an engine of the same size. */
		if (registry_ticket_parse(ticket, &again, again_name, reason)) {
			FUZZ_CHECK(strcmp(name, again_name) == 0 && given.lost == again.lost);
			FUZZ_CHECK(registry_same(&given.engine, &again.engine));
			check_movers(&given, &again, false);
		}
	}
	check_arrivals();
	fuzz_deep();
}

void fuzz_one(const uint8_t *data, size_t size)
{
	char *text = checked_text(data, size, '\n');

	check_file(text);
	check_ticket(text);
	free(text);
}
