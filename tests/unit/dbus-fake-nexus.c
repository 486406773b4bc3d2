/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus-fake-nexus.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAKE_NEXUS_MAX 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nexus_info nexuses[FAKE_NEXUS_MAX];
static size_t nexus_count;
static struct nexus_observer observer;
static struct fake_nexus_call last_call;
static unsigned int call_count, answered_count, answer_delay_ms;
static struct nexus_reply answer;
static struct {
	char name[CFGSTRING_NAME_MAX + 1];
	enum nexus_method method;
	enum nexus_error error;
} failing;
static char known_name[CFGSTRING_NAME_MAX + 1], known_group[CFGSTRING_NAME_MAX + 1];

#define FAKE_LOG_MAX 32
static char call_log[FAKE_LOG_MAX][128];
static size_t log_count;

static size_t find_locked(const char *name)
{
	size_t i;

	for (i = 0; i < nexus_count && strcmp(nexuses[i].name, name) != 0; i++)
		;
	return i;
}

static bool put(const struct nexus_info *info)
{
	bool added;
	size_t i;

	pthread_mutex_lock(&lock);
	i = find_locked(info->name);
	added = i == nexus_count;
	if (added)
		nexus_count++;
	nexuses[i] = *info;
	pthread_mutex_unlock(&lock);
	return added;
}

void fake_nexus_put(const struct nexus_info *info)
{
	(put(info) ? observer.added : observer.changed)(observer.user, info->name);
}

void fake_nexus_put_silently(const struct nexus_info *info)
{
	put(info);
}

void fake_nexus_remove(const char *name)
{
	size_t i;

	pthread_mutex_lock(&lock);
	i = find_locked(name);
	if (i < nexus_count)
		nexuses[i] = nexuses[--nexus_count];
	pthread_mutex_unlock(&lock);
	observer.removed(observer.user, name);
}

void fake_nexus_fence(const char *name, bool fenced, uint64_t key)
{
	pthread_mutex_lock(&lock);
	nexuses[find_locked(name)].fenced = fenced;
	pthread_mutex_unlock(&lock);
	observer.changed(observer.user, name);
	observer.fenced_changed(observer.user, name, fenced, key);
}

void fake_nexus_answer(enum nexus_error error, const char *message, const char *state,
		       unsigned int delay_ms)
{
	pthread_mutex_lock(&lock);
	answer.error = error;
	snprintf(answer.message, sizeof(answer.message), "%s", message);
	snprintf(answer.state, sizeof(answer.state), "%s", state);
	answer_delay_ms = delay_ms;
	pthread_mutex_unlock(&lock);
}

unsigned int fake_nexus_calls(struct fake_nexus_call *ret_last)
{
	unsigned int count;

	pthread_mutex_lock(&lock);
	count = call_count;
	if (ret_last)
		*ret_last = last_call;
	pthread_mutex_unlock(&lock);
	return count;
}

unsigned int fake_nexus_answered(void)
{
	unsigned int count;

	pthread_mutex_lock(&lock);
	count = answered_count;
	pthread_mutex_unlock(&lock);
	return count;
}

void fake_nexus_fail(const char *name, enum nexus_method method, enum nexus_error error)
{
	pthread_mutex_lock(&lock);
	snprintf(failing.name, sizeof(failing.name), "%s", name);
	failing.method = method;
	failing.error = error;
	pthread_mutex_unlock(&lock);
}

void fake_nexus_known(const char *name, const char *group)
{
	pthread_mutex_lock(&lock);
	snprintf(known_name, sizeof(known_name), "%s", name ? name : "");
	snprintf(known_group, sizeof(known_group), "%s", group ? group : "");
	pthread_mutex_unlock(&lock);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(a, b);
}

void fake_nexus_take_log(char *ret_text)
{
	size_t len = 0;

	pthread_mutex_lock(&lock);
	qsort(call_log, log_count, sizeof(call_log[0]), compare_lines);
	ret_text[0] = '\0';
	for (size_t i = 0; i < log_count; i++)
		len += (size_t)snprintf(ret_text + len, 4096 - len, "%s%s", i > 0 ? "; " : "",
					call_log[i]);
	log_count = 0;
	pthread_mutex_unlock(&lock);
}

