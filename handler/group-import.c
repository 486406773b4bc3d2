/* SPDX-License-Identifier: Apache-2.0 */
/* Import of a group. */
#include <string.h>

#include "group-internal.h"

/* Those that can be exported once more before the one that takes the reservation from the source; then those that are led. */
static unsigned int rank_import(const struct group_member *member)
{
	if (member->key == 0)
		return 2;
	if (member->led)
		return 3;
	return member->terms.row == 3 ? 1 : 0;
}

static void take_leaders(struct group_work *work, size_t stages)
{
	for (size_t stage = 0; stage < stages; stage++) {
		for (size_t i = 0; i < work->count; i++) {
			struct group_member *member = &work->members[i];

			member->due = member->stage == stage && !member->led;
			if (member->due)
				member->part.moves =
					group_moves_since(member) + member->first->moves;
		}
		group_call_due(work, NEXUS_IMPORT, &work->options);
		for (size_t i = 0; i < work->count; i++) {
			struct group_member *member = &work->members[i];

			if (member->stage == stage && member->shares && !member->led &&
			    !member->failed)
				member->first->moves += member->reply.moves;
		}
	}
}

/* Those whose leader has lost give back what stands here. */
static void drop_led(struct group_work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];

		member->part.leader_lost = member->leader != NULL && group_has_lost(member->leader);
		member->due = member->part.leader_lost;
	}
	group_call_due(work, NEXUS_IMPORT, &work->options);
}

static bool is_led(const struct group_member *member)
{
	return member->leader != NULL;
}

static void take_led(struct group_work *work, size_t stages)
{
	for (size_t stage = 0; stage < stages; stage++) {
		for (size_t i = 0; i < work->count; i++) {
			struct group_member *member = &work->members[i];

			member->due =
				member->stage == stage && member->led && !member->leader->failed;
		}
		group_call_due(work, NEXUS_IMPORT, &work->options);
	}
	group_prove_leaders(work, &work->options, is_led);
	drop_led(work);
}

/* What this very group has exported: then Import means Abort. */
static bool is_own(const struct group_work *work)
{
	bool own = false;

	for (size_t i = 0; i < work->count; i++)
		own = own ||
		      (work->members[i].shares && work->members[i].info.state == NEXUS_EXPORTED &&
		       strcmp(work->members[i].info.handover_id, work->members[i].terms.id) == 0);
	return own;
}

void group_import(struct group_work *work)
{
	size_t stages;

	if (!group_match_lines(work) || !group_read_leaders(work))
		return;
	if (is_own(work)) {
		group_abort(work, &work->options);
		group_fail_with_member(work, "");
		return;
	}
	stages = group_order(work, rank_import);
	work->options.take_only = true;
	take_leaders(work, stages);
	take_led(work, stages);
	if (!group_all_well(work)) {
		group_fail_with_member(
			work,
			"; the gates of the group stay closed: Import again, or Abort here and "
			"then at the source");
		return;
	}
	work->options.take_only = false;
	group_call_all(work, NEXUS_IMPORT, &work->options, stages);
	group_fail_with_member(work, "; Import again");
}
