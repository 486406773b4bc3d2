/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE OUT (SPC-4 5.9 and 6.16): the checks, in the standard's order, and RESERVE,
 * RELEASE, CLEAR and PREEMPT. */
#include "fake-pr-out.h"

static bool type_valid(uint8_t type)
{
	return type == 1 || type == 3 || (type >= 5 && type <= 8);
}

void fake_pr_ua(struct fake_exec *exec, unsigned int nexus, uint16_t asc_ascq)
{
	if (nexus != exec->nexus && !exec->lun->quirks.no_unit_attentions)
		fake_ua_add(&exec->pr, nexus, asc_ascq);
}

void fake_pr_ua_registered(struct fake_exec *exec, uint16_t asc_ascq)
{
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++) {
		if (exec->pr.key[i] != 0)
			fake_pr_ua(exec, i, asc_ascq);
	}
}

void fake_pr_count(struct fake_exec *exec)
{
	static const uint32_t steps[] = {[FAKE_GENERATION_STANDARD] = 1,
					 [FAKE_GENERATION_STILL] = 0,
					 [FAKE_GENERATION_BY_TWO] = 2};

	exec->pr.generation += steps[exec->lun->quirks.generation];
}

void fake_pr_release(struct fake_pr *pr)
{
	pr->held = false;
	pr->type = 0;
	pr->holder = -1;
}

static void hold(struct fake_exec *exec, uint8_t type)
{
	exec->pr.held = true;
	exec->pr.type = type;
	exec->pr.holder = fake_all_registrants(type) ? -1 : (int8_t)exec->nexus;
}

/* SCOPE and TYPE where they are used. */
static bool scope_and_type(struct fake_exec *exec, const struct pr_out_list *out)
{
	if (out->scope == 0 && type_valid(out->type))
		return true;
	fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
	return false;
}

static void reserve(struct fake_exec *exec, const struct pr_out_list *out)
{
	struct fake_pr *pr = &exec->pr;

	if (!scope_and_type(exec, out))
		return;
	if (!pr->held)
		hold(exec, out->type);
	else if (!fake_is_holder(pr, exec->nexus) || pr->type != out->type)
		fake_conflict(exec);
}

static void release(struct fake_exec *exec, const struct pr_out_list *out)
{
	struct fake_pr *pr = &exec->pr;
	uint8_t type = pr->type;

	if (!fake_is_holder(pr, exec->nexus))
		return;
	if (out->scope != 0 || out->type != type) {
		if (exec->lun->quirks.release_type_conflicts)
			fake_conflict(exec);
		else
			fake_illegal(exec, ASC_INVALID_RELEASE);
		return;
	}
	fake_pr_release(pr);
	if (type >= 5)
		fake_pr_ua_registered(exec, ASC_RESERVATIONS_RELEASED);
}

static void clear(struct fake_exec *exec)
{
	struct fake_pr *pr = &exec->pr;

	fake_pr_ua_registered(exec, ASC_RESERVATIONS_PREEMPTED);
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++)
		pr->key[i] = 0;
	fake_pr_release(pr);
	fake_pr_count(exec);
}

/* Removes each registration with key (0: every one), but the sender's where keep_sender. Returns
 * the nexuses, a bit each. */
static uint16_t preempt_registrations(struct fake_exec *exec, uint64_t key, bool keep_sender)
{
	uint16_t asc_ascq = exec->lun->quirks.preempt_says_preempted ? ASC_RESERVATIONS_PREEMPTED
								     : ASC_REGISTRATIONS_PREEMPTED;
	uint16_t removed = 0;

	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++) {
		if (exec->pr.key[i] == 0 || (key != 0 && exec->pr.key[i] != key) ||
		    (keep_sender && i == exec->nexus))
			continue;
		exec->pr.key[i] = 0;
		removed |= (uint16_t)(1u << i);
		fake_pr_ua(exec, i, asc_ascq);
	}
	return removed;
}

static uint16_t preempt_holder(struct fake_exec *exec, const struct pr_out_list *out)
{
	struct fake_pr *pr = &exec->pr;
	bool changed = pr->type != out->type;
	uint16_t removed = preempt_registrations(exec, out->service_key, true);

	hold(exec, out->type);
	if (changed)
		fake_pr_ua_registered(exec, ASC_RESERVATIONS_RELEASED);
	return removed;
}

