/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of open nexuses, and what others may know of them and ask. */
#include "nexus-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "journal.h"
#include "log.h"
#include "lun-move.h"
#include "store.h"

/* Before any nexus's own lock. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct nexus *registry;
static struct nexus_observer observer;
static unsigned int resync_interval_ms = NEXUS_RESYNC_DEFAULT_MS; /* under registry_lock */

uint64_t nexus_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void nexus_set_observer(const struct nexus_observer *new_observer)
{
	observer = *new_observer;
}

/* ---- what others see ---- */

_Static_assert(NEXUS_PATHS_MAX == LUN_PATHS_MAX, "paths");

/* The first path is what the record knows of this nexus; of the others the backend tells. */
static void publish_paths(struct nexus *nexus, struct nexus_info *info)
{
	const struct record *record = &nexus->record;
	struct lun_path_state paths[LUN_PATHS_MAX];
	unsigned int changes;

	info->path_count = lun_paths(nexus->lun, paths, &changes);
	for (size_t i = 0; i < info->path_count; i++) {
		memcpy(info->paths[i].transport_id, paths[i].transport_id,
		       sizeof(info->paths[i].transport_id));
		info->paths[i].relative_target_port = paths[i].relative_target_port;
		info->paths[i].registered = paths[i].key != 0;
	}
	if (info->path_count == 0)
		info->path_count = 1;
	if (record->own_transport_id)
		snprintf(info->paths[0].transport_id, sizeof(info->paths[0].transport_id), "%s",
			 record->transport_ids[0]);
	if (record->own_transport_id || info->paths[0].relative_target_port == 0)
		info->paths[0].relative_target_port = record->relative_target_port;
	info->paths[0].registered = record->key != 0 || record->in_registered;
	pthread_mutex_lock(&nexus->lock);
	nexus->paths_published = changes;
	pthread_mutex_unlock(&nexus->lock);
}

void nexus_publish(struct nexus *nexus)
{
	const struct record *record = &nexus->record;
	struct nexus_info info;
	/* The later one: Export ends the hand-over that the guest came by, whose id stays in the record. */
	bool in = record->state == NEXUS_INCOMING || record->in_done || record->in_registered;
	const struct record_terms *terms =
		in && record->state != NEXUS_EXPORTED ? &record->in : &record->out;

	memset(&info, 0, sizeof(info));
	info.state = record->state;
	info.fenced = record->fenced;
	info.migrate_pr = nexus->config.cfg.migrate_pr;
	info.key = record->key;
	info.holder = record->holder;
	info.type = record->type;
	info.ptpl = record->ptpl;
	info.generation = record->generation;
	publish_paths(nexus, &info);
	snprintf(info.name, sizeof(info.name), "%s", nexus->config.name);
	snprintf(info.group, sizeof(info.group), "%s", nexus->config.cfg.group);
	snprintf(info.lun, sizeof(info.lun), "%s", record->lun);
	snprintf(info.backend, sizeof(info.backend), "%s", nexus->lun->ops->name);
	snprintf(info.failure, sizeof(info.failure), "%s",
		 nexus->failure[0] != '\0' ? nexus->failure : nexus->port_failure);
	snprintf(info.handover_id, sizeof(info.handover_id), "%s", terms->id);
	info.handover_key = terms->key;
	info.handover_led = terms->led;
	info.emulated = lun_is_emulated(nexus->lun);
	info.whole = lun_moves(nexus->lun);
	pthread_mutex_lock(&nexus->lock);
	snprintf(info.device, sizeof(info.device), "%s",
		 nexus->identity.device[0] != '\0' ? nexus->identity.device
						   : nexus->config.cfg.lun);
	nexus->info = info;
	nexus->awaits_guest = handover_awaits_guest(record);
	pthread_mutex_unlock(&nexus->lock);
	if (observer.changed != NULL)
		observer.changed(observer.user, info.name);
}

void nexus_notify_fenced(struct nexus *nexus, bool fenced, uint64_t key)
{
	if (fenced) {
		log_warning("nexus '%s' is fenced: another initiator has removed its key 0x%llx",
			    nexus->config.name, (unsigned long long)key);
		journal_fenced(nexus->config.name, nexus->record.lun, key);
	}
	if (observer.fenced_changed != NULL)
		observer.fenced_changed(observer.user, nexus->config.name, fenced, key);
}

static struct nexus *find_locked(const char *name)
{
	struct nexus *nexus;

