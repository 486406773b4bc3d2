/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a nexus: from its state on disk to its close. */
#include "nexus-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "log.h"
#include "store.h"

/* Of the time that tcmu-runner may take to start, with every backstore one after the other. */
#define KNOWN_WAIT_S 3

static bool read_state(const char *name, struct record *ret_record,
		       struct unit_attentions *ret_queue, char *reason)
{
	char text[RECORD_TEXT_MAX];
	int result = store_read(STORE_NEXUS, name, text, sizeof(text));

	reason[0] = '\0';
	if (result == -ENOENT)
		return false;
	if (result != 0) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "it cannot be read: %s", strerror(-result));
		return false;
	}
	return record_parse(text, ret_record, ret_queue, reason);
}

bool nexus_known(const char *name)
{
	struct unit_attentions queue;
	struct record record;
	char reason[NEXUS_MESSAGE_MAX];

	return cfgstring_name_valid(name) && read_state(name, &record, &queue, reason);
}

struct known_visit {
	void (*visit)(void *user, const char *name, const char *group);
	void *user;
};

static void visit_known(void *user, const char *name)
{
	struct known_visit *known = user;
	struct unit_attentions queue;
	struct record record;
	char reason[NEXUS_MESSAGE_MAX];

	if (cfgstring_name_valid(name) && read_state(name, &record, &queue, reason))
		known->visit(known->user, name, record.group);
}

void nexus_for_each_known(void (*visit)(void *user, const char *name, const char *group),
			  void *user)
{
	struct known_visit known = {.visit = visit, .user = user};

	store_for_each(STORE_NEXUS, visit_known, &known);
}

static void load(struct nexus *nexus)
{
	char reason[NEXUS_MESSAGE_MAX];
	const char *name = nexus->config.name;

	nexus->known = read_state(name, &nexus->record, &nexus->unit_attentions, reason);
	if (nexus->known)
		return;
	if (reason[0] != '\0') {
		log_error("nexus '%s': its state file is set aside as %s,damaged (%s); the nexus "
			  "starts with nothing "
			  "remembered",
			  name, name, reason);
		store_set_aside(STORE_NEXUS, name);
	}
	nexus->record.state = nexus->config.cfg.incoming ? NEXUS_INCOMING : NEXUS_ACTIVE;
}

static void init_locks(struct nexus *nexus)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&nexus->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&nexus->work, &monotonic);
	pthread_cond_init(&nexus->idle, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static struct nexus *make(const struct nexus_config *config, const struct nexus_port_ops *ops,
			  void *port)
{
	struct nexus *nexus = calloc(1, sizeof(*nexus));

	if (nexus == NULL)
		return NULL;
	nexus->requests = calloc(NEXUS_REQUESTS, sizeof(*nexus->requests));
	if (nexus->requests == NULL) {
		free(nexus);
		return NULL;
	}
	for (size_t i = NEXUS_REQUESTS; i-- > 0;) {
		nexus->requests[i].job.next = nexus->free;
		nexus->free = &nexus->requests[i].job;
	}
	nexus->config = *config;
	nexus->ops = ops;
	nexus->port = port;
	nexus->queue.tail = &nexus->queue.head;
	nexus->held.tail = &nexus->held.head;
	init_locks(nexus);
	return nexus;
}

static void destroy(struct nexus *nexus)
{
	nexus_unclaim(nexus);
	lun_destroy(nexus->lun);
	pthread_cond_destroy(&nexus->work);
	pthread_cond_destroy(&nexus->idle);
	pthread_mutex_destroy(&nexus->lock);
	free(nexus->requests);
	free(nexus);
}

static void stop_thread(struct nexus *nexus)
{
	pthread_mutex_lock(&nexus->lock);
	nexus->stop = true;
	pthread_cond_signal(&nexus->work);
	pthread_mutex_unlock(&nexus->lock);
	pthread_join(nexus->thread, NULL);
}

/* Whether the first connect, on the nexus's own thread, has ended; one that is known does not wait for
 * it as long as it takes. */
static bool wait_first_connect_locked(struct nexus *nexus, bool known)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += KNOWN_WAIT_S;
	while (!nexus->first_connect_done) {
		if (!known)
			pthread_cond_wait(&nexus->idle, &nexus->lock);
		else if (pthread_cond_timedwait(&nexus->idle, &nexus->lock, &until) == ETIMEDOUT)
			break;
	}
	return nexus->first_connect_done;
}

static bool start(struct nexus *nexus, bool known, char *reason)
{
	bool up, done;

	nexus->connect_wanted = true;
	if (pthread_create(&nexus->thread, NULL, nexus_thread, nexus) != 0) {
		snprintf(reason, LUN_REASON_MAX, "no thread could be made for nexus '%s'",
			 nexus->config.name);
		return false;
	}
	pthread_mutex_lock(&nexus->lock);
	done = wait_first_connect_locked(nexus, known);
	up = nexus->ready;
	pthread_mutex_unlock(&nexus->lock);
	/* A state on disk that was another LUN's has been set aside. */
	if (up || !done || nexus->known)
		return true;
	stop_thread(nexus);
	snprintf(reason, LUN_REASON_MAX, "%.500s", nexus->failure);
	return false;
}

struct nexus *nexus_open(const struct nexus_config *config, const struct nexus_port_ops *ops,
			 void *port, char *reason)
{
	struct nexus *nexus;
	bool was_known;

	if (!cfgstring_name_valid(config->name)) {
		snprintf(reason, LUN_REASON_MAX,
			 "backstore name '%s': prmig takes letters, digits, '-', '_' and '.', at "
			 "most %d",
			 config->name, CFGSTRING_NAME_MAX);
		return NULL;
	}
	if (nexus_registry_has(config->name)) {
		snprintf(reason, LUN_REASON_MAX,
			 "a backstore named '%s' is open already: give each its own name",
			 config->name);
		return NULL;
	}
	nexus = make(config, ops, port);
	if (nexus == NULL) {
		snprintf(reason, LUN_REASON_MAX, "out of memory");
		return NULL;
	}
	nexus->lun = lun_new(&config->cfg, config->name, reason);
	if (nexus->lun == NULL)
		goto fail;
	load(nexus);
	was_known = nexus->known;
	nexus_publish(nexus);
	if (!start(nexus, was_known, reason))
		goto fail;
	if (!was_known && nexus->port_failure[0] != '\0') {
		stop_thread(nexus);
		snprintf(reason, LUN_REASON_MAX, "%s", nexus->port_failure);
		goto fail;
	}
	if (!clock_start()) {
		stop_thread(nexus);
		snprintf(reason, LUN_REASON_MAX, "no thread could be made");
		goto fail;
	}
	nexus_registry_add(nexus);
	return nexus;
fail:
	destroy(nexus);
	return NULL;
}

/* ---- closing ---- */

void nexus_close(struct nexus *nexus)
{
	if (nexus == NULL)
		return;
	nexus_registry_remove(nexus);
	nexus_held_busy(nexus, UINT64_MAX);
	stop_thread(nexus);
	/* What is at the LUN, and dropped commands that the edge looks after. */
	pthread_mutex_lock(&nexus->lock);
	while (nexus->outstanding > 0)
		pthread_cond_wait(&nexus->idle, &nexus->lock);
	pthread_mutex_unlock(&nexus->lock);
	destroy(nexus);
}
