/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-emulate-leave.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The members of a group are called at once; only a nexus that settles something first comes later. */
#define LEAVE_WAIT_S 4

/* Without it nobody leaves: it is inside, or has left, if before this process began. */
static bool is_needed_locked(const struct emulation *emulation, const struct lun_emulate *instance)
{
	if (instance->door != EMULATE_OUTSIDE)
		return true;
	if (emulation->registry.mode != REGISTRY_LEFT)
		return false;
	for (size_t i = 0; i < emulation->registry.mover_count; i++)
		if (strcmp(emulation->registry.movers[i].name, instance->name) == 0 &&
		    emulation->registry.movers[i].id[0] != '\0')
			return true;
	return false;
}

static bool same_group(const struct lun_emulate *a, const struct lun_emulate *b)
{
	return a->group[0] != '\0' && strcmp(a->group, b->group) == 0;
}

/* NULL: all are here that are needed. */
static const struct lun_emulate *find_missing_locked(const struct emulation *emulation)
{
	for (const struct lun_emulate *at = emulation->instances; at != NULL; at = at->next)
		if (is_needed_locked(emulation, at) && !at->leaving)
			return at;
	return NULL;
}

/* One that never comes, being in another group or in none. */
static const struct lun_emulate *find_stranger_locked(const struct emulation *emulation,
						      const struct lun_emulate *instance)
{
	for (const struct lun_emulate *at = emulation->instances; at != NULL; at = at->next)
		if (at != instance && is_needed_locked(emulation, at) && !same_group(at, instance))
			return at;
	return NULL;
}

static enum lun_move refuse(const struct emulation *emulation, const struct lun_emulate *instance,
			    const struct lun_emulate *stays, char *reason)
{
	snprintf(
		reason, LUN_REASON_MAX,
		"nexus '%s' would stay behind on LUN %.80s, whose emulated reservations are on one "
		"host at a time: put '%s' and '%s' into one group (group=...) and call the group, "
		"or remove the other backstore first",
		stays->name, emulation->designator, instance->name, stays->name);
	return LUN_MOVE_REFUSED;
}

bool emulate_leave_add_movers(struct emulation *emulation, struct registry *registry)
{
	bool room = true;

	pthread_mutex_lock(&emulation->lock);
	for (const struct lun_emulate *at = emulation->instances; room && at != NULL;
	     at = at->next) {
		struct registry_mover *mover;

		if (!at->leaving)
			continue;
		mover = registry_add_mover(registry, at->name);
		room = mover != NULL;
		if (room)
			memcpy(mover->id, at->leave_id, sizeof(mover->id));
	}
	pthread_mutex_unlock(&emulation->lock);
	return room;
}

/* On behalf of all that have come. */
static void run(struct lun_emulate *instance,
		enum lun_move (*act)(struct emulation *emulation, struct lun_emulate *instance,
				     char *reason))
{
	struct emulation *emulation = instance->emulation;
	char reason[LUN_REASON_MAX] = "";
	enum lun_move result = LUN_MOVE_UNKNOWN;

	pthread_mutex_lock(&emulation->change_lock);
	if (emulation_load(emulation, instance, reason) &&
	    emulation_resolve(emulation, instance, reason))
		result = act(emulation, instance, reason);
	pthread_mutex_unlock(&emulation->change_lock);
	pthread_mutex_lock(&emulation->lock);
	for (struct lun_emulate *at = emulation->instances; at != NULL; at = at->next) {
		if (!at->leaving)
			continue;
		at->leaving = false;
		at->leave_over = true;
		at->leave_result = result;
		memcpy(at->leave_reason, reason, sizeof(reason));
		if (result == LUN_MOVE_DONE)
			at->door = EMULATE_LEFT;
	}
	emulation->leave_busy = false;
	pthread_cond_broadcast(&emulation->changed);
	pthread_mutex_unlock(&emulation->lock);
}

enum lun_move emulate_leave(struct lun_emulate *instance, const char *id,
			    enum lun_move (*act)(struct emulation *emulation,
						 struct lun_emulate *instance, char *reason),
			    char *reason)
{
	struct emulation *emulation = instance->emulation;
	const struct lun_emulate *stays;
	enum lun_move result;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LEAVE_WAIT_S;
	pthread_mutex_lock(&emulation->lock);
	stays = find_stranger_locked(emulation, instance);
	if (stays != NULL) {
		result = refuse(emulation, instance, stays, reason);
		pthread_mutex_unlock(&emulation->lock);
		return result;
	}
	/* Not into one that others have begun. */
	while (emulation->leave_busy)
		pthread_cond_wait(&emulation->changed, &emulation->lock);
	instance->leaving = true;
	instance->leave_over = false;
	snprintf(instance->leave_id, sizeof(instance->leave_id), "%s", id);
	while (!instance->leave_over) {
		stays = find_missing_locked(emulation);
		if (stays == NULL && !emulation->leave_busy) {
			emulation->leave_busy = true;
			pthread_mutex_unlock(&emulation->lock);
			run(instance, act);
			pthread_mutex_lock(&emulation->lock);
		} else if (emulation->leave_busy) {
			/* It ends: its commands have time limits. */
			pthread_cond_wait(&emulation->changed, &emulation->lock);
		} else if (pthread_cond_timedwait(&emulation->changed, &emulation->lock, &until) ==
			   ETIMEDOUT) {
			stays = find_missing_locked(emulation);
			if (instance->leave_over || stays == NULL || emulation->leave_busy)
				continue;
			instance->leaving = false;
			result = refuse(emulation, instance, stays, reason);
			pthread_mutex_unlock(&emulation->lock);
			return result;
		}
	}
	result = instance->leave_result;
	memcpy(reason, instance->leave_reason, LUN_REASON_MAX);
	pthread_mutex_unlock(&emulation->lock);
	return result;
}
