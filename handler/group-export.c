/* SPDX-License-Identifier: Apache-2.0 */
/* Export of a group. */
#include <string.h>

#include "group-internal.h"

/* A LUN that other initiators keep busy lets adjoining barriers through sooner or later. */
#define EXPORT_ATTEMPTS 10

/* The last barrier of a set is its leader's; the reservation's own comes first of those, for it may be moved. */
static unsigned int rank_export(const struct group_member *member)
{
	if (member->key == 0)
		return 0;
	if (member->led)
		return 1;
	return member->info.holder ? 2 : 3;
}

static bool export_once(struct group_work *work)
{
	size_t stages;

	group_choose_leaders(work);
	stages = group_order(work, rank_export);
	for (size_t stage = 0; stage < stages; stage++) {
		for (size_t i = 0; i < work->count; i++) {
			struct group_member *member = &work->members[i];

			member->due = member->stage == stage;
			member->part = (struct nexus_part){
				.led = member->led,
				.siblings = group_count_siblings(work, member),
			};
		}
		group_call_due(work, NEXUS_EXPORT, &work->options);
		for (size_t i = 0; i < work->count; i++) {
			struct group_member *member = &work->members[i];
			struct state_line line;
			char reason[NEXUS_MESSAGE_MAX];

			if (member->stage != stage || !member->shares || member->failed)
				continue;
			if (!state_line_parse(member->reply.state, &line, reason))
				return group_fail(work, NEXUS_ERROR_BAD_STATE, "nexus '%s': %.600s",
						  member->name, reason);
			member->terms = line.terms;
		}
	}
	return group_all_well(work);
}

/*
 * An Abort that was begun has taken the key of those that are led with the destination's: where the leader has just been found registered, they
 * register again, and the barriers that come next are the proof. True: there were such, and all may be exported again.
 */
static bool restore_led(struct group_work *work)
{
	bool any = false;

	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];

		if (!member->failed)
			continue;
		if (!group_is_led_source(member) || member->leader->failed ||
		    member->leader->terms.row < 2 || member->reply.error != NEXUS_ERROR_WRONG_STATE)
			return false;
		member->due = any = true;
	}
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];

		member->failed = member->failed && !member->due;
		member->part = (struct nexus_part){.unproven = true};
	}
	group_call_due(work, NEXUS_ABORT, &(struct nexus_options){0});
	return any && group_all_well(work);
}

static bool export_all(struct group_work *work)
{
	uint64_t until_ms = group_now_ms() + GROUP_ROUND_MS;

	for (int attempt = 0; attempt < EXPORT_ATTEMPTS; attempt++) {
		for (size_t i = 0; i < work->count; i++)
			memset(&work->members[i].terms, 0, sizeof(work->members[i].terms));
		if (!export_once(work)) {
			if (!restore_led(work))
				return false;
		} else if (group_is_consistent(work)) {
			return true;
		}
		if (group_now_ms() >= until_ms)
			break;
	}
	return group_fail(work, NEXUS_ERROR_STALE,
			  "other initiators change the registrations of a LUN all the time, on "
			  "which group '%s' has several nexuses: Export again",
			  work->group);
}

void group_export(struct group_work *work)
{
	struct nexus_options back = {0};

	if (work->state[0] != '\0' && !group_match_lines(work))
		return;
	if (export_all(work)) {
		if (group_join_lines(work))
			return;
	} else {
		group_fail_with_member(work, "; the others were not exported either");
	}
	/* The guest goes on where it was; what was exported before this call stays so: it may have been imported. */
	for (size_t i = 0; i < work->count; i++)
		work->members[i].failed = work->members[i].failed || work->members[i].was_exported;
	group_abort(work, &back);
}
