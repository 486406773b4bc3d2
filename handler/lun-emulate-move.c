/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An emulated LUN moves to another host with all of its nexuses: the ticket carries the registry, and the claim's token is the secret of it.
 * Each step is one change of the claim, journalled in the registry's file before it is made.
 */
#include "lun-emulate-internal.h"

#include <stdio.h>
#include <string.h>

#include "lun-emulate-leave.h"

_Static_assert(REGISTRY_TICKET_MAX <= LUN_TICKET_MAX, "a ticket fits where it is asked for");

static bool move_offered(struct lun *lun)
{
	(void)lun;
	return true;
}

/* Each call begins with what an earlier one, or another process, has left without an outcome. */
static bool begin(struct lun_emulate *instance, char *reason)
{
	struct emulation *emulation = instance->emulation;

	pthread_mutex_lock(&emulation->change_lock);
	if (emulation_load(emulation, instance, reason) &&
	    emulation_resolve(emulation, instance, reason))
		return true;
	pthread_mutex_unlock(&emulation->change_lock);
	return false;
}

static void end(struct lun_emulate *instance)
{
	pthread_mutex_unlock(&instance->emulation->change_lock);
}

static enum lun_move outcome_of(enum lun_claim_result result)
{
	switch (result) {
	case LUN_CLAIM_DONE:
		return LUN_MOVE_DONE;
	case LUN_CLAIM_DIFFERS:
		return LUN_MOVE_TAKEN;
	case LUN_CLAIM_FAILED:
		return LUN_MOVE_REFUSED;
	default:
		return LUN_MOVE_UNKNOWN;
	}
}

static void say_owner(const struct emulation *emulation, const struct lun_claim_owner *owner,
		      const char *what, char *reason)
{
	if (owner->token == 0 && !owner->foreign)
		snprintf(reason, LUN_REASON_MAX, "%s: LUN %.120s is claimed by nobody now", what,
			 emulation->designator);
	else
		snprintf(reason, LUN_REASON_MAX, "%s: LUN %.120s is claimed by %.200s", what,
			 emulation->designator, owner->who);
}

static enum lun_move refuse_without_claim(const struct emulation *emulation, char *reason)
{
	snprintf(reason, LUN_REASON_MAX,
		 "LUN %.120s has neither persistent reservations of its own nor a file beside it, "
		 "by which two hosts could tell whose it is: its nexuses cannot move",
		 emulation->designator);
	return LUN_MOVE_REFUSED;
}

/* The nexus left from here and has become another one here. */
static const struct registry_mover *moved_here(struct emulation *emulation,
					       const struct lun_emulate *instance)
{
	const struct registry_mover *mover =
		registry_find_mover(&emulation->registry, instance->name);

	return mover != NULL && mover->id[0] != '\0' && mover->here[0] != '\0' ? mover : NULL;
}

/* ---- leave ---- */

/* All that left are here again under their own names. */
static bool take_movers_back(struct registry *registry, char *reason)
{
	char why[NEXUS_MESSAGE_MAX];

	for (size_t i = 0; i < registry->mover_count; i++) {
		struct registry_mover *mover = &registry->movers[i];

		if (!registry_arrive(registry, mover, mover->name, why)) {
			snprintf(reason, LUN_REASON_MAX, "%.500s", why);
			return false;
		}
	}
	registry->mover_count = 0;
	registry->ticket = 0;
	return true;
}

/* With the longest name of those that leave, too. */
static bool tickets_fit(const struct registry *registry)
{
	char ticket[REGISTRY_TICKET_MAX];

	for (size_t i = 0; i < registry->mover_count; i++)
		if (!registry_ticket_format(registry, registry->movers[i].name, ticket))
			return false;
	return true;
}

