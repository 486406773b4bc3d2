/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of an emulated LUN on disk, and the claim that it stands and falls with. */
#include "lun-emulate-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "log.h"
#include "paths.h"
#include "store.h"

#define PATHS_BOOT_ID "/proc/sys/kernel/random/boot_id"

static uint64_t fresh_token(void)
{
	uint64_t token = 0;

	/* 8 bytes come whole and at once after boot; a LUN is not opened before that. */
	while (token == 0)
		if (getrandom(&token, sizeof(token), 0) != (ssize_t)sizeof(token))
			token = 0;
	return token;
}

static struct lun_claim_way way_of(struct lun_emulate *instance)
{
	return (struct lun_claim_way){.lun = instance->inner};
}

/* What met the claim's commands is the guest's. */
static void pass_unit_attentions(struct lun_emulate *instance, struct lun_claim_way *way)
{
	struct emulation *emulation = instance->emulation;

	pthread_mutex_lock(&emulation->lock);
	while (way->unit_attentions.count > 0) {
		uint16_t asc_ascq = unit_attentions_take(&way->unit_attentions);

		if (instance->slot >= 0)
			pr_engine_add_unit_attention(&emulation->registry.engine,
						     (unsigned int)instance->slot, asc_ascq);
	}
	pthread_mutex_unlock(&emulation->lock);
}

bool emulation_read_owner(struct emulation *emulation, struct lun_emulate *instance,
			  struct lun_claim_owner *ret_owner, char *reason)
{
	struct lun_claim_way way = way_of(instance);
	bool read = lun_claim_read(&emulation->claim, &way, ret_owner, reason);

	pass_unit_attentions(instance, &way);
	return read;
}

enum lun_claim_result emulation_join(struct emulation *emulation, struct lun_emulate *instance,
				     struct lun_claim_owner *ret_owner, char *reason)
{
	struct lun_claim_way way = way_of(instance);
	enum lun_claim_result result = lun_claim_join(&emulation->claim, &way,
						      emulation->registry.token, ret_owner, reason);

	pass_unit_attentions(instance, &way);
	if (result != LUN_CLAIM_DONE)
		return result;
	/* By its other paths, too. */
	lun_spread(instance->inner, emulation->registry.token, LUN_SPREAD_ALL);
	pthread_mutex_lock(&emulation->lock);
	emulation->confirmed = true;
	pthread_mutex_unlock(&emulation->lock);
	return result;
}

/* ---- in memory ---- */

bool emulation_open_slot_locked(struct emulation *emulation, struct lun_emulate *instance,
				char *reason)
{
	struct pr_engine *engine = &emulation->registry.engine;
	bool known = pr_engine_find(engine, instance->name, EMULATE_TARGET_PORT) >= 0;
	char why[NEXUS_MESSAGE_MAX];

	instance->slot = pr_engine_open(engine, instance->name, EMULATE_TARGET_PORT, why);
	if (instance->slot < 0) {
		snprintf(reason, LUN_REASON_MAX, "%.500s", why);
		return false;
	}
	/* What CLEAR tells: no registration and no reservation is left. */
	if (emulation->registry.lost && !known)
		pr_engine_add_unit_attention(engine, (unsigned int)instance->slot,
					     SCSI_ASC_RESERVATIONS_PREEMPTED);
	return true;
}

void emulation_install(struct emulation *emulation, const struct registry *registry)
{
	struct pr_engine *engine = &emulation->registry.engine;
	char reason[LUN_REASON_MAX];

	pthread_mutex_lock(&emulation->lock);
	if (registry != &emulation->registry)
		emulation->registry = *registry;
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++)
		if (engine->nexuses[i].open)
			pr_engine_close(engine, i);
	for (struct lun_emulate *at = emulation->instances; at != NULL; at = at->next)
		if (!emulation_open_slot_locked(emulation, at, reason))
			log_error("nexus '%s' on LUN %s: %s", at->name, emulation->designator,
				  reason);
	pthread_mutex_unlock(&emulation->lock);
}

void emulation_set_door(struct emulation *emulation, struct lun_emulate *instance,
			enum emulate_door door)
{
	pthread_mutex_lock(&emulation->lock);
	instance->door = door;
	pthread_mutex_unlock(&emulation->lock);
}

/* ---- on disk ---- */

