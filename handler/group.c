/* SPDX-License-Identifier: Apache-2.0 */
#include "group.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group-internal.h"

bool group_fail(struct group_work *work, enum nexus_error error, const char *format, ...)
{
	va_list args;

	work->reply.error = error;
	va_start(args, format);
	vsnprintf(work->reply.message, sizeof(work->reply.message), format, args);
	va_end(args);
	return false;
}

/* ---- who belongs to it ---- */

static struct group_member *add_member(struct group_work *work, const char *name)
{
	struct group_member *member;

	for (size_t i = 0; i < work->count; i++)
		if (strcmp(work->members[i].name, name) == 0)
			return &work->members[i];
	if (work->count == GROUP_MEMBERS_MAX) {
		work->too_many = true;
		return NULL;
	}
	member = &work->members[work->count++];
	member->work = work;
	snprintf(member->name, sizeof(member->name), "%s", name);
	return member;
}

static void visit_open(void *user, const char *name)
{
	struct group_work *work = user;
	struct group_member *member;
	struct nexus_info info;

	if (!nexus_get_info(name, &info) || strcmp(info.group, work->group) != 0)
		return;
	member = add_member(work, name);
	if (member == NULL)
		return;
	member->open = true;
	member->info = info;
	member->was_exported = info.state == NEXUS_EXPORTED;
	snprintf(member->lun, sizeof(member->lun), "%s", info.lun);
}

static void visit_known(void *user, const char *name, const char *group)
{
	struct group_work *work = user;
	struct nexus_info info;

	/* An open one says itself which group it is in now. */
	if (strcmp(group, work->group) == 0 && !nexus_get_info(name, &info))
		add_member(work, name);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct group_member *)a)->name,
		      ((const struct group_member *)b)->name);
}

static bool collect(struct group_work *work)
{
	nexus_for_each(visit_open, work);
	nexus_for_each_known(visit_known, work);
	if (work->too_many)
		return group_fail(work, NEXUS_ERROR_UNSUPPORTED,
				  "group '%s' has more than %d nexuses", work->group,
				  GROUP_MEMBERS_MAX);
	if (work->count == 0)
		return group_fail(
			work, NEXUS_ERROR_WRONG_STATE,
			"there is no nexus of group '%.64s' on this host: a backstore joins it "
			"with "
			"';group=%.64s' in its cfgstring",
			work->group, work->group);
	for (size_t i = 0; i < work->count; i++)
		if (!work->members[i].open)
			return group_fail(
				work, NEXUS_ERROR_WRONG_STATE,
				"nexus '%s' of group '%s' is not open: create its backstore again, "
				"or, if "
				"it has left the group for good, remove /var/lib/prmig/nexus/%s",
				work->members[i].name, work->group, work->members[i].name);
	qsort(work->members, work->count, sizeof(work->members[0]), compare_names);
	group_find_neighbours(work);
	return true;
}

void group_run(struct group_work *work)
{
	if (collect(work))
		group_execute(work);
}

bool group_work_init(struct group_work *work, const char *group, enum nexus_method method,
		     const char *state, const struct nexus_options *options)
{
	memset(work, 0, sizeof(*work));
	if (options->destination != NULL)
		state = options->destination;
	work->state = strdup(state != NULL ? state : "");
	if (work->state == NULL)
		return false;
	snprintf(work->group, sizeof(work->group), "%s", group);
	work->method = method;
	work->options = *options;
	work->options.destination = NULL;
	pthread_mutex_init(&work->lock, NULL);
	pthread_cond_init(&work->answered, NULL);
	return true;
}

void group_work_clear(struct group_work *work)
{
	pthread_cond_destroy(&work->answered);
	pthread_mutex_destroy(&work->lock);
	free(work->state);
}

static void *run(void *user)
{
	struct group_work *work = user;

	group_run(work);
	work->done(work->user, &work->reply);
	group_work_clear(work);
	free(work);
	return NULL;
}

bool group_call(const char *group, enum nexus_method method, const char *state,
		const struct nexus_options *options, group_done done, void *user)
{
	struct group_work *work = calloc(1, sizeof(*work));
	pthread_t thread;

	if (work == NULL)
		return false;
	if (!group_work_init(work, group, method, state, options)) {
		free(work);
		return false;
	}
	work->done = done;
	work->user = user;
	if (pthread_create(&thread, NULL, run, work) != 0) {
		group_work_clear(work);
		free(work);
		return false;
	}
	pthread_detach(thread);
	return true;
}
