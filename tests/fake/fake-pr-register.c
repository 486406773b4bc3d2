/* SPDX-License-Identifier: Apache-2.0 */
/* REGISTER, REGISTER AND IGNORE EXISTING KEY, REGISTER AND MOVE. */
#include "fake-pr-out.h"

static unsigned int registrations_max(const struct fake_exec *exec)
{
	unsigned int max = exec->lun->quirks.registrations_max;

	return max != 0 && max < FAKE_NEXUS_MAX ? max : FAKE_NEXUS_MAX;
}

static void unregister(struct fake_exec *exec, unsigned int nexus)
{
	struct fake_pr *pr = &exec->pr;
	bool holder = fake_is_holder(pr, nexus);
	uint8_t type = pr->type;

	pr->key[nexus] = 0;
	if (!holder || (fake_all_registrants(type) && fake_registrations(pr) > 0))
		return;
	fake_pr_release(pr);
	if (type == 5 || type == 6)
		fake_pr_ua_registered(exec, ASC_RESERVATIONS_RELEASED);
}

/* The nexuses of the initiator ports that SPEC_I_PT lists, a bit each. False: answered. */
static bool listed_nexuses(struct fake_exec *exec, const struct pr_out_list *out,
			   uint16_t *ret_nexuses)
{
	uint32_t ids_len = get32(out->list + 24), at = 0;
	uint16_t nexuses = 0;

	if (ids_len > out->len - 28) {
		fake_illegal(exec, ASC_LIST_LENGTH);
		return false;
	}
	while (at < ids_len) {
		const uint8_t *id = out->list + 28 + at;
		size_t len = fake_transport_id_length(id, ids_len - at);
		uint16_t named = 0;

		for (unsigned int i = 0; len != 0 && i < FAKE_NEXUS_MAX; i++) {
			const struct fake_nexus *nexus = &exec->lun->nexus[i];

			if (fake_transport_id_names(id, nexus) &&
			    (out->all_tg_pt || nexus->port == exec->lun->nexus[exec->nexus].port))
				named |= (uint16_t)(1u << i);
		}
		if (named == 0) {
			fake_illegal(exec, ASC_INVALID_FIELD_IN_LIST);
			return false;
		}
		nexuses |= named;
		at += (uint32_t)len;
	}
	*ret_nexuses = nexuses;
	return true;
}

void fake_pr_register(struct fake_exec *exec, const struct pr_out_list *out)
{
	const struct fake_quirks *quirks = &exec->lun->quirks;
	struct fake_pr *pr = &exec->pr;
	bool registered = pr->key[exec->nexus] != 0;
	uint16_t nexuses = (uint16_t)(1u << exec->nexus), listed = 0;

	if (!registered && out->service_key == 0) {
		pr->aptpl = out->aptpl;
		if (!quirks->generation_still_at_no_op)
			fake_pr_count(exec);
		return;
	}
	if (quirks->aptpl_store_fails && out->aptpl) {
		fake_illegal(exec, ASC_NO_REGISTRATION_RESOURCES);
		return;
	}
	for (unsigned int i = 0; out->all_tg_pt && i < FAKE_NEXUS_MAX; i++) {
		if (fake_same_initiator_port(&exec->lun->nexus[i], &exec->lun->nexus[exec->nexus]))
			nexuses |= (uint16_t)(1u << i);
	}
	if (out->spec_i_pt && !listed_nexuses(exec, out, &listed))
		return;
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++) {
		if ((listed >> i & 1) && pr->key[i] != 0) {
			fake_illegal(exec, ASC_INVALID_FIELD_IN_LIST);
			return;
		}
	}
	nexuses |= listed;
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++) {
		if (!(nexuses >> i & 1))
			continue;
		if (out->service_key == 0 && pr->key[i] != 0)
			unregister(exec, i);
		else
			pr->key[i] = out->service_key;
	}
	if (fake_registrations(pr) > registrations_max(exec)) {
		fake_illegal(exec, ASC_NO_REGISTRATION_RESOURCES);
		return;
	}
	pr->aptpl = out->aptpl;
	fake_pr_count(exec);
	if (quirks->register_not_ready) {
		fake_sense(exec->result, KEY_NOT_READY, ASC_NOT_READY_COMMUNICATION);
		exec->commit_anyway = true;
	}
}

void fake_pr_register_and_move(struct fake_exec *exec, const struct pr_out_list *out)
{
	const struct fake_nexus *sender = &exec->lun->nexus[exec->nexus];
	uint16_t port = get16(out->list + 18);
	uint32_t id_len = get32(out->list + 20);
	const uint8_t *id = out->list + 24;
	struct fake_pr *pr = &exec->pr;
	int destination = -1;

	if (id_len < 24 || id_len % 4 != 0 || fake_transport_id_length(id, id_len) == 0) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_LIST);
		return;
	}
	if (!pr->held) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
		return;
	}
	if (fake_all_registrants(pr->type) || pr->holder != (int)exec->nexus) {
		fake_conflict(exec);
		return;
	}
	for (int i = 0; i < FAKE_NEXUS_MAX; i++) {
		const struct fake_nexus *nexus = &exec->lun->nexus[i];

		if (fake_transport_id_names(id, nexus) && nexus->port == port)
			destination = i;
	}
	if (out->service_key == 0 || fake_transport_id_names(id, sender) || destination < 0) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_LIST);
		return;
	}
	pr->key[destination] = out->service_key;
	pr->holder = (int8_t)destination;
	if (out->list[17] & 2)
		pr->key[exec->nexus] = 0;
	if (fake_registrations(pr) > registrations_max(exec)) {
		fake_illegal(exec, ASC_NO_REGISTRATION_RESOURCES);
		return;
	}
	pr->aptpl = out->aptpl;
	fake_pr_count(exec);
}