bool emulation_save(struct emulation *emulation, const struct registry *registry, char *reason)
{
	int result;

	if (registry->mode == REGISTRY_AWAY && registry->next == 0) {
		result = store_remove(STORE_LUN, emulation->designator);
		if (result == -ENOENT)
			result = 0;
	} else {
		result = registry_format(registry, emulation->text)
				 ? store_write(STORE_LUN, emulation->designator, emulation->text)
				 : -EMSGSIZE;
	}
	if (result == 0)
		return true;
	snprintf(reason, LUN_REASON_MAX,
		 "the registry of LUN %.120s cannot be written to disk (%s): make room, or mend "
		 "the directory " PATHS_STATE_DIR "/lun",
		 emulation->designator, strerror(-result));
	log_error("%s", reason);
	return false;
}

void emulation_set_empty(struct registry *registry)
{
	char boot[REGISTRY_BOOT_MAX];

	memcpy(boot, registry->boot, sizeof(boot));
	*registry = (struct registry){.mode = REGISTRY_AWAY};
	memcpy(registry->boot, boot, sizeof(boot));
	pr_engine_init(&registry->engine, true);
}

/* Nothing of what it said is believed but the token, and that only where the claim carries it. */
static void set_aside(struct emulation *emulation, const char *why)
{
	log_error("LUN %s: its registry is set aside as %s,damaged (%s): whoever was registered is "
		  "told that nothing is registered any more",
		  emulation->designator, emulation->designator, why);
	emulation->damaged = true;
	emulation->damaged_token = 0;
	fields_get_number(emulation->text, '\n', "token", UINT64_MAX, &emulation->damaged_token);
	store_set_aside(STORE_LUN, emulation->designator);
}

/* The host has booted since: to the nexuses the LUN was switched off. */
static bool power_on(struct emulation *emulation, const char *boot, char *reason)
{
	struct registry *registry = &emulation->trial;
	bool booted = boot[0] != '\0' && strcmp(registry->boot, boot) != 0;

	if (registry->mode == REGISTRY_AWAY || !booted)
		return true;
	snprintf(registry->boot, sizeof(registry->boot), "%s", boot);
	pr_engine_power_loss(&registry->engine);
	registry->lost = false;
	return emulation_save(emulation, registry, reason);
}

static bool read_file(struct emulation *emulation, char *reason)
{
	struct registry *registry = &emulation->trial;
	char why[NEXUS_MESSAGE_MAX], boot[REGISTRY_BOOT_MAX] = "";
	int result = store_read(STORE_LUN, emulation->designator, emulation->text,
				sizeof(emulation->text));

	paths_read_attribute(boot, sizeof(boot), PATHS_BOOT_ID);
	emulation_set_empty(registry);
	if (result == 0 && !registry_parse(emulation->text, registry, why)) {
		set_aside(emulation, why);
	} else if (result == -EFBIG) {
		emulation->text[0] = '\0';
		set_aside(emulation, "it is too long");
	} else if (result != 0 && result != -ENOENT) {
		snprintf(reason, LUN_REASON_MAX, "the registry of LUN %.120s cannot be read: %s",
			 emulation->designator, strerror(-result));
		return false;
	}
	if (registry->boot[0] == '\0')
		memcpy(registry->boot, boot, sizeof(boot));
	return power_on(emulation, boot, reason);
}

static bool open_claim(struct emulation *emulation, struct lun_emulate *instance, char *reason)
{
	struct lun_claim_way way = way_of(instance);
	struct lun_claim claim;
	uint64_t token = emulation->registry.token;

	/* Of several paths, one by which the claim stands asks. */
	if (token == 0)
		token = emulation->damaged_token;
	if (token != 0)
		lun_seek(instance->inner, token);
	if (!lun_claim_open(&claim, &way, instance->path, instance->by_file, reason))
		return false;
	emulation->claim = claim;
	emulation->claim_opened = true;
	if (claim.kind == LUN_CLAIM_NONE)
		log_warning("LUN %s cannot be claimed for this host, having no persistent "
			    "reservations of its own: nothing keeps another host from using it, "
			    "and its nexuses cannot be exported",
			    emulation->designator);
	return true;
}

bool emulation_load(struct emulation *emulation, struct lun_emulate *instance, char *reason)
{
	if (!emulation->loaded) {
		if (!read_file(emulation, reason))
			return false;
		emulation_install(emulation, &emulation->trial);
		emulation->loaded = true;
	}
	return emulation->claim_opened || open_claim(emulation, instance, reason);
}

/* ---- the claim ---- */

