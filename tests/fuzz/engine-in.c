/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE IN. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "engine-pair.h"

static size_t read_in(uint8_t action, uint16_t allocation_len, uint8_t *data)
{
	uint8_t cdb[PR_CDB_LEN];
	size_t len = 0;
	struct pr_engine_answer answer;

	pr_in_build((enum pr_in_action)action, allocation_len, cdb);
	answer = pr_engine_in(&pair_engine, cdb, data, &len);
	if (action > PR_IN_READ_FULL_STATUS) {
		FUZZ_CHECK(answer.status == SCSI_CHECK_CONDITION && answer.sense_key == 5 &&
			   answer.asc_ascq == 0x2400);
		return 0;
	}
	FUZZ_CHECK(answer.status == SCSI_GOOD && len <= allocation_len && len <= PR_ENGINE_IN_MAX);
	return len;
}

static void check_keys(const uint8_t *data, size_t len)
{
	struct pr_keys keys;

	FUZZ_CHECK(len == 8 + 8 * (size_t)model_registrations(&pair_model));
	for (int i = 0; i < pair_model.count; i++) {
		uint64_t key = pair_model.nexuses[i].key;
		uint32_t expected = 0;

		for (int j = 0; j < pair_model.count; j++)
			expected += key != 0 && pair_model.nexuses[j].key == key;
		FUZZ_CHECK(pr_keys_parse(data, len, key, &keys));
		FUZZ_CHECK(keys.generation == pair_model.generation && keys.matching == expected);
		FUZZ_CHECK(keys.count == (uint32_t)model_registrations(&pair_model));
	}
}

static void check_reservation(const uint8_t *data, size_t len)
{
	uint8_t expected[24] = {0};

	be_put32(expected, pair_model.generation);
	if (pair_model.type != 0) {
		expected[7] = 16;
		expected[21] = pair_model.type;
		if (pair_model.type < 7)
			be_put64(expected + 8, pair_model.nexuses[pair_model.holder].key);
	}
	FUZZ_CHECK(len == (pair_model.type != 0 ? 24 : 8) && memcmp(data, expected, len) == 0);
}

static void check_capabilities(const uint8_t *data, size_t len)
{
	const uint8_t expected[8] = {0, 8, pair_model.ptpl_c, 0xc0 | pair_model.aptpl, 0xea, 0x01,
				     0, 0};

	FUZZ_CHECK(len == 8 && memcmp(data, expected, 8) == 0);
}

/* The descriptor of a nexus; returns its length. */
static size_t full_status(int nexus, uint8_t *descriptor)
{
	const struct model_nexus *at = &pair_model.nexuses[nexus];
	char *name = (char *)descriptor + 28;
	size_t len;

	memset(descriptor, 0, 24 + PR_TRANSPORT_ID_MAX);
	be_put64(descriptor, at->key);
	if (model_is_holder(&pair_model, nexus)) {
		descriptor[12] = 1;
		descriptor[13] = pair_model.type;
	}
	be_put16(descriptor + 18, at->port);
	descriptor[24] = 0x45;
	snprintf(name, 120, "iqn.2026-11.org.prmig:%s,i,0x000000000000", at->name);
	for (size_t i = 0; name[i] != '\0'; i++)
		if (name[i] >= 'A' && name[i] <= 'Z')
			name[i] = (char)(name[i] - 'A' + 'a');
	len = (strlen(name) + 1 + 3) / 4 * 4;
	be_put16(descriptor + 26, (uint16_t)len);
	be_put32(descriptor + 20, (uint32_t)(4 + len));
	return 24 + 4 + len;
}

/* Each registered nexus has its descriptor, in any order. */
static void check_full_status(const uint8_t *data, size_t len)
{
	struct pr_full_status status;
	uint64_t seen = 0;
	size_t offset = 0;
	bool malformed;
	int count = 0;

	FUZZ_CHECK(len >= 8 && be_get32(data) == pair_model.generation &&
		   be_get32(data + 4) == len - 8);
	for (size_t at = 8; pr_full_status_next(data, len, &offset, &status, &malformed);
	     at = offset) {
		uint8_t expected[24 + PR_TRANSPORT_ID_MAX];

		for (int i = 0; i < pair_model.count; i++)
			if (pair_model.nexuses[i].key != 0 && !(seen & UINT64_C(1) << i) &&
			    full_status(i, expected) == offset - at &&
			    memcmp(data + at, expected, offset - at) == 0) {
				seen |= UINT64_C(1) << i;
				count++;
				break;
			}
	}
	FUZZ_CHECK(!malformed && count == model_registrations(&pair_model));
}

void pair_in(struct fuzz_source *source, int nexus)
{
	uint8_t cdb[SCSI_CDB_MAX] = {SCSI_PR_IN}, action = fuzz_byte(source);
	uint16_t allocation_len = fuzz_u16(source);
	uint8_t *full, *cut;
	size_t len, cut_len;

	action = action < 0xf0 ? action % 4 : action & 0x1f;
	cdb[1] = action;
	if (!pair_admit(nexus, cdb))
		return;
	full = malloc(PR_ENGINE_IN_MAX);
	cut = malloc(PR_ENGINE_IN_MAX);
	if (full == NULL || cut == NULL)
		fuzz_fail(__FILE__, __LINE__, "no memory");
	len = read_in(action, UINT16_MAX, full);
	cut_len = read_in(action, allocation_len, cut);
	FUZZ_CHECK(cut_len == (len < allocation_len ? len : allocation_len));
	FUZZ_CHECK(memcmp(full, cut, cut_len) == 0);
	switch (action) {
	case PR_IN_READ_KEYS:
		check_keys(full, len);
		break;
	case PR_IN_READ_RESERVATION:
		check_reservation(full, len);
		break;
	case PR_IN_REPORT_CAPABILITIES:
		check_capabilities(full, len);
		break;
	case PR_IN_READ_FULL_STATUS:
		check_full_status(full, len);
		break;
	default:
		break;
	}
	free(full);
	free(cut);
}
