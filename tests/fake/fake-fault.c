/* SPDX-License-Identifier: Apache-2.0 */
/* Which command a fault hits; quirks. */
#include "fake-internal.h"

#include <string.h>

static int service_action_of(const uint8_t *cdb, size_t cdb_len)
{
	if (cdb_len >= 10 && cdb[0] == 0x7f)
		return get16(cdb + 8);
	return cdb_len >= 2 ? cdb[1] & 0x1f : 0;
}

bool fake_cdb_matches(int nexus, int opcode, int service_action, unsigned int of_nexus,
		      const uint8_t *cdb, size_t cdb_len)
{
	return (nexus == FAKE_ANY || nexus == (int)of_nexus) &&
	       (opcode == FAKE_ANY || (cdb_len > 0 && opcode == cdb[0])) &&
	       (service_action == FAKE_ANY || service_action == service_action_of(cdb, cdb_len));
}

const struct fake_fault *fake_fault_take(struct fake_shared *lun, unsigned int nexus,
					 const uint8_t *cdb, size_t cdb_len)
{
	const struct fake_fault *taken = NULL;

	for (unsigned int i = 0; i < FAKE_FAULT_MAX; i++) {
		struct fake_fault_slot *slot = &lun->faults[i];
		const struct fake_fault *fault = &slot->fault;

		if (!slot->used || !fake_cdb_matches(fault->nexus, fault->opcode,
						     fault->service_action, nexus, cdb, cdb_len))
			continue;
		/* Every fault counts what it matches; the first that is due hits. */
		if (slot->seen++ < fault->skip || taken != NULL ||
		    (fault->times != 0 && slot->hits >= fault->times))
			continue;
		slot->hits++;
		taken = fault;
	}
	return taken;
}

struct fake_fault fake_fault(int nexus, int opcode, int service_action)
{
	return (struct fake_fault){
		.nexus = nexus, .opcode = opcode, .service_action = service_action, .times = 1};
}

int fake_lun_add_fault(struct fake_lun *lun, const struct fake_fault *fault)
{
	int number = -1;

	fake_lock(lun);
	for (int i = 0; i < FAKE_FAULT_MAX; i++) {
		if (lun->shared->faults[i].used)
			continue;
		lun->shared->faults[i] = (struct fake_fault_slot){.used = true, .fault = *fault};
		number = i;
		break;
	}
	fake_unlock(lun);
	return number;
}

unsigned int fake_lun_fault_hits(struct fake_lun *lun, int fault)
{
	unsigned int hits;

	fake_lock(lun);
	hits = lun->shared->faults[fault].hits;
	fake_unlock(lun);
	return hits;
}

void fake_lun_clear_faults(struct fake_lun *lun)
{
	fake_lock(lun);
	memset(lun->shared->faults, 0, sizeof(lun->shared->faults));
	fake_unlock(lun);
}

void fake_lun_set_quirks(struct fake_lun *lun, const struct fake_quirks *quirks)
{
	fake_lock(lun);
	lun->shared->quirks = *quirks;
	fake_unlock(lun);
}

void fake_lun_get_quirks(struct fake_lun *lun, struct fake_quirks *ret_quirks)
{
	fake_lock(lun);
	*ret_quirks = lun->shared->quirks;
	fake_unlock(lun);
}

void fake_quirks_lio(struct fake_quirks *ret_quirks)
{
	*ret_quirks = (struct fake_quirks){
		.generation_still_at_no_op = true,
		.unit_attention_first = true,
		.capacity_conflicts = true,
		.short_allocation_refused = true,
		.unregistered_not_ready = true,
		.release_type_conflicts = true,
	};
}

void fake_quirks_tgt(struct fake_quirks *ret_quirks)
{
	*ret_quirks = (struct fake_quirks){
		.no_read_full_status = true,
		.no_register_and_move = true,
		.no_preempt_and_abort = true,
		.no_spec_i_pt = true,
		.no_all_tg_pt = true,
		.no_aptpl = true,
		.no_crh = true,
		.unit_attention_first = true,
		.short_allocation_refused = true,
		.preempt_says_preempted = true,
	};
}
