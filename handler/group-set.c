/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a group that share a LUN: who leads those with the same key, and in which order they are called. */
#include <string.h>

#include "group-internal.h"

void group_find_neighbours(struct group_work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];

		member->first = member;
		/* What moves whole does so by itself, or together in one step (lun-emulate-leave.h): nobody leads. */
		if (member->info.emulated || member->info.whole)
			continue;
		for (size_t j = 0; j < work->count; j++) {
			if (j == i || strcmp(work->members[j].lun, member->lun) != 0)
				continue;
			member->shares = true;
			if (&work->members[j] < member->first)
				member->first = &work->members[j];
		}
	}
}

static bool is_set(const struct group_member *a, const struct group_member *b)
{
	return a->first == b->first && a->key != 0 && a->key == b->key;
}

static void link_leaders(struct group_work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];

		member->leader = NULL;
		for (size_t j = 0; member->led && j < work->count; j++)
			if (is_set(member, &work->members[j]) && !work->members[j].led)
				member->leader = &work->members[j];
	}
}

void group_choose_leaders(struct group_work *work)
{
	for (size_t i = 0; i < work->count; i++)
		if (nexus_get_info(work->members[i].name, &work->members[i].info))
			work->members[i].key =
				work->members[i].shares ? work->members[i].info.key : 0;
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *leader = NULL;

		/* The one that has reserved, else the first by name. */
		for (size_t j = 0; j < work->count; j++) {
			struct group_member *other = &work->members[j];

			if (is_set(&work->members[i], other) &&
			    (leader == NULL || (other->info.holder && !leader->info.holder)))
				leader = other;
		}
		work->members[i].led = leader != NULL && leader != &work->members[i];
	}
	link_leaders(work);
}

void group_recall_leaders(struct group_work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];

		if (!nexus_get_info(member->name, &member->info))
			memset(&member->info, 0, sizeof(member->info));
		member->key = member->shares ? member->info.handover_key : 0;
		member->led = member->shares && member->info.handover_led;
	}
	link_leaders(work);
}

/* Whose line asks for an exact generation of first's LUN. */
static bool is_exact(const struct group_member *member, const struct group_member *first)
{
	return member->first == first && !member->led && member->terms.row >= 2 &&
	       !member->terms.moved;
}

/* Of the lines of one LUN: the generation after the last leader's barrier. */
static uint32_t last_generation(const struct group_work *work, const struct group_member *first)
{
	uint32_t generation = 0;
	bool any = false;

	for (size_t i = 0; i < work->count; i++) {
		const struct group_member *member = &work->members[i];

		if (!is_exact(member, first))
			continue;
		if (!any || (int32_t)(member->terms.generation - generation) > 0)
			generation = member->terms.generation;
		any = true;
	}
	return generation;
}

uint32_t group_moves_since(const struct group_member *member)
{
	return is_exact(member, member->first)
		       ? member->first->generation - member->terms.generation
		       : 0;
}

/* Whether the leaders' barriers on first's LUN are one after the other without a gap, or there is but one. */
static bool barriers_adjoin(const struct group_work *work, const struct group_member *first)
{
	uint32_t last = last_generation(work, first), leaders = 0, least = 0;

	for (size_t i = 0; i < work->count; i++) {
		const struct group_member *member = &work->members[i];

		if (!is_exact(member, first))
			continue;
		leaders++;
		if (last - member->terms.generation > least)
			least = last - member->terms.generation;
		for (size_t j = i + 1; j < work->count; j++)
			if (is_exact(&work->members[j], first) &&
			    work->members[j].terms.generation == member->terms.generation)
				return false;
	}
	return leaders == 0 || least == leaders - 1;
}

uint32_t group_count_siblings(const struct group_work *work, const struct group_member *leader)
{
	uint32_t count = 0;

	for (size_t i = 0; i < work->count; i++)
		count += work->members[i].leader == leader && work->members[i].terms.row >= 2 &&
			 work->members[i].terms.key == leader->key;
	return count;
}

bool group_is_consistent(const struct group_work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		const struct group_member *member = &work->members[i];

		if (!member->shares)
			continue;
		/* The guest has taken another key since the leaders were chosen. */
		if (member->terms.row >= 2 && member->terms.key != member->key)
			return false;
		/* A fence between the barriers of two of them. */
		if (member->led && member->terms.row >= 2 &&
		    (member->leader == NULL || member->leader->terms.row < 2))
			return false;
		if (member->terms.siblings != group_count_siblings(work, member))
			return false;
		if (member->first == member && !barriers_adjoin(work, member))
			return false;
	}
	return true;
}

bool group_read_leaders(struct group_work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];

		member->key = member->terms.row >= 2 ? member->terms.key : 0;
		member->led = member->terms.led;
	}
	link_leaders(work);
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];

		if ((member->led && member->leader == NULL) ||
		    member->terms.siblings != group_count_siblings(work, member))
			return group_fail(
				work, NEXUS_ERROR_BAD_STATE,
				"the lines of LUN %.200s in the group's state are not of one "
				"Export: take the state whole, as Export of the group gave it",
				member->lun);
		if (member->first == member) {
			member->generation = last_generation(work, member);
			member->moves = 0;
		}
	}
	return true;
}

/* Whether other is called before member, on one LUN. */
static bool is_before(const struct group_member *other, const struct group_member *member)
{
	return other->first == member->first &&
	       (other->rank < member->rank || (other->rank == member->rank && other < member));
}

size_t group_order(struct group_work *work, unsigned int (*rank)(const struct group_member *))
{
	size_t stages = 1;

	for (size_t i = 0; i < work->count; i++)
		work->members[i].rank = rank(&work->members[i]);
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];

		member->stage = 0;
		for (size_t j = 0; j < work->count; j++)
			member->stage += is_before(&work->members[j], member);
		if (member->stage + 1 > stages)
			stages = member->stage + 1;
	}
	return stages;
}