	for (nexus = registry; nexus != NULL; nexus = nexus->next)
		if (strcmp(nexus->config.name, name) == 0)
			return nexus;
	return NULL;
}

bool nexus_get_info(const char *name, struct nexus_info *ret_info)
{
	struct nexus *nexus;

	pthread_mutex_lock(&registry_lock);
	nexus = find_locked(name);
	if (nexus != NULL) {
		pthread_mutex_lock(&nexus->lock);
		*ret_info = nexus->info;
		ret_info->in_flight = nexus->outstanding;
		pthread_mutex_unlock(&nexus->lock);
	}
	pthread_mutex_unlock(&registry_lock);
	return nexus != NULL;
}

void nexus_for_each(void (*visit)(void *user, const char *name), void *user)
{
	char(*names)[CFGSTRING_NAME_MAX + 1] = NULL;
	size_t count = 0;
	struct nexus *nexus;

	pthread_mutex_lock(&registry_lock);
	for (nexus = registry; nexus != NULL; nexus = nexus->next)
		count++;
	names = calloc(count + 1, sizeof(*names));
	count = 0;
	if (names != NULL)
		for (nexus = registry; nexus != NULL; nexus = nexus->next)
			snprintf(names[count++], sizeof(*names), "%s", nexus->config.name);
	pthread_mutex_unlock(&registry_lock);
	for (size_t i = 0; i < count; i++)
		visit(user, names[i]);
	free(names);
}

bool nexus_call(const char *name, enum nexus_method method, const char *state,
		const struct nexus_options *options, nexus_done done, void *user)
{
	struct nexus_call *call = calloc(1, sizeof(*call));
	struct nexus *nexus;

	if (call == NULL)
		return false;
	call->job.is_call = true;
	call->method = method;
	call->force = options->force;
	call->has_destination = options->destination != NULL;
	snprintf(call->id, sizeof(call->id), "%s", options->id);
	call->take_only = options->take_only;
	call->part = options->part;
	call->by_qemu = options->by_qemu;
	call->deadline_ms =
		nexus_now_ms() + (options->timeout_ms != 0 ? options->timeout_ms : NEXUS_CALL_MS);
	call->done = done;
	call->user = user;
	/* Cut to what is too long for any line, which state_line_parse refuses. */
	if (options->destination != NULL)
		state = options->destination;
	if (state != NULL)
		snprintf(call->state, sizeof(call->state), "%s", state);
	pthread_mutex_lock(&registry_lock);
	nexus = find_locked(name);
	if (nexus != NULL) {
		pthread_mutex_lock(&nexus->lock);
		nexus_queue_put(&nexus->queue, &call->job);
		pthread_cond_signal(&nexus->work);
		pthread_mutex_unlock(&nexus->lock);
	}
	pthread_mutex_unlock(&registry_lock);
	if (nexus == NULL)
		free(call);
	return nexus != NULL;
}

void nexus_set_resync_interval(unsigned int interval_ms)
{
	pthread_mutex_lock(&registry_lock);
	resync_interval_ms = interval_ms;
	pthread_mutex_unlock(&registry_lock);
}

void nexus_tick_all(void)
{
	uint64_t now_ms = nexus_now_ms();

	pthread_mutex_lock(&registry_lock);
	for (struct nexus *nexus = registry; nexus != NULL; nexus = nexus->next)
		nexus_tick(nexus, now_ms, resync_interval_ms);
	pthread_mutex_unlock(&registry_lock);
}

/* ---- coming and going ---- */

bool nexus_registry_has(const char *name)
{
	bool has;

	pthread_mutex_lock(&registry_lock);
	has = find_locked(name) != NULL;
	pthread_mutex_unlock(&registry_lock);
	return has;
}

void nexus_registry_add(struct nexus *nexus)
{
	pthread_mutex_lock(&registry_lock);
	nexus->next = registry;
	registry = nexus;
	pthread_mutex_unlock(&registry_lock);
	if (observer.added != NULL)
		observer.added(observer.user, nexus->config.name);
}

void nexus_registry_remove(struct nexus *nexus)
{
	struct nexus **at;

	pthread_mutex_lock(&registry_lock);
	for (at = &registry; *at != NULL; at = &(*at)->next) {
		if (*at == nexus) {
			*at = nexus->next;
			break;
		}
	}
	pthread_mutex_unlock(&registry_lock);
	if (observer.removed != NULL)
		observer.removed(observer.user, nexus->config.name);
}
