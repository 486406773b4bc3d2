/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds: calls to members, and what comes of them. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "group-internal.h"

#define GROUP_ROUND_LEAST_MS 500

uint64_t group_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void answered(void *user, const struct nexus_reply *reply)
{
	struct group_member *member = user;
	struct group_work *work = member->work;

	pthread_mutex_lock(&work->lock);
	member->reply = *reply;
	member->failed = reply->error != NEXUS_OK;
	work->waiting--;
	pthread_cond_signal(&work->answered);
	pthread_mutex_unlock(&work->lock);
}

static unsigned int round_ms(const struct group_work *work)
{
	uint64_t now = group_now_ms();
	uint64_t left = work->deadline_ms > now ? work->deadline_ms - now : 0;

	if (left < GROUP_ROUND_LEAST_MS)
		return GROUP_ROUND_LEAST_MS;
	return left < GROUP_ROUND_MS ? (unsigned int)left : GROUP_ROUND_MS;
}

/* Calls those that are due, all at once. Those that have failed are left out, and none is due after it. */
void group_call_due(struct group_work *work, enum nexus_method method,
		    const struct nexus_options *options)
{
	for (size_t i = 0; i < work->count; i++) {
		struct group_member *member = &work->members[i];
		struct nexus_options own = *options;
		bool due = member->due && !member->failed;

		member->due = false;
		if (!due)
			continue;
		own.destination = method == NEXUS_EXPORT ? member->line : NULL;
		own.timeout_ms = round_ms(work);
		own.part = member->part;
		/* A led one without its leader is on its own. */
		own.part.of_group = member->shares && (!member->led || member->leader != NULL);
		pthread_mutex_lock(&work->lock);
		work->waiting++;
		pthread_mutex_unlock(&work->lock);
		if (!nexus_call(member->name, method, member->line != NULL ? member->line : "",
				&own, answered, member)) {
			pthread_mutex_lock(&work->lock);
			member->failed = true;
			member->reply.error = NEXUS_ERROR_LUN;
			snprintf(member->reply.message, sizeof(member->reply.message),
				 "it has just been removed");
			work->waiting--;
			pthread_mutex_unlock(&work->lock);
		}
	}
	pthread_mutex_lock(&work->lock);
	while (work->waiting > 0)
		pthread_cond_wait(&work->answered, &work->lock);
	pthread_mutex_unlock(&work->lock);
}

bool group_all_well(const struct group_work *work)
{
	for (size_t i = 0; i < work->count; i++)
		if (work->members[i].failed)
			return false;
	return true;
}

/* Every member, those of one LUN one after the other; a led one not after its leader has failed. */
void group_call_all(struct group_work *work, enum nexus_method method,
		    const struct nexus_options *options, size_t stages)
{
	for (size_t stage = 0; stage < stages; stage++) {
		for (size_t i = 0; i < work->count; i++) {
			struct group_member *member = &work->members[i];

			member->due = member->stage == stage &&
				      (member->leader == NULL || !member->leader->failed);
		}
		group_call_due(work, method, options);
	}
}

/* The leader's word goes first: of those that it leads it is only the consequence. */
void group_fail_with_member(struct group_work *work, const char *then)
{
	for (int led = 0; led < 2; led++)
		for (size_t i = 0; i < work->count; i++) {
			struct group_member *member = &work->members[i];

			if (!member->failed || member->led != led)
				continue;
			group_fail(work, member->reply.error, "nexus '%s' of group '%s': %.560s%s",
				   member->name, work->group, member->reply.message, then);
			return;
		}
}

/* Are their leaders well? Asked after those that they lead have registered. */
void group_prove_leaders(struct group_work *work, const struct nexus_options *options,
			 bool (*wanted)(const struct group_member *))
{
	for (size_t i = 0; i < work->count; i++)
		if (wanted(&work->members[i]))
			work->members[i].leader->due = true;
	group_call_due(work, NEXUS_PROVE, options);
}

/* It is certain that what those that it leads have registered must not stand. */
bool group_has_lost(const struct group_member *leader)
{
	return leader->failed && (leader->reply.error == NEXUS_ERROR_FENCED ||
				  leader->reply.error == NEXUS_ERROR_STALE);
}
