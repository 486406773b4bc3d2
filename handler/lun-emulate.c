/* SPDX-License-Identifier: Apache-2.0 */
/* The emulations of this process, and a nexus's life on one. */
#include "lun-emulate-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Before any emulation's own locks. */
static pthread_mutex_t emulations_lock = PTHREAD_MUTEX_INITIALIZER;
static struct emulation *emulations;

struct lun_emulate *lun_emulate_of(struct lun *lun)
{
	return (struct lun_emulate *)lun;
}

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static struct emulation *emulation_get(const char *designator)
{
	struct emulation *emulation;

	pthread_mutex_lock(&emulations_lock);
	for (emulation = emulations; emulation != NULL; emulation = emulation->next)
		if (strcmp(emulation->designator, designator) == 0)
			break;
	if (emulation == NULL) {
		emulation = calloc(1, sizeof(*emulation));
		if (emulation != NULL) {
			snprintf(emulation->designator, sizeof(emulation->designator), "%s",
				 designator);
			pthread_mutex_init(&emulation->change_lock, NULL);
			pthread_mutex_init(&emulation->lock, NULL);
			init_condition(&emulation->changed);
			emulation->claim.fd = -1;
			emulation->next = emulations;
			emulations = emulation;
		}
	}
	if (emulation != NULL)
		emulation->users++;
	pthread_mutex_unlock(&emulations_lock);
	return emulation;
}

static void emulation_put(struct emulation *emulation)
{
	struct emulation **at;

	pthread_mutex_lock(&emulations_lock);
	if (--emulation->users > 0) {
		pthread_mutex_unlock(&emulations_lock);
		return;
	}
	for (at = &emulations; *at != emulation; at = &(*at)->next)
		;
	*at = emulation->next;
	pthread_mutex_unlock(&emulations_lock);
	lun_claim_close(&emulation->claim);
	pthread_cond_destroy(&emulation->changed);
	pthread_mutex_destroy(&emulation->lock);
	pthread_mutex_destroy(&emulation->change_lock);
	free(emulation);
}

/* ---- one nexus on it ---- */

static bool attach(struct lun_emulate *instance, const char *designator, char *reason)
{
	struct emulation *emulation = instance->emulation;

	if (emulation != NULL)
		return true;
	emulation = emulation_get(designator);
	if (emulation == NULL) {
		snprintf(reason, LUN_REASON_MAX, "out of memory");
		return false;
	}
	pthread_mutex_lock(&emulation->lock);
	instance->next = emulation->instances;
	emulation->instances = instance;
	pthread_mutex_unlock(&emulation->lock);
	__atomic_store_n(&instance->emulation, emulation, __ATOMIC_RELEASE);
	return true;
}

static void detach(struct lun_emulate *instance)
{
	struct emulation *emulation = instance->emulation;
	struct lun_emulate **at;

	if (emulation == NULL)
		return;
	pthread_mutex_lock(&emulation->lock);
	for (at = &emulation->instances; *at != instance; at = &(*at)->next)
		;
	*at = instance->next;
	if (instance->slot >= 0)
		pr_engine_close(&emulation->registry.engine, (unsigned int)instance->slot);
	pthread_cond_broadcast(&emulation->changed);
	pthread_mutex_unlock(&emulation->lock);
	emulation_put(emulation);
}

/* The claim's own unit attentions are nobody else's. */
static void drop_unit_attentions(struct lun_identity *identity)
{
	size_t kept = 0;

	for (size_t i = 0; i < identity->unit_attention_count; i++) {
		const struct lun_unit_attention *attention = &identity->unit_attentions[i];
		uint16_t asc_ascq = 0;
		uint8_t key;

		scsi_sense_parse(attention->sense, attention->sense_len, &key, &asc_ascq);
		if (asc_ascq < SCSI_ASC_RESERVATIONS_PREEMPTED ||
		    asc_ascq > SCSI_ASC_REGISTRATIONS_PREEMPTED)
			identity->unit_attentions[kept++] = *attention;
	}
	identity->unit_attention_count = (uint8_t)kept;
}

/* A nexus of its own, whatever path others of this host take to the LUN. */
static void name_path(const struct lun_emulate *instance, struct lun_identity *identity)
{
	identity->emulated = true;
	identity->path_count = 1;
	identity->paths[0] = (struct lun_path){0};
	snprintf(identity->paths[0].initiator_port, LUN_PORT_MAX, "%s%s", PR_ENGINE_PORT_PREFIX,
		 instance->name);
}

