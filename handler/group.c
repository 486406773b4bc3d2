/* SPDX-License-Identifier: Apache-2.0 */
#include "group.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

#define GROUP_MEMBERS_MAX 256
/* Two rounds, and what they start, within the 15 s that the caller has. */
#define GROUP_ROUND_MS 6500

struct member {
	struct group_work *work;
	char name[CFGSTRING_NAME_MAX + 1];
	char lun[SCSI_DESIGNATOR_MAX];
	const char *
		line; /* Import, Check: its own, inside work->state; Export: its destination or NULL */
	bool open;
	bool failed;
	struct nexus_reply reply;
};

struct group_work {
	char group[CFGSTRING_NAME_MAX + 1];
	enum nexus_method method;
	struct nexus_options options;
	group_done done;
	void *user;
	char *state;
	struct member members[GROUP_MEMBERS_MAX];
	size_t count;
	bool too_many;
	struct group_reply reply;

	pthread_mutex_t lock; /* answers */
	pthread_cond_t answered;
	size_t waiting;
};

static bool fail(struct group_work *work, enum nexus_error error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool fail(struct group_work *work, enum nexus_error error, const char *format, ...)
{
	__builtin_va_list args;

	work->reply.error = error;
	__builtin_va_start(args, format);
	vsnprintf(work->reply.message, sizeof(work->reply.message), format, args);
	__builtin_va_end(args);
	return false;
}

/* ---- who belongs to it ---- */

static struct member *add_member(struct group_work *work, const char *name)
{
	struct member *member;

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
	struct member *member;
	struct nexus_info info;

	if (!nexus_get_info(name, &info) || strcmp(info.group, work->group) != 0)
		return;
	member = add_member(work, name);
	if (member == NULL)
		return;
	member->open = true;
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

static bool collect(struct group_work *work)
{
	nexus_for_each(visit_open, work);
	nexus_for_each_known(visit_known, work);
	if (work->too_many)
		return fail(work, NEXUS_ERROR_UNSUPPORTED, "group '%s' has more than %d nexuses",
			    work->group, GROUP_MEMBERS_MAX);
	if (work->count == 0)
		return fail(work, NEXUS_ERROR_WRONG_STATE,
			    "there is no nexus of group '%.64s' on this host: a backstore joins it "
			    "with "
			    "';group=%.64s' in its cfgstring",
			    work->group, work->group);
	for (size_t i = 0; i < work->count; i++)
		if (!work->members[i].open)
			return fail(
				work, NEXUS_ERROR_WRONG_STATE,
				"nexus '%s' of group '%s' is not open: create its backstore again, "
				"or, if "
				"it has left the group for good, remove /var/lib/prmig/nexus/%s",
				work->members[i].name, work->group, work->members[i].name);
	/* Their barriers would make each other's lines stale, and a PREEMPT take the sibling's registration. */
	for (size_t i = 0; i < work->count; i++)
		for (size_t j = i + 1; j < work->count; j++)
			if (strcmp(work->members[i].lun, work->members[j].lun) == 0)
				return fail(work, NEXUS_ERROR_UNSUPPORTED,
					    "nexuses '%s' and '%s' of group '%s' are on one LUN "
					    "(%.200s): this "
					    "version moves such nexuses one after the other only",
					    work->members[i].name, work->members[j].name,
					    work->group, work->members[i].lun);
	return true;
}

/* ---- one round: a call to each ---- */

static void answered(void *user, const struct nexus_reply *reply)
{
	struct member *member = user;
	struct group_work *work = member->work;

	pthread_mutex_lock(&work->lock);
	member->reply = *reply;
	member->failed = reply->error != NEXUS_OK;
	work->waiting--;
	pthread_cond_signal(&work->answered);
	pthread_mutex_unlock(&work->lock);
}

/* True: every member that was called has answered NEXUS_OK. Those that have failed are left out. */
static bool round_of(struct group_work *work, enum nexus_method method,
		     const struct nexus_options *options)
{
	bool all = true;

	for (size_t i = 0; i < work->count; i++) {
		struct member *member = &work->members[i];
		struct nexus_options own = *options;

		if (member->failed)
			continue;
		own.destination = method == NEXUS_EXPORT ? member->line : NULL;
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
	for (size_t i = 0; i < work->count; i++)
		all = all && !work->members[i].failed;
	return all;
}

static bool fail_with_member(struct group_work *work, const char *then)
{
	for (size_t i = 0; i < work->count; i++) {
		struct member *member = &work->members[i];

		if (member->failed)
			return fail(work, member->reply.error, "nexus '%s' of group '%s': %.560s%s",
				    member->name, work->group, member->reply.message, then);
	}
	return true;
}

/* ---- the calls ---- */

static bool join_lines(struct group_work *work)
{
	size_t len = 0;

	for (size_t i = 0; i < work->count; i++) {
		const char *line = work->members[i].reply.state;
		int added = snprintf(work->reply.state + len, sizeof(work->reply.state) - len,
				     "%s%s", i > 0 ? "+" : "", line);

		if (added < 0 || (size_t)added >= sizeof(work->reply.state) - len) {
			work->reply.state[0] = '\0';
			return fail(work, NEXUS_ERROR_UNSUPPORTED,
				    "the state of group '%s' is longer than %d characters: make "
				    "two groups of it",
				    work->group, GROUP_STATE_MAX - 1);
		}
		len += (size_t)added;
	}
	return true;
}

static bool lun_of_line(enum nexus_method method, const char *text, char *ret_lun, char *reason)
{
	struct state_line line;
	struct record_port port;

	if (method == NEXUS_EXPORT)
		return prepare_line_parse(text, ret_lun, &port, reason);
	if (!state_line_parse(text, &line, reason))
		return false;
	memcpy(ret_lun, line.lun, sizeof(line.lun));
	return true;
}

/* Cuts work->state at '+' and gives each member its line. */
static bool match_lines(struct group_work *work)
{
	char *rest = work->state, *text;
	size_t lines = 0;

	while ((text = strsep(&rest, "+")) != NULL) {
		char lun[SCSI_DESIGNATOR_MAX], reason[NEXUS_MESSAGE_MAX];
		struct member *member = NULL;

		lines++;
		if (!lun_of_line(work->method, text, lun, reason))
			return fail(work, NEXUS_ERROR_BAD_STATE,
				    "line %zu of the group's state: %.600s", lines, reason);
		for (size_t i = 0; i < work->count; i++)
			if (strcmp(work->members[i].lun, lun) == 0)
				member = &work->members[i];
		if (member == NULL || member->line != NULL)
			return fail(work, NEXUS_ERROR_WRONG_LUN,
				    "group '%s' has no nexus here for LUN %.200s, which the other "
				    "host's group has",
				    work->group, lun);
		member->line = text;
	}
	for (size_t i = 0; i < work->count; i++)
		if (work->members[i].line == NULL)
			return fail(work, NEXUS_ERROR_WRONG_LUN,
				    "the group's state has no line for LUN %.200s of nexus '%s' "
				    "here: the groups of "
				    "both hosts must have the same LUNs",
				    work->members[i].lun, work->members[i].name);
	return true;
}

static void run_export(struct group_work *work)
{
	struct nexus_options back = {.timeout_ms = GROUP_ROUND_MS};

	if (work->state[0] != '\0' && !match_lines(work))
		return;

	if (round_of(work, work->method, &work->options)) {
		if (join_lines(work))
			return;
	} else {
		fail_with_member(work, "; the others were not exported either");
	}
	/* The guest goes on where it was. */
	if (work->method == NEXUS_EXPORT)
		round_of(work, NEXUS_ABORT, &back);
}

static void run_import(struct group_work *work)
{
	if (!match_lines(work))
		return;
	work->options.take_only = true;
	if (!round_of(work, NEXUS_IMPORT, &work->options)) {
		fail_with_member(
			work,
			"; the gates of the group stay closed: Import again, or Abort here and "
			"then at the source");
		return;
	}
	work->options.take_only = false;
	if (!round_of(work, NEXUS_IMPORT, &work->options))
		fail_with_member(work, "; Import again");
}

static void run_plain(struct group_work *work)
{
	if (work->method == NEXUS_CHECK && work->state[0] != '\0' && !match_lines(work))
		return;
	if (!round_of(work, work->method, &work->options))
		fail_with_member(work, "");
}

static void *run(void *user)
{
	struct group_work *work = user;

	if (collect(work)) {
		if (work->method == NEXUS_EXPORT || work->method == NEXUS_PREPARE)
			run_export(work);
		else if (work->method == NEXUS_IMPORT)
			run_import(work);
		else
			run_plain(work);
	}
	work->done(work->user, &work->reply);
	pthread_cond_destroy(&work->answered);
	pthread_mutex_destroy(&work->lock);
	free(work->state);
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
	if (options->destination != NULL)
		state = options->destination;
	work->state = strdup(state != NULL ? state : "");
	if (work->state == NULL) {
		free(work);
		return false;
	}
	snprintf(work->group, sizeof(work->group), "%s", group);
	work->method = method;
	work->options = *options;
	work->options.destination = NULL;
	work->options.timeout_ms = GROUP_ROUND_MS;
	work->done = done;
	work->user = user;
	pthread_mutex_init(&work->lock, NULL);
	pthread_cond_init(&work->answered, NULL);
	if (pthread_create(&thread, NULL, run, work) != 0) {
		pthread_cond_destroy(&work->answered);
		pthread_mutex_destroy(&work->lock);
		free(work->state);
		free(work);
		return false;
	}
	pthread_detach(thread);
	return true;
}
