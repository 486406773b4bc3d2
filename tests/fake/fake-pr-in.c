/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE IN (SPC-4 6.15). */
#include "fake-internal.h"

static size_t read_keys(const struct fake_exec *exec, uint8_t *data)
{
	size_t len = 8;

	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++) {
		if (exec->pr.key[i] == 0)
			continue;
		put64(data + len, exec->pr.key[i]);
		len += 8;
	}
	return len;
}

static size_t read_reservation(const struct fake_exec *exec, uint8_t *data)
{
	const struct fake_pr *pr = &exec->pr;

	if (!pr->held)
		return 8;
	put64(data + 8, fake_all_registrants(pr->type) ? 0 : pr->key[pr->holder]);
	data[21] = pr->type;
	return 24;
}

static size_t report_capabilities(const struct fake_exec *exec, uint8_t *data)
{
	const struct fake_quirks *quirks = &exec->lun->quirks;

	put16(data, 8);
	data[2] = (uint8_t)((quirks->no_crh || quirks->no_reserve_release ? 0 : 0x10) |
			    (quirks->no_spec_i_pt ? 0 : 0x08) | (quirks->no_all_tg_pt ? 0 : 0x04) |
			    (quirks->no_aptpl ? 0 : 0x01));
	/* TMV; ALLOW COMMANDS 100b: the command matrix of SPC-4 */
	data[3] = (uint8_t)(0xc0 | (exec->pr.aptpl ? 1 : 0));
	data[4] = 0xea;
	data[5] = 0x01;
	return 8;
}

static size_t read_full_status(const struct fake_exec *exec, uint8_t *data)
{
	const struct fake_pr *pr = &exec->pr;
	size_t len = 8;

	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++) {
		uint8_t *entry = data + len;
		size_t id_len;

		if (pr->key[i] == 0)
			continue;
		put64(entry, pr->key[i]);
		if (fake_is_holder(pr, i)) {
			entry[12] = 0x01;
			entry[13] = pr->type;
		}
		put16(entry + 18, exec->lun->nexus[i].port);
		id_len = fake_transport_id_build(&exec->lun->nexus[i], entry + 24);
		put32(entry + 20, (uint32_t)id_len);
		len += 24 + id_len;
	}
	return len;
}

void fake_pr_in(struct fake_exec *exec)
{
	uint16_t allocation = get16(exec->cdb + 7);
	uint8_t data[FAKE_REPLY_MAX] = {0};
	uint8_t action = exec->cdb[1] & 0x1f;
	size_t len;

	if (exec->lun->quirks.short_allocation_refused && allocation < 8) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
		return;
	}
	switch (action) {
	case 0:
		len = read_keys(exec, data);
		break;
	case 1:
		len = read_reservation(exec, data);
		break;
	case 2:
		len = report_capabilities(exec, data);
		break;
	default:
		len = read_full_status(exec, data);
		break;
	}
	if (action != 2) {
		put32(data, exec->pr.generation);
		put32(data + 4, (uint32_t)len - 8);
	}
	fake_reply(exec, data, len, allocation);
}