static void log_call_locked(const struct fake_nexus_call *call)
{
	static const char *const names[] = {"Export",	  "Import",   "Abort",	"Release",
					    "Check",	  "Prepare",  "Forget", "Resync",
					    "LoaderGone", "SaverGone"};

	if (log_count < FAKE_LOG_MAX)
		snprintf(call_log[log_count++], sizeof(call_log[0]), "%s %.60s%s%s",
			 names[call->method], call->name, call->take_only ? " take-only" : "",
			 call->force ? " force" : "");
}

/* ---- nexus.h ---- */

struct pending {
	nexus_done done;
	void *user;
	struct nexus_reply reply;
	unsigned int delay_ms;
};

static void *answer_main(void *user)
{
	struct pending *pending = user;

	usleep(pending->delay_ms * 1000);
	pending->done(pending->user, &pending->reply);
	free(pending);
	pthread_mutex_lock(&lock);
	answered_count++;
	pthread_mutex_unlock(&lock);
	return NULL;
}

bool nexus_call(const char *name, enum nexus_method method, const char *state,
		const struct nexus_options *options, nexus_done done, void *user)
{
	struct pending *pending = calloc(1, sizeof(*pending));
	pthread_t thread;

	pthread_mutex_lock(&lock);
	if (!pending || find_locked(name) == nexus_count) {
		pthread_mutex_unlock(&lock);
		free(pending);
		return false;
	}
	call_count++;
	memset(&last_call, 0, sizeof(last_call));
	snprintf(last_call.name, sizeof(last_call.name), "%s", name);
	snprintf(last_call.state, sizeof(last_call.state), "%s", state);
	snprintf(last_call.id, sizeof(last_call.id), "%s", options->id);
	snprintf(last_call.destination, sizeof(last_call.destination), "%s",
		 options->destination ? options->destination : "(none)");
	last_call.method = method;
	last_call.force = options->force;
	last_call.take_only = options->take_only;
	log_call_locked(&last_call);
	pending->done = done;
	pending->user = user;
	pending->reply = answer;
	if (failing.error != NEXUS_OK && failing.method == method &&
	    strcmp(failing.name, name) == 0) {
		pending->reply.error = failing.error;
		snprintf(pending->reply.message, sizeof(pending->reply.message), "it failed");
	}
	pending->delay_ms = answer_delay_ms;
	pthread_mutex_unlock(&lock);
	if (pthread_create(&thread, NULL, answer_main, pending) != 0)
		abort();
	pthread_detach(thread);
	return true;
}

bool nexus_get_info(const char *name, struct nexus_info *ret_info)
{
	bool found;
	size_t i;

	pthread_mutex_lock(&lock);
	i = find_locked(name);
	found = i < nexus_count;
	if (found)
		*ret_info = nexuses[i];
	pthread_mutex_unlock(&lock);
	return found;
}

void nexus_for_each(void (*visit)(void *user, const char *name), void *user)
{
	char names[FAKE_NEXUS_MAX][CFGSTRING_NAME_MAX + 1];
	size_t count, i;

	pthread_mutex_lock(&lock);
	count = nexus_count;
	for (i = 0; i < count; i++)
		memcpy(names[i], nexuses[i].name, sizeof(names[i]));
	pthread_mutex_unlock(&lock);
	for (i = 0; i < count; i++)
		visit(user, names[i]);
}

void nexus_for_each_known(void (*visit)(void *user, const char *name, const char *group),
			  void *user)
{
	char name[CFGSTRING_NAME_MAX + 1], group[CFGSTRING_NAME_MAX + 1];

	pthread_mutex_lock(&lock);
	memcpy(name, known_name, sizeof(name));
	memcpy(group, known_group, sizeof(group));
	pthread_mutex_unlock(&lock);
	if (name[0])
		visit(user, name, group);
}

void nexus_set_resync_interval(unsigned int interval_ms)
{
	(void)interval_ms;
}

void nexus_set_observer(const struct nexus_observer *new_observer)
{
	observer = *new_observer;
}