/* Under change_lock; the round is all of the LUN's nexuses. */
static enum lun_move leave_all(struct emulation *emulation, struct lun_emulate *instance,
			       char *reason)
{
	struct registry *trial = &emulation->trial;
	struct lun_claim_owner owner;
	enum lun_claim_result result;
	bool here = emulation->registry.mode == REGISTRY_HERE;

	if (emulation->claim.kind == LUN_CLAIM_NONE)
		return refuse_without_claim(emulation, reason);
	if (emulation->registry.mode == REGISTRY_AWAY || moved_here(emulation, instance) != NULL) {
		snprintf(reason, LUN_REASON_MAX, "LUN %.120s has gone to another nexus already",
			 emulation->designator);
		return LUN_MOVE_TAKEN;
	}
	*trial = emulation->registry;
	/* It may have been on another nexus of this host meanwhile, and handed back. */
	if (!here && trial->ticket != 0 && !take_movers_back(trial, reason))
		return LUN_MOVE_REFUSED;
	trial->mover_count = 0;
	trial->ticket = 0;
	if (!emulate_leave_add_movers(emulation, trial) || !tickets_fit(trial)) {
		snprintf(reason, LUN_REASON_MAX,
			 "LUN %.120s has more registrations than a state line can carry: "
			 "unregister what is not used",
			 emulation->designator);
		return LUN_MOVE_REFUSED;
	}
	result = emulation_change_claim(emulation, instance, emulation->registry.token, 0,
					REGISTRY_LEFT, &owner, reason);
	if (result == LUN_CLAIM_DIFFERS) {
		say_owner(emulation, &owner, here ? "it cannot leave" : "it has arrived", reason);
		return here ? LUN_MOVE_REFUSED : LUN_MOVE_TAKEN;
	}
	return outcome_of(result);
}

static enum lun_move move_leave(struct lun *lun, const char *id, char *ret_ticket, char *reason)
{
	struct lun_emulate *instance = lun_emulate_of(lun);
	struct emulation *emulation = instance->emulation;
	enum lun_move result = emulate_leave(instance, id, leave_all, reason);

	if (result != LUN_MOVE_DONE)
		return result;
	pthread_mutex_lock(&emulation->change_lock);
	/* The token has as many digits as any had. */
	registry_ticket_format(&emulation->registry, instance->name, ret_ticket);
	pthread_mutex_unlock(&emulation->change_lock);
	return result;
}

/* ---- arrive ---- */

static bool read_ticket(const char *ticket, struct registry *ret_registry, char *ret_name,
			char *reason)
{
	char why[NEXUS_MESSAGE_MAX];

	if (registry_ticket_parse(ticket, ret_registry, ret_name, why))
		return true;
	snprintf(reason, LUN_REASON_MAX, "the line carries no registry of an emulated LUN: %.300s",
		 why);
	return false;
}

static bool move_fits(struct lun *lun, const char *ticket, char *reason)
{
	char name[CFGSTRING_NAME_MAX + 1];
	struct registry arriving;

	(void)lun;
	return read_ticket(ticket, &arriving, name, reason);
}

static enum lun_move move_look(struct lun *lun, const char *ticket, char *reason)
{
	struct lun_emulate *instance = lun_emulate_of(lun);
	struct emulation *emulation = instance->emulation;
	enum lun_move result = LUN_MOVE_DONE;
	char name[CFGSTRING_NAME_MAX + 1];
	struct lun_claim_owner owner;
	struct registry arriving;

	if (!read_ticket(ticket, &arriving, name, reason))
		return LUN_MOVE_REFUSED;
	if (!begin(instance, reason))
		return LUN_MOVE_UNKNOWN;
	if (emulation->claim.kind == LUN_CLAIM_NONE) {
		result = refuse_without_claim(emulation, reason);
	} else if (!emulation_read_owner(emulation, instance, &owner, reason)) {
		result = LUN_MOVE_UNKNOWN;
	} else if (owner.token != arriving.ticket &&
		   emulation->registry.ticket != arriving.ticket) {
		say_owner(emulation, &owner, "this line is a ticket no more", reason);
		result = LUN_MOVE_TAKEN;
	}
	end(instance);
	return result;
}

