/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a LUN answers to PERSISTENT RESERVE IN, and TransportIDs. The input: a key, and the data, which is
 * read as each of the four answers and as one TransportID.
 */
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "fuzz.h"
#include "lun-mpath-cdb.h"
#include "lun-mpath-fold.h"
#include "pr.h"

static void check_drop(const uint8_t *data, size_t len, const struct pr_keys *keys, uint64_t key,
		       size_t count)
{
	uint8_t *after = fuzz_copy(data, len);
	size_t after_len = mpath_keys_drop(after, len, key, count);
	size_t gone = keys->matching > 1 ? keys->matching - 1 : 0;
	struct pr_keys left;

	if (gone > count)
		gone = count;
	FUZZ_CHECK(pr_keys_parse(after, after_len, key, &left) && !left.truncated);
	FUZZ_CHECK(left.generation == keys->generation && left.count == keys->count - gone);
	FUZZ_CHECK(left.matching == keys->matching - gone);
	free(after);
}

static void check_keys(const uint8_t *data, size_t len, uint64_t key)
{
	struct pr_keys keys;

	if (!pr_keys_parse(data, len, key, &keys))
		return;
	FUZZ_CHECK(keys.matching <= keys.count && keys.count == keys.additional_len / 8);
	FUZZ_CHECK(keys.truncated == (keys.additional_len > len - 8));
	FUZZ_CHECK(key != 0 || keys.matching == 0);
	if (keys.truncated)
		return;
	if (keys.count > 0)
		fuzz_deep();
	if (key != 0)
		for (size_t count = 0; count < 4; count++)
			check_drop(data, len, &keys, key, count);
}

static void check_reservation(const uint8_t *data, size_t len)
{
	struct pr_reservation reservation;

	if (!pr_reservation_parse(data, len, &reservation))
		return;
	FUZZ_CHECK(len >= 8 && reservation.generation == be_get32(data));
	FUZZ_CHECK(reservation.held || (reservation.key == 0 && reservation.type == 0));
	FUZZ_CHECK(!reservation.held || len >= 24);
}

static void check_capabilities(uint8_t *data, size_t len)
{
	struct pr_capabilities before, after;
	bool good = pr_capabilities_parse(data, len, &before);

	pr_capabilities_mask(data, len);
	mpath_capabilities_mask(data, len);
	FUZZ_CHECK(pr_capabilities_parse(data, len, &after) == good);
	if (!good)
		return;
	FUZZ_CHECK(!after.sip_c && !after.atp_c);
	FUZZ_CHECK(after.ptpl_c == before.ptpl_c && after.ptpl_a == before.ptpl_a &&
		   after.crh == before.crh && after.rlr_c == before.rlr_c &&
		   after.tmv == before.tmv);
	FUZZ_CHECK((after.type_mask & 0x0a00) == 0 &&
		   (after.type_mask | 0x0a00) == (before.type_mask | 0x0a00));
}

static bool text_clean(const char *text)
{
	static const char *const kinds[] = {"iscsi:", "sas:", "fc:", "srp:", "id:"};
	bool known = false;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		known = known || strncmp(text, kinds[i], strlen(kinds[i])) == 0;
	return known && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789-_.:%") == strlen(text);
}

static void check_transport_id(const uint8_t *id, size_t len)
{
	char text[PR_TRANSPORT_ID_TEXT_MAX], upper_text[PR_TRANSPORT_ID_TEXT_MAX];
	uint8_t *upper = fuzz_copy(id, len);

	memset(text, 'x', sizeof(text));
	if (!pr_transport_id_text(id, len, text)) {
		for (size_t i = 0; i < sizeof(text); i++)
			FUZZ_CHECK(text[i] == 'x');
	} else {
		FUZZ_CHECK(memchr(text, '\0', sizeof(text)) != NULL && text_clean(text));
		fuzz_deep();
	}
	/* Ports of iSCSI are the same however their names are written. */
	if (len >= 24 && (id[0] & 0x0f) == 5 && strncmp(text, "iscsi:", 6) == 0) {
		for (size_t i = 4; i < len; i++)
			if (upper[i] >= 'a' && upper[i] <= 'z' &&
			    (id[0] >> 6 == 0 || upper[i] != 'i') && upper[i] != 'x')
				upper[i] = (uint8_t)(upper[i] - 'a' + 'A');
		FUZZ_CHECK(pr_transport_id_text(upper, len, upper_text));
		FUZZ_CHECK(strcmp(text, upper_text) == 0);
	}
	free(upper);
}

static void check_full_status(const uint8_t *data, size_t len)
{
	struct pr_full_status status;
	size_t offset = 0, before = 0;
	bool malformed;
	uint32_t generation;

	FUZZ_CHECK(pr_full_status_generation(data, len, &generation) == (len >= 8));
	while (pr_full_status_next(data, len, &offset, &status, &malformed)) {
		FUZZ_CHECK(!malformed && offset >= before + 24 && offset <= len);
		FUZZ_CHECK(status.transport_id + status.transport_id_len == data + offset);
		FUZZ_CHECK(status.scope < 0x10 && status.type < 0x10);
		check_transport_id(status.transport_id, status.transport_id_len);
		before = offset;
		fuzz_deep();
	}
	FUZZ_CHECK(malformed || offset == 0 || offset == 8 + (size_t)be_get32(data + 4));
}

void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_source source = {data, size};
	uint64_t key = fuzz_u64(&source);
	size_t len;
	uint8_t *answer = fuzz_rest(&source, &len);

	check_keys(answer, len, key);
	check_reservation(answer, len);
	check_full_status(answer, len);
	check_transport_id(answer, len);
	check_capabilities(answer, len);
	free(answer);
}