static void preempt(struct fake_exec *exec, const struct pr_out_list *out)
{
	struct fake_pr *pr = &exec->pr;
	bool all = pr->held && fake_all_registrants(pr->type), matches = false;
	uint16_t removed;

	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++)
		matches |= out->service_key != 0 && pr->key[i] == out->service_key;
	if (pr->held && !all && out->service_key == 0) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_LIST);
		return;
	}
	if (!matches && !(all && out->service_key == 0)) {
		if (!exec->lun->quirks.preempt_none_ignored)
			fake_conflict(exec);
		return;
	}
	if (all && out->service_key == 0) {
		if (!scope_and_type(exec, out))
			return;
		removed = preempt_registrations(exec, 0, true);
		hold(exec, out->type);
	} else if (pr->held && !all && pr->key[pr->holder] == out->service_key) {
		if (!scope_and_type(exec, out))
			return;
		removed = preempt_holder(exec, out);
	} else {
		removed = preempt_registrations(exec, out->service_key, false);
		if (all && fake_registrations(pr) == 0)
			fake_pr_release(pr);
	}
	if (out->action == 5)
		exec->aborts = (uint16_t)(removed & ~(1u << exec->nexus));
	fake_pr_count(exec);
}

/* The list's length, and the flags in it. False: answered. */
static bool list_parse(struct fake_exec *exec, struct pr_out_list *out)
{
	const struct fake_quirks *quirks = &exec->lun->quirks;
	const uint8_t *list = exec->out;
	bool move = out->action == 7, registers = out->action == 0 || out->action == 6;

	if (out->len > exec->out_len || out->len < 24 || out->len > FAKE_LIST_BYTES_MAX) {
		fake_illegal(exec, ASC_LIST_LENGTH);
		return false;
	}
	out->list = list;
	out->key = get64(list);
	out->service_key = get64(list + 8);
	out->aptpl = list[move ? 17 : 20] & 1;
	out->all_tg_pt = !move && (list[20] & 4);
	out->spec_i_pt = !move && (list[20] & 8);
	if ((!move && !out->spec_i_pt && out->len != 24) ||
	    (move && out->len < 24 + (uint64_t)get32(list + 20)) ||
	    (out->spec_i_pt && out->len < 28)) {
		fake_illegal(exec, ASC_LIST_LENGTH);
		return false;
	}
	if ((out->spec_i_pt &&
	     (out->action != 0 || quirks->no_spec_i_pt || exec->pr.key[exec->nexus] != 0)) ||
	    (out->all_tg_pt && registers && quirks->no_all_tg_pt) ||
	    (out->aptpl && (registers || move) && quirks->no_aptpl)) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_LIST);
		return false;
	}
	return true;
}

/* The sender's registration and its key. False: answered. */
static bool sender_check(struct fake_exec *exec, const struct pr_out_list *out)
{
	uint64_t key = exec->pr.key[exec->nexus];

	if (out->action == 6)
		return true;
	if (out->action != 0 && key == 0) {
		if (exec->lun->quirks.unregistered_not_ready && !exec->pr.held && out->action < 4)
			fake_sense(exec->result, KEY_NOT_READY, ASC_NOT_READY_COMMUNICATION);
		else
			fake_conflict(exec);
		return false;
	}
	/* An unregistered sender of REGISTER has to say 0. */
	if (out->key != key) {
		fake_conflict(exec);
		return false;
	}
	return true;
}

void fake_pr_out(struct fake_exec *exec)
{
	struct pr_out_list out = {
		.action = exec->cdb[1] & 0x1f,
		.scope = exec->cdb[2] >> 4,
		.type = exec->cdb[2] & 0x0f,
		.len = get32(exec->cdb + 5),
	};

	if (!list_parse(exec, &out) || !sender_check(exec, &out))
		return;
	switch (out.action) {
	case 0:
	case 6:
		fake_pr_register(exec, &out);
		break;
	case 1:
		reserve(exec, &out);
		break;
	case 2:
		release(exec, &out);
		break;
	case 3:
		clear(exec);
		break;
	case 4:
	case 5:
		preempt(exec, &out);
		break;
	default:
		fake_pr_register_and_move(exec, &out);
		break;
	}
}