/* The LUN has come by this ticket: so does the nexus that was `from`. */
static enum lun_move join(struct emulation *emulation, struct lun_emulate *instance,
			  const char *from, char *reason)
{
	struct registry *trial = &emulation->trial;
	struct registry_mover *mover;
	char why[NEXUS_MESSAGE_MAX];
	enum lun_claim_result result;
	struct lun_claim_owner owner;

	result = emulation_join(emulation, instance, &owner, reason);
	if (result == LUN_CLAIM_DIFFERS)
		say_owner(emulation, &owner, "another host has taken it since", reason);
	if (result != LUN_CLAIM_DONE)
		return outcome_of(result);
	*trial = emulation->registry;
	mover = registry_find_mover(trial, from);
	if (mover == NULL || (mover->here[0] != '\0' && strcmp(mover->here, instance->name) != 0)) {
		snprintf(reason, LUN_REASON_MAX, "nexus '%s' of the other host is nexus '%s' here",
			 from, mover != NULL ? mover->here : "");
		return LUN_MOVE_TAKEN;
	}
	if (mover->here[0] == '\0') {
		if (!registry_arrive(trial, mover, instance->name, why)) {
			snprintf(reason, LUN_REASON_MAX, "%.500s", why);
			return LUN_MOVE_REFUSED;
		}
		if (!emulation_save(emulation, trial, reason))
			return LUN_MOVE_UNKNOWN;
		emulation_install(emulation, trial);
	}
	emulation_set_door(emulation, instance, EMULATE_INSIDE);
	return LUN_MOVE_DONE;
}

/* Of a hand-over within this host: who left keeps its id. */
static void keep_ids(const struct registry *from, struct registry *to)
{
	for (size_t i = 0; i < from->mover_count; i++) {
		struct registry_mover *mover = registry_find_mover(to, from->movers[i].name);

		if (mover != NULL)
			memcpy(mover->id, from->movers[i].id, sizeof(mover->id));
	}
}

static enum lun_move bring_here(struct emulation *emulation, struct lun_emulate *instance,
				struct registry *arriving, char *reason)
{
	enum lun_claim_result result;
	struct lun_claim_owner owner;

	if (emulation->registry.mode == REGISTRY_HERE) {
		snprintf(reason, LUN_REASON_MAX,
			 "LUN %.120s is here already, for other nexuses of this host: the nexuses "
			 "of an emulated LUN move together",
			 emulation->designator);
		return LUN_MOVE_REFUSED;
	}
	if (emulation->registry.mode == REGISTRY_LEFT &&
	    emulation->registry.token == arriving->ticket)
		keep_ids(&emulation->registry, arriving);
	memcpy(arriving->boot, emulation->registry.boot, sizeof(arriving->boot));
	emulation->trial = *arriving;
	result = emulation_change_claim(emulation, instance, arriving->ticket, 0, REGISTRY_HERE,
					&owner, reason);
	if (result == LUN_CLAIM_DIFFERS)
		say_owner(emulation, &owner, "this line is a ticket no more", reason);
	return outcome_of(result);
}

static enum lun_move move_arrive(struct lun *lun, const char *id, const char *ticket, char *reason)
{
	struct lun_emulate *instance = lun_emulate_of(lun);
	struct emulation *emulation = instance->emulation;
	char name[CFGSTRING_NAME_MAX + 1];
	enum lun_move result = LUN_MOVE_DONE;
	struct registry arriving;

	(void)id;
	if (!read_ticket(ticket, &arriving, name, reason))
		return LUN_MOVE_REFUSED;
	if (!begin(instance, reason))
		return LUN_MOVE_UNKNOWN;
	if (emulation->claim.kind == LUN_CLAIM_NONE)
		result = refuse_without_claim(emulation, reason);
	else if (emulation->registry.mode != REGISTRY_HERE ||
		 emulation->registry.ticket != arriving.ticket)
		result = bring_here(emulation, instance, &arriving, reason);
	if (result == LUN_MOVE_DONE)
		result = join(emulation, instance, name, reason);
	end(instance);
	return result;
}

/* ---- back at the source ---- */