bool emulation_resolve(struct emulation *emulation, struct lun_emulate *instance, char *reason)
{
	struct registry *trial = &emulation->trial;
	struct lun_claim_owner owner;

	/* One that takes a LUN from nobody is finished by whoever wants it. */
	if (emulation->registry.next == 0 ||
	    (emulation->registry.mode == REGISTRY_AWAY && emulation->registry.token == 0))
		return true;
	if (!emulation_read_owner(emulation, instance, &owner, reason))
		return false;
	*trial = emulation->registry;
	if (owner.token == trial->next) {
		trial->mode = trial->next_mode;
		trial->token = trial->next;
		if (trial->mode == REGISTRY_AWAY)
			emulation_set_empty(trial);
	} else if (trial->mode == REGISTRY_AWAY) {
		emulation_set_empty(trial);
	} else if (trial->token == 0) {
		/* A claim that the LUN had forgotten, which is not there again yet. */
		trial->token = trial->next;
	}
	trial->next = 0;
	if (!emulation_save(emulation, trial, reason))
		return false;
	emulation_install(emulation, trial);
	return true;
}

/* As it was: what is journalled says that nothing is under way, or that something may be and is not. */
static void forget_change(struct emulation *emulation)
{
	char reason[LUN_REASON_MAX];

	emulation->trial = emulation->registry;
	emulation->trial.next = 0;
	if (emulation->registry.mode == REGISTRY_AWAY)
		emulation_set_empty(&emulation->trial);
	emulation_save(emulation, &emulation->trial, reason);
	emulation_install(emulation, &emulation->trial);
}

enum lun_claim_result emulation_change_claim(struct emulation *emulation,
					     struct lun_emulate *instance, uint64_t from,
					     uint64_t to, enum registry_mode mode,
					     struct lun_claim_owner *ret_owner, char *reason)
{
	struct registry *trial = &emulation->trial;
	struct lun_claim_way way = way_of(instance);
	enum lun_claim_result result;

	trial->mode = emulation->registry.mode;
	trial->token = from;
	trial->next = to != 0 ? to : fresh_token();
	trial->next_mode = mode;
	/* By force, neither from this host nor by a ticket. */
	way.abort = from != 0 && from != emulation->registry.token && trial->ticket == 0;
	if (!emulation_save(emulation, trial, reason))
		return LUN_CLAIM_FAILED;
	/* Whoever takes it over finds one path to throw out. */
	if (mode != REGISTRY_HERE)
		lun_spread(instance->inner, from, LUN_SPREAD_NONE);
	result = lun_claim_swap(&emulation->claim, &way, from, trial->next, ret_owner, reason);
	pass_unit_attentions(instance, &way);
	if (result == LUN_CLAIM_UNKNOWN) {
		pthread_mutex_lock(&emulation->lock);
		emulation->registry.next = trial->next;
		emulation->registry.next_mode = mode;
		pthread_mutex_unlock(&emulation->lock);
		/* What would be installed is on disk alone. */
		emulation->loaded = false;
		return result;
	}
	if (result != LUN_CLAIM_DONE) {
		forget_change(emulation);
		if (emulation->registry.mode == REGISTRY_HERE)
			lun_spread(instance->inner, emulation->registry.token, LUN_SPREAD_ALL);
		return result;
	}
	trial->mode = mode;
	trial->token = trial->next;
	trial->next = 0;
	if (mode == REGISTRY_AWAY)
		emulation_set_empty(trial);
	if (mode == REGISTRY_HERE)
		lun_spread(instance->inner, trial->token, LUN_SPREAD_ALL);
	/* Where this fails the journal stands, which says the same. */
	emulation_save(emulation, trial, reason);
	emulation_install(emulation, trial);
	pthread_mutex_lock(&emulation->lock);
	emulation->confirmed = mode == REGISTRY_HERE;
	pthread_mutex_unlock(&emulation->lock);
	return result;
}

static enum lun_claim_result refuse_owner(const struct emulation *emulation,
					  const struct lun_claim_owner *owner, char *reason)
{
	if (owner->foreign)
		snprintf(reason, LUN_REASON_MAX,
			 "LUN %.100s is in use with reservations of its own: there are %.200s; "
			 "with pr=emulate nobody else may have any (sg_persist shows and clears "
			 "them)",
			 emulation->designator, owner->who);
	else
		snprintf(reason, LUN_REASON_MAX,
			 "LUN %.80s is claimed by %.160s: its reservations are decided there. "
			 "Migrate its guests from there; or open it with incoming=on and, once "
			 "that host is known dead, call Abort with force",
			 emulation->designator, owner->who[0] != '\0' ? owner->who : "nobody now");
	return LUN_CLAIM_DIFFERS;
}

