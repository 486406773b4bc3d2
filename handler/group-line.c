/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a group: joined, and given to the members. */
#include <stdio.h>
#include <string.h>

#include "group-internal.h"

bool group_join_lines(struct group_work *work)
{
	size_t len = 0;

	for (size_t i = 0; i < work->count; i++) {
		const char *line = work->members[i].reply.state;
		int added = snprintf(work->reply.state + len, sizeof(work->reply.state) - len,
				     "%s%s", i > 0 ? "+" : "", line);

		if (added < 0 || (size_t)added >= sizeof(work->reply.state) - len) {
			work->reply.state[0] = '\0';
			return group_fail(
				work, NEXUS_ERROR_UNSUPPORTED,
				"the state of group '%s' is longer than %d characters: make "
				"two groups of it",
				work->group, GROUP_STATE_MAX - 1);
		}
		len += (size_t)added;
	}
	return true;
}

static bool read_line(enum nexus_method method, const char *text, char *ret_lun,
		      struct record_terms *ret_terms, char *reason)
{
	struct state_line line;
	struct record_port port;

	if (method == NEXUS_EXPORT)
		return prepare_line_parse(text, ret_lun, &port, reason);
	if (!state_line_parse(text, &line, reason))
		return false;
	memcpy(ret_lun, line.lun, sizeof(line.lun));
	*ret_terms = line.terms;
	return true;
}

/* By name, as the lines are in order; but who has begun with this line goes on with it. */
static struct group_member *find_member(struct group_work *work, const char *lun, const char *id)
{
	struct group_member *found = NULL;

	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];

		if (member->line != NULL || strcmp(member->lun, lun) != 0)
			continue;
		if (id[0] != '\0' && strcmp(member->info.handover_id, id) == 0)
			return member;
		if (found == NULL)
			found = member;
	}
	return found;
}

bool group_match_lines(struct group_work *work)
{
	char *texts[GROUP_MEMBERS_MAX + 1], *rest = work->state, *text;
	size_t lines = 0;

	while ((text = strsep(&rest, "+")) != NULL && lines <= GROUP_MEMBERS_MAX)
		texts[lines++] = text;
	/* First those that have begun, then the others. */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < lines; i++) {
			char lun[SCSI_DESIGNATOR_MAX], reason[NEXUS_MESSAGE_MAX];
			struct record_terms terms = {0};
			struct group_member *member;

			if (texts[i] == NULL)
				continue;
			if (!read_line(work->method, texts[i], lun, &terms, reason))
				return group_fail(work, NEXUS_ERROR_BAD_STATE,
						  "line %zu of the group's state: %.600s", i + 1,
						  reason);
			member = find_member(work, lun, terms.id);
			if (pass == 0 && (member == NULL || terms.id[0] == '\0' ||
					  strcmp(member->info.handover_id, terms.id) != 0))
				continue;
			if (member == NULL)
				return group_fail(
					work, NEXUS_ERROR_WRONG_LUN,
					"group '%s' has no nexus here for LUN %.200s, which the "
					"other host's group has, or fewer than there",
					work->group, lun);
			member->line = texts[i];
			member->terms = terms;
			texts[i] = NULL;
		}
	for (size_t i = 0; i < work->count; i++)
		if (work->members[i].line == NULL)
			return group_fail(
				work, NEXUS_ERROR_WRONG_LUN,
				"the group's state has no line for LUN %.200s of nexus '%s' "
				"here: the groups of both hosts must have the same LUNs, each as "
				"often",
				work->members[i].lun, work->members[i].name);
	return true;
}