static enum lun_move back_from_ticket(struct emulation *emulation, struct lun_emulate *instance,
				      bool force, char *reason)
{
	enum lun_claim_result result;
	struct lun_claim_owner owner;

	emulation->trial = emulation->registry;
	/* Moving names are there only where it had arrived within this host. */
	if (emulation->trial.ticket == 0)
		emulation->trial.mover_count = 0;
	else if (!take_movers_back(&emulation->trial, reason))
		return LUN_MOVE_REFUSED;
	result = emulation_change_claim(emulation, instance, emulation->registry.token, 0,
					REGISTRY_HERE, &owner, reason);
	if (result == LUN_CLAIM_DONE)
		emulation_set_door(emulation, instance, EMULATE_INSIDE);
	if (result != LUN_CLAIM_DIFFERS)
		return outcome_of(result);
	if (force)
		return outcome_of(emulation_take(emulation, instance, true, reason));
	say_owner(emulation, &owner, "it has arrived at the destination", reason);
	return LUN_MOVE_TAKEN;
}

static enum lun_move move_come_back(struct lun *lun, const char *id, bool force, char *reason)
{
	struct lun_emulate *instance = lun_emulate_of(lun);
	struct emulation *emulation = instance->emulation;
	const struct registry_mover *mover;
	enum lun_move result;

	if (!begin(instance, reason))
		return LUN_MOVE_UNKNOWN;
	mover = moved_here(emulation, instance);
	if (emulation->registry.mode == REGISTRY_LEFT && id[0] != '\0') {
		result = back_from_ticket(emulation, instance, force, reason);
	} else if (emulation->registry.mode == REGISTRY_HERE && mover != NULL) {
		snprintf(reason, LUN_REASON_MAX, "it is nexus '%s' on this host now", mover->here);
		result = LUN_MOVE_TAKEN;
	} else {
		result = outcome_of(emulation_hold(emulation, instance, force, reason));
	}
	end(instance);
	return result;
}

/* Nothing goes before the outcome is on disk (move_tidy): an Abort may come all the same. */
static enum lun_move move_left(struct lun *lun, const char *id, bool force, char *reason)
{
	struct lun_emulate *instance = lun_emulate_of(lun);
	struct emulation *emulation = instance->emulation;
	enum lun_move result = LUN_MOVE_DONE;
	struct lun_claim_owner owner;

	(void)id;
	if (!begin(instance, reason))
		return LUN_MOVE_UNKNOWN;
	if (emulation->registry.mode == REGISTRY_LEFT) {
		if (!emulation_read_owner(emulation, instance, &owner, reason)) {
			result = force ? LUN_MOVE_DONE : LUN_MOVE_UNKNOWN;
		} else if (owner.token == emulation->registry.token) {
			/* The LUN says so itself: force cannot know better. */
			say_owner(emulation, &owner, "it has not arrived anywhere", reason);
			result = LUN_MOVE_REFUSED;
		}
	} else if (emulation->registry.mode == REGISTRY_HERE &&
		   moved_here(emulation, instance) == NULL && instance->door != EMULATE_OUTSIDE) {
		snprintf(reason, LUN_REASON_MAX, "it is here");
		result = LUN_MOVE_REFUSED;
	}
	end(instance);
	return result;
}

static void move_tidy(struct lun *lun, const char *id)
{
	struct lun_emulate *instance = lun_emulate_of(lun);
	struct emulation *emulation = instance->emulation;
	struct registry *trial = &emulation->trial;
	struct registry_mover *mover;
	char reason[LUN_REASON_MAX];

	if (!begin(instance, reason))
		return;
	*trial = emulation->registry;
	mover = registry_find_mover(trial, instance->name);
	if (mover != NULL && strcmp(mover->id, id) == 0) {
		if (trial->mode == REGISTRY_HERE) {
			mover->id[0] = '\0';
		} else {
			registry_remove_mover(trial, mover);
			if (trial->mover_count == 0) {
				emulation_set_empty(trial);
				lun_spread(instance->inner, 0, LUN_SPREAD_NONE);
			}
		}
		if (emulation_save(emulation, trial, reason))
			emulation_install(emulation, trial);
	}
	if (instance->door == EMULATE_LEFT)
		emulation_set_door(emulation, instance, EMULATE_OUTSIDE);
	end(instance);
}

/* ---- back at the destination ---- */

/* The LUN is here by a ticket, and this nexus or nobody has come by it. */
static bool is_arrival(struct emulation *emulation, const struct lun_emulate *instance)
{
	struct registry *registry = &emulation->registry;

	if (registry->mode != REGISTRY_HERE || registry->ticket == 0)
		return false;
	if (registry_find_arrived(registry, instance->name) != NULL)
		return true;
	for (size_t i = 0; i < registry->mover_count; i++)
		if (registry->movers[i].here[0] != '\0')
			return false;
	return true;
}