/* The claim is this host's own, whose registry was found damaged. */
static bool is_damaged_own(const struct emulation *emulation, const struct lun_claim_owner *owner)
{
	return emulation->damaged && (owner->token == emulation->damaged_token || owner->this_host);
}

enum lun_claim_result emulation_take(struct emulation *emulation, struct lun_emulate *instance,
				     bool force, char *reason)
{
	struct registry *trial = &emulation->trial;
	uint64_t next = emulation->registry.mode == REGISTRY_AWAY ? emulation->registry.next : 0;
	enum lun_claim_result result;
	struct lun_claim_owner owner;

	if (!emulation_read_owner(emulation, instance, &owner, reason))
		return LUN_CLAIM_FAILED;
	if (owner.token != 0 && owner.token == next) {
		owner.token = 0;
	} else if (owner.token != 0 && !is_damaged_own(emulation, &owner) && !force) {
		return refuse_owner(emulation, &owner, reason);
	}
	/* Its own unfinished REGISTER is no foreign one: lun_claim_swap tells them apart. */
	if (owner.foreign && next == 0)
		return refuse_owner(emulation, &owner, reason);
	*trial = emulation->registry;
	emulation_set_empty(trial);
	/* Whoever was registered under that claim is registered no more. */
	trial->lost = owner.token != 0 || emulation->damaged;
	if (emulation->registry.mode != REGISTRY_AWAY)
		log_warning("LUN %s: what was registered when this host had it last is forgotten",
			    emulation->designator);
	result = emulation_change_claim(emulation, instance, owner.token, next, REGISTRY_HERE,
					&owner, reason);
	if (result == LUN_CLAIM_DONE) {
		emulation->damaged = false;
		emulation_set_door(emulation, instance, EMULATE_INSIDE);
	}
	return result == LUN_CLAIM_DIFFERS ? refuse_owner(emulation, &owner, reason) : result;
}

/* The file says that the LUN is here. */
static enum lun_claim_result keep(struct emulation *emulation, struct lun_emulate *instance,
				  bool force, char *reason)
{
	struct lun_claim_owner owner;
	enum lun_claim_result result = emulation_join(emulation, instance, &owner, reason);

	if (result != LUN_CLAIM_DIFFERS)
		return result;
	/*
	 * No host gives a claim up: the LUN has lost it, with its power, or with the session that held. The token stays: other nexuses of
	 * this host may still be registered with it.
	 */
	if (owner.token == 0 && !owner.foreign) {
		log_warning("LUN %s has forgotten this host's claim, and no other host has one: it "
			    "is claimed again",
			    emulation->designator);
		emulation->trial = emulation->registry;
		result = emulation_change_claim(emulation, instance, 0, emulation->registry.token,
						REGISTRY_HERE, &owner, reason);
		return result == LUN_CLAIM_DIFFERS ? refuse_owner(emulation, &owner, reason)
						   : result;
	}
	if (force)
		return emulation_take(emulation, instance, true, reason);
	return refuse_owner(emulation, &owner, reason);
}

enum lun_claim_result emulation_hold(struct emulation *emulation, struct lun_emulate *instance,
				     bool force, char *reason)
{
	enum lun_claim_result result;
	struct lun_claim_owner owner;

	switch (emulation->registry.mode) {
	case REGISTRY_HERE:
		result = keep(emulation, instance, force, reason);
		break;
	case REGISTRY_LEFT:
		if (!emulation_read_owner(emulation, instance, &owner, reason))
			return LUN_CLAIM_FAILED;
		/* It has gone, and what is left of it here is worth nothing. */
		if (owner.token != emulation->registry.token)
			return emulation_take(emulation, instance, force, reason);
		snprintf(reason, LUN_REASON_MAX,
			 "LUN %.120s is being handed over to another host: its nexuses were "
			 "exported; end that by Abort or Release",
			 emulation->designator);
		return LUN_CLAIM_DIFFERS;
	default:
		result = emulation_take(emulation, instance, force, reason);
		break;
	}
	if (result == LUN_CLAIM_DONE)
		emulation_set_door(emulation, instance, EMULATE_INSIDE);
	return result;
}
