/* SPDX-License-Identifier: Apache-2.0 */
/* Status, sense data, data-in and unit attentions. */
#include "fake-internal.h"

#include <string.h>

void fake_sense(struct fake_result *result, uint8_t key, uint16_t asc_ascq)
{
	memset(result->sense, 0, sizeof(result->sense));
	result->status = CHECK_CONDITION;
	result->sense_len = 18; /* fixed format, current */
	result->sense[0] = 0x70;
	result->sense[2] = key;
	result->sense[7] = 10;
	put16(result->sense + 12, asc_ascq);
	result->data_in_len = 0;
}

void fake_illegal(struct fake_exec *exec, uint16_t asc_ascq)
{
	fake_sense(exec->result, KEY_ILLEGAL_REQUEST, asc_ascq);
}

void fake_conflict(struct fake_exec *exec)
{
	exec->result->status = RESERVATION_CONFLICT;
	exec->result->sense_len = 0;
	exec->result->data_in_len = 0;
}

void fake_reply(struct fake_exec *exec, const uint8_t *data, size_t len, size_t allocation)
{
	if (len > allocation)
		len = allocation;
	if (len > exec->in_cap)
		len = exec->in_cap;
	if (len > 0)
		memcpy(exec->in, data, len);
	exec->result->data_in_len = len;
}

void fake_ua_add(struct fake_pr *pr, unsigned int nexus, uint16_t asc_ascq)
{
	uint8_t count = pr->ua_count[nexus];

	for (unsigned int i = 0; i < count; i++) {
		if (pr->ua[nexus][i] == asc_ascq)
			return; /* SAM-5: one of a kind */
	}
	if (count == FAKE_UA_MAX)
		return;
	pr->ua[nexus][count] = asc_ascq;
	pr->ua_count[nexus]++;
}

bool fake_ua_take(struct fake_pr *pr, unsigned int nexus, uint16_t *ret_asc_ascq)
{
	if (pr->ua_count[nexus] == 0)
		return false;
	*ret_asc_ascq = pr->ua[nexus][0];
	pr->ua_count[nexus]--;
	memmove(&pr->ua[nexus][0], &pr->ua[nexus][1],
		pr->ua_count[nexus] * sizeof(pr->ua[nexus][0]));
	return true;
}
