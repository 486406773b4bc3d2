/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a group: its lines, which member each is for, who leads. The input: state lines (or what Prepare returned) with '+' between
 * them; their checksums are put right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checked-text.h"
#include "fuzz.h"
#include "group-internal.h"

#define MEMBERS 4
#define BEGUN "0123456789abcdef0123456789abcdef" /* by the third, with a line of this id */

static struct group_work work;

static void make_members(enum nexus_method method)
{
	static const char *const luns[MEMBERS] = {"naa.a", "naa.a", "naa.a", "naa.b"};

	memset(work.members, 0, MEMBERS * sizeof(work.members[0]));
	strcpy(work.group, "vm1");
	work.method = method;
	work.count = MEMBERS;
	for (int i = 0; i < MEMBERS; i++) {
		struct group_member *member = &work.members[i];

		member->work = &work;
		snprintf(member->name, sizeof(member->name), "vm1-%d", i);
		strcpy(member->lun, luns[i]);
	}
	strcpy(work.members[2].info.handover_id, BEGUN);
	group_find_neighbours(&work);
}

/* The state with each line's checksum right. */
static char *make_state(const uint8_t *data, size_t size)
{
	char *given = fuzz_text(data, size), *rest = given, *line;
	char *state = malloc(GROUP_STATE_MAX);
	size_t len = 0;

	if (state == NULL)
		fuzz_fail(__FILE__, __LINE__, "no memory");
	state[0] = '\0';
	while ((line = strsep(&rest, "+")) != NULL) {
		char *right = checked_text((const uint8_t *)line, strlen(line), ',');
		int added = snprintf(state + len, GROUP_STATE_MAX - len, "%s%s", len > 0 ? "+" : "",
				     right);

		free(right);
		if (added < 0 || (size_t)added >= GROUP_STATE_MAX - len)
			break;
		len += (size_t)added;
	}
	free(given);
	return state;
}

/* Each member has a line of its LUN for itself; the one that had begun has its own. */
static void check_matched(void)
{
	bool begun_there = false;

	for (int i = 0; i < MEMBERS; i++) {
		const struct group_member *member = &work.members[i];

		FUZZ_CHECK(member->line != NULL);
		for (int j = 0; j < i; j++)
			FUZZ_CHECK(work.members[j].line != member->line);
		if (work.method == NEXUS_IMPORT && strcmp(member->lun, "naa.a") == 0)
			begun_there = begun_there || strcmp(member->terms.id, BEGUN) == 0;
	}
	FUZZ_CHECK(!begun_there || strcmp(work.members[2].terms.id, BEGUN) == 0);
}

static unsigned int rank_led(const struct group_member *member)
{
	return member->led;
}

static void check_leaders(void)
{
	size_t stages;

	FUZZ_CHECK(work.reply.error == NEXUS_OK);
	for (int i = 0; i < MEMBERS; i++) {
		const struct group_member *member = &work.members[i];

		FUZZ_CHECK(member->led == member->terms.led);
		FUZZ_CHECK(member->led == (member->leader != NULL));
		FUZZ_CHECK(member->leader == NULL ||
			   (!member->leader->led && member->leader->first == member->first &&
			    member->leader->key == member->key && member->key != 0));
		FUZZ_CHECK(member->terms.siblings == group_count_siblings(&work, member));
	}
	stages = group_order(&work, rank_led);
	FUZZ_CHECK(stages >= 1 && stages <= 3);
	for (int i = 0; i < MEMBERS; i++)
		FUZZ_CHECK(work.members[i].stage < stages &&
			   (work.members[i].leader == NULL ||
			    work.members[i].stage > work.members[i].leader->stage));
	fuzz_deep();
}

static void check_state(const uint8_t *data, size_t size, enum nexus_method method)
{
	char *state = make_state(data, size);

	make_members(method);
	work.state = state;
	work.reply.error = NEXUS_OK;
	memset(work.reply.message, 'x', sizeof(work.reply.message));
	if (!group_match_lines(&work)) {
		FUZZ_CHECK(work.reply.error != NEXUS_OK);
		FUZZ_CHECK(memchr(work.reply.message, '\0', sizeof(work.reply.message)) != NULL &&
			   work.reply.message[0] != '\0');
	} else {
		check_matched();
		if (method == NEXUS_IMPORT && group_read_leaders(&work))
			check_leaders();
	}
	free(state);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	check_state(data, size, NEXUS_IMPORT);
	check_state(data, size, NEXUS_EXPORT);
}
