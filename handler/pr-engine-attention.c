/* SPDX-License-Identifier: Apache-2.0 */
/* Unit attentions that wait, and which commands meet them. */
#include <string.h>

#include "pr-engine-internal.h"

/* As many as a queue is long: each waits once, so that none is ever lost for want of room. The order is that of the letters that stand for
 * them in the fields: only ever add at the end. */
static const uint16_t attentions[PR_ENGINE_UNIT_ATTENTIONS] = {
	SCSI_ASC_POWER_ON_OR_RESET,
	SCSI_ASC_RESERVATIONS_PREEMPTED,
	SCSI_ASC_RESERVATIONS_RELEASED,
	SCSI_ASC_REGISTRATIONS_PREEMPTED,
	SCSI_ASC_CAPACITY_DATA_CHANGED,
	SCSI_ASC_MODE_PARAMETERS_CHANGED,
	SCSI_ASC_COMMANDS_CLEARED_BY_ANOTHER_INITIATOR,
	SCSI_ASC_INQUIRY_DATA_CHANGED,
};

int pr_engine_attention_number(uint16_t asc_ascq)
{
	for (int i = 0; i < PR_ENGINE_UNIT_ATTENTIONS; i++)
		if (attentions[i] == asc_ascq)
			return i;
	return -1;
}

uint16_t pr_engine_attention(unsigned int number)
{
	return attentions[number];
}

bool pr_engine_add_unit_attention(struct pr_engine *engine, unsigned int nexus, uint16_t asc_ascq)
{
	struct pr_engine_nexus *slot = &engine->nexuses[nexus];

	if (pr_engine_attention_number(asc_ascq) < 0)
		return false;
	for (unsigned int i = 0; i < slot->unit_attention_count; i++)
		if (slot->unit_attentions[i] == asc_ascq)
			return true;
	slot->unit_attentions[slot->unit_attention_count++] = asc_ascq;
	return true;
}

static uint16_t take(struct pr_engine_nexus *slot, unsigned int place)
{
	uint16_t asc_ascq = slot->unit_attentions[place];

	slot->unit_attention_count--;
	memmove(slot->unit_attentions + place, slot->unit_attentions + place + 1,
		(slot->unit_attention_count - place) * sizeof(slot->unit_attentions[0]));
	slot->unit_attentions[slot->unit_attention_count] = 0;
	return asc_ascq;
}

bool pr_engine_take_unit_attention(struct pr_engine *engine, unsigned int nexus,
				   uint16_t *ret_asc_ascq)
{
	struct pr_engine_nexus *slot = &engine->nexuses[nexus];

	if (slot->unit_attention_count == 0)
		return false;
	*ret_asc_ascq = take(slot, 0);
	return true;
}

/* SAM-5, status precedence: before RESERVATION CONFLICT come the unit attentions of ASC 29h, after it all others. */
bool pr_engine_admits(struct pr_engine *engine, unsigned int nexus, const uint8_t *cdb,
		      struct pr_engine_answer *ret_answer)
{
	struct pr_engine_nexus *slot = &engine->nexuses[nexus];
	bool heeds = !scsi_cdb_ignores_unit_attention(cdb[0]);
	struct scsi_cdb_info info;

	scsi_cdb_describe(cdb, &info);
	for (unsigned int i = 0; heeds && i < slot->unit_attention_count; i++) {
		if (slot->unit_attentions[i] >> 8 == SCSI_ASC_POWER_ON_OR_RESET >> 8) {
			*ret_answer = pr_engine_sense(SCSI_UNIT_ATTENTION, take(slot, i));
			return false;
		}
	}
	if (pr_engine_conflicts(engine, nexus, info.class)) {
		*ret_answer = pr_engine_conflict();
		return false;
	}
	if (heeds && slot->unit_attention_count > 0) {
		*ret_answer = pr_engine_sense(SCSI_UNIT_ATTENTION, take(slot, 0));
		return false;
	}
	if (info.class == SCSI_CLASS_RESERVE) {
		*ret_answer = pr_engine_illegal(SCSI_ASC_INVALID_OPERATION_CODE);
		return false;
	}
	return true;
}

void pr_engine_power_loss(struct pr_engine *engine)
{
	engine->generation = 0;
	if (!engine->aptpl)
		engine->type = PR_TYPE_NONE;
	if (engine->type == PR_TYPE_NONE)
		engine->holder = 0;
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		struct pr_engine_nexus *slot = &engine->nexuses[i];

		if (slot->name[0] == '\0')
			continue;
		if (!engine->aptpl)
			slot->key = 0;
		memset(slot->unit_attentions, 0, sizeof(slot->unit_attentions));
		slot->unit_attention_count = 0;
		pr_engine_add_unit_attention(engine, i, SCSI_ASC_POWER_ON_OR_RESET);
	}
}