static bool others_arrived(const struct registry *registry, const char *name)
{
	for (size_t i = 0; i < registry->mover_count; i++)
		if (registry->movers[i].here[0] != '\0' &&
		    strcmp(registry->movers[i].here, name) != 0)
			return true;
	return false;
}

/* Others have come by the ticket, and stay: this one may come again. */
static enum lun_move hand_back_one(struct emulation *emulation, struct lun_emulate *instance,
				   struct registry *trial, char *reason)
{
	if (!emulation_save(emulation, trial, reason))
		return LUN_MOVE_REFUSED;
	emulation_install(emulation, trial);
	emulation_set_door(emulation, instance, EMULATE_OUTSIDE);
	return LUN_MOVE_DONE;
}

/* The source comes back by force alone then, and believes nothing that it remembers. */
static enum lun_move give_up(struct emulation *emulation, struct lun_emulate *instance,
			     struct registry *trial, bool force, char *reason)
{
	if (force) {
		emulation_set_empty(trial);
		return hand_back_one(emulation, instance, trial, reason);
	}
	snprintf(reason, LUN_REASON_MAX,
		 "registrations or the reservation of LUN %.120s have changed since it came: what "
		 "the source remembers is not true any more; Import again, Release there, and "
		 "export from here",
		 emulation->designator);
	return LUN_MOVE_REFUSED;
}

static enum lun_move hand_back(struct emulation *emulation, struct lun_emulate *instance,
			       bool force, char *reason)
{
	struct registry *trial = &emulation->trial;
	enum registry_mode mode = REGISTRY_AWAY;
	enum lun_claim_result result;
	struct lun_claim_owner owner;
	char why[NEXUS_MESSAGE_MAX];

	*trial = emulation->registry;
	if (!registry_depart(trial, registry_find_arrived(trial, instance->name), why)) {
		snprintf(reason, LUN_REASON_MAX, "%.500s", why);
		return LUN_MOVE_REFUSED;
	}
	if (others_arrived(trial, instance->name))
		return hand_back_one(emulation, instance, trial, reason);
	if (trial->touched)
		return give_up(emulation, instance, trial, force, reason);
	/* Within this host it is the source's again. */
	for (size_t i = 0; i < trial->mover_count; i++)
		if (trial->movers[i].id[0] != '\0')
			mode = REGISTRY_LEFT;
	result = emulation_change_claim(emulation, instance, emulation->registry.token,
					emulation->registry.ticket, mode, &owner, reason);
	if (result == LUN_CLAIM_DIFFERS)
		say_owner(emulation, &owner, "another host has taken it since", reason);
	if (result == LUN_CLAIM_DONE)
		emulation_set_door(emulation, instance, EMULATE_OUTSIDE);
	return outcome_of(result);
}

static enum lun_move move_hand_back(struct lun *lun, const char *id, bool force, char *reason)
{
	struct lun_emulate *instance = lun_emulate_of(lun);
	struct emulation *emulation = instance->emulation;
	enum lun_move result = LUN_MOVE_DONE;

	(void)id;
	if (!begin(instance, reason))
		return LUN_MOVE_UNKNOWN;
	if (is_arrival(emulation, instance))
		result = hand_back(emulation, instance, force, reason);
	else
		emulation_set_door(emulation, instance, EMULATE_OUTSIDE);
	end(instance);
	return result;
}

static enum lun_move move_unleave(struct lun *lun, const char *id, char *reason)
{
	/* Nothing is taken by force on the strength of a journal: another host may have been told to take it since. */
	return move_come_back(lun, id, false, reason);
}

const struct lun_move_ops lun_emulate_move = {
	.offered = move_offered,
	.fits = move_fits,
	.look = move_look,
	.leave = move_leave,
	.arrive = move_arrive,
	.come_back = move_come_back,
	.unleave = move_unleave,
	.hand_back = move_hand_back,
	.left = move_left,
	.tidy = move_tidy,
};
