/* SPDX-License-Identifier: Apache-2.0 */
/* Abort of a group, and the calls that ask each member the same. */
#include <stdio.h>

#include "group-internal.h"

bool group_is_led_source(const struct group_member *member)
{
	return member->leader != NULL && member->info.state == NEXUS_EXPORTED;
}

/* At the source the leader takes back first; at the destination those that it leads go first. */
static unsigned int rank_abort(const struct group_member *member)
{
	if (group_is_led_source(member))
		return 2;
	if (member->info.state == NEXUS_EXPORTED)
		return member->info.holder ? 0 : 1;
	return member->led ? 0 : 1;
}

/* A leader whose hand-over had ended before this call has not failed in it, and yet may have nothing to go by. */
static void judge_leaders(struct group_work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *leader = work->members[i].leader;

		if (!group_is_led_source(&work->members[i]) || leader->failed)
			continue;
		leader->failed = !nexus_get_info(leader->name, &leader->info) ||
				 leader->info.state != NEXUS_ACTIVE ||
				 leader->info.key != work->members[i].key;
		if (!leader->failed)
			continue;
		leader->reply.error =
			leader->info.fenced ? NEXUS_ERROR_FENCED : NEXUS_ERROR_WRONG_STATE;
		snprintf(leader->reply.message, sizeof(leader->reply.message),
			 "%s, and nexus '%s', which it leads, is exported still: %s",
			 leader->info.fenced ? "it is fenced" : "it has been released",
			 work->members[i].name,
			 leader->info.fenced ? "that one is fenced, too" : "Release the group");
	}
}

static void call_led_sources(struct group_work *work, const struct nexus_options *options,
			     size_t stages, bool unproven)
{
	for (size_t stage = 0; stage < stages; stage++) {
		for (size_t i = 0; i < work->count; i++) {
			struct group_member *member = &work->members[i];

			if (!group_is_led_source(member) || member->stage != stage)
				continue;
			member->part = (struct nexus_part){
				.unproven = unproven,
				.leader_lost = member->leader->failed &&
					       member->leader->reply.error == NEXUS_ERROR_FENCED,
			};
			member->due = unproven
					      ? !member->leader->failed
					      : !member->leader->failed || member->part.leader_lost;
		}
		group_call_due(work, NEXUS_ABORT, options);
	}
}

void group_abort(struct group_work *work, const struct nexus_options *options)
{
	size_t stages;

	group_recall_leaders(work);
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];

		member->part = (struct nexus_part){0};
		/* After an Export that failed: those whose leader was not exported look for themselves. */
		if (member->leader != NULL && member->leader->failed)
			member->leader = NULL;
	}
	stages = group_order(work, rank_abort);
	for (size_t stage = 0; stage < stages; stage++) {
		for (size_t i = 0; i < work->count; i++)
			work->members[i].due = work->members[i].stage == stage &&
					       !group_is_led_source(&work->members[i]);
		group_call_due(work, NEXUS_ABORT, options);
	}
	judge_leaders(work);
	call_led_sources(work, options, stages, true);
	group_prove_leaders(work, options, group_is_led_source);
	call_led_sources(work, options, stages, false);
}

/* ---- the others ---- */

static unsigned int rank_plain(const struct group_member *member)
{
	return member->led;
}

static void run_plain(struct group_work *work)
{
	if (work->method == NEXUS_CHECK && work->state[0] != '\0') {
		if (!group_match_lines(work) || !group_read_leaders(work))
			return;
		for (size_t i = 0; i < work->count; i++)
			work->members[i].part.moves = group_moves_since(&work->members[i]);
	} else {
		group_recall_leaders(work);
	}
	group_call_all(work, work->method, &work->options, group_order(work, rank_plain));
	if (work->method == NEXUS_PREPARE && group_all_well(work))
		group_join_lines(work);
	group_fail_with_member(work, "");
}

void group_execute(struct group_work *work)
{
	work->deadline_ms = group_now_ms() + GROUP_CALL_MS;
	switch (work->method) {
	case NEXUS_EXPORT:
		group_export(work);
		break;
	case NEXUS_IMPORT:
		group_import(work);
		break;
	case NEXUS_ABORT:
		group_abort(work, &work->options);
		group_fail_with_member(work, "");
		break;
	default:
		run_plain(work);
		break;
	}
}