/* Without a slot nothing can be decided about a nexus: it is not let in. */
static bool has_slot(struct emulation *emulation, struct lun_emulate *instance, char *reason)
{
	bool has;

	pthread_mutex_lock(&emulation->lock);
	has = instance->slot >= 0 || emulation_open_slot_locked(emulation, instance, reason);
	pthread_mutex_unlock(&emulation->lock);
	return has;
}

/* What was here must be here still. */
static bool check_claim(struct emulation *emulation, struct lun_emulate *instance, char *reason)
{
	if (instance->door != EMULATE_INSIDE)
		return true;
	return emulation_hold(emulation, instance, false, reason) == LUN_CLAIM_DONE;
}

/* The inner nexus would have the same name on every host, and each would end the other's session. */
static bool refuse_moving_session(struct lun_emulate *instance, char *reason)
{
	if (!lun_moves(instance->inner))
		return false;
	snprintf(reason, LUN_REASON_MAX,
		 "pr=emulate with a definition that has move=: an emulated LUN moves with its "
		 "registry, and each host keeps its own session; take move= out of %.60s.conf, and "
		 "give each host's definition an initiator name of its own",
		 instance->path);
	return true;
}

static bool emulate_connect(struct lun *lun, struct lun_identity *ret_identity, char *reason)
{
	struct lun_emulate *instance = lun_emulate_of(lun);
	struct lun_identity identity;
	struct emulation *emulation;
	bool good;

	if (refuse_moving_session(instance, reason) ||
	    !lun_connect(instance->inner, &identity, reason) ||
	    !attach(instance, identity.designator, reason))
		return false;
	emulation = instance->emulation;
	pthread_mutex_lock(&emulation->change_lock);
	good = emulation_load(emulation, instance, reason) &&
	       emulation_resolve(emulation, instance, reason) &&
	       has_slot(emulation, instance, reason) && check_claim(emulation, instance, reason);
	pthread_mutex_unlock(&emulation->change_lock);
	if (!good)
		return false;
	drop_unit_attentions(&identity);
	name_path(instance, &identity);
	*ret_identity = identity;
	return true;
}

static bool emulate_is_connected(struct lun *lun)
{
	struct lun_emulate *instance = lun_emulate_of(lun);
	struct emulation *emulation = __atomic_load_n(&instance->emulation, __ATOMIC_ACQUIRE);
	bool held;

	if (emulation == NULL || !lun_is_connected(instance->inner))
		return false;
	pthread_mutex_lock(&emulation->lock);
	held = instance->door != EMULATE_INSIDE || emulation->confirmed;
	pthread_mutex_unlock(&emulation->lock);
	return held;
}

static bool emulate_hold(struct lun *lun, bool force, char *reason)
{
	struct lun_emulate *instance = lun_emulate_of(lun);
	struct emulation *emulation = instance->emulation;
	bool held;

	pthread_mutex_lock(&emulation->change_lock);
	held = emulation_hold(emulation, instance, force, reason) == LUN_CLAIM_DONE;
	pthread_mutex_unlock(&emulation->change_lock);
	return held;
}

static void emulate_destroy(struct lun *lun)
{
	struct lun_emulate *instance = lun_emulate_of(lun);

	detach(instance);
	lun_destroy(instance->inner);
	free(instance);
}

struct lun *lun_emulate_new(struct lun *inner, const struct cfgstring *cfg, const char *name,
			    bool by_file, char *reason)
{
	struct lun_emulate *instance = calloc(1, sizeof(*instance));

	if (instance == NULL) {
		snprintf(reason, LUN_REASON_MAX, "%s: out of memory", cfg->lun);
		lun_destroy(inner);
		return NULL;
	}
	instance->ops = (struct lun_ops){
		.name = inner->ops->name,
		.connect = emulate_connect,
		.is_connected = emulate_is_connected,
		.submit = lun_emulate_submit,
		.hold = emulate_hold,
		.move = &lun_emulate_move,
		.destroy = emulate_destroy,
	};
	instance->lun.ops = &instance->ops;
	instance->inner = inner;
	instance->slot = -1;
	instance->by_file = by_file;
	snprintf(instance->name, sizeof(instance->name), "%s", name);
	memcpy(instance->group, cfg->group, sizeof(instance->group));
	memcpy(instance->path, cfg->lun, sizeof(instance->path));
	return &instance->lun;
}
