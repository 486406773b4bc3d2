/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "be.h"
#include "pr.h"

/* ---- READ KEYS ---- */

#define KEY_A 0, 0, 0, 0, 0, 0, 0, 0x0a
#define KEY_B 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88
#define B 0xffeeddccbbaa9988

static const uint8_t keys_data[] = {0x01, 0x02, 0x03, 0x04, 0, 0, 0, 24, KEY_A, KEY_B, KEY_A};

static void keys(void)
{
	static const uint8_t none[] = {0, 0, 0, 9, 0, 0, 0, 0};
	struct pr_keys keys;

	CHECK(pr_keys_parse(keys_data, sizeof(keys_data), 0x0a, &keys));
	CHECK_INT(keys.generation, 0x01020304);
	CHECK_INT(keys.count, 3);
	CHECK_INT(keys.matching, 2);
	CHECK_INT(keys.additional_len, 24);
	CHECK(!keys.truncated);
	CHECK(pr_keys_parse(keys_data, sizeof(keys_data), B, &keys));
	CHECK_INT(keys.matching, 1);
	CHECK(pr_keys_parse(keys_data, sizeof(keys_data), 0x0b, &keys));
	CHECK_INT(keys.matching, 0);

	CHECK(pr_keys_parse(none, sizeof(none), 0x0a, &keys));
	CHECK_INT(keys.generation, 9);
	CHECK_INT(keys.count, 0);
	CHECK_INT(keys.matching, 0);
}

static void keys_without_a_key(void)
{
	static const uint8_t zero_key[] = {0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0};
	struct pr_keys keys;

	CHECK(pr_keys_parse(zero_key, sizeof(zero_key), 0, &keys));
	CHECK_INT(keys.count, 1);
	CHECK_INT(keys.matching, 0);
}

static void keys_short(void)
{
	for (size_t len = 0; len <= sizeof(keys_data); len++) {
		uint8_t *data = check_copy(keys_data, len);
		struct pr_keys keys = {.generation = 77};

		CHECK_INT(pr_keys_parse(data, len, 0x0a, &keys), len >= 8);
		if (len < 8) {
			CHECK_INT(keys.generation, 77);
		} else {
			CHECK_INT(keys.count, 3);
			CHECK_INT(keys.truncated, len < 32);
			CHECK_INT(keys.matching, (len >= 16) + (len >= 32));
		}
		free(data);
	}
}

static void keys_lying(void)
{
	static const uint32_t lies[] = {1, 7, 12, 25, 0xffffffff};
	struct pr_keys keys;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint8_t *data = check_copy(keys_data, sizeof(keys_data));

		be_put32(data + 4, lies[i]);
		CHECK(!pr_keys_parse(data, sizeof(keys_data), 0x0a, &keys));
		be_put32(data + 4, 0xfffffff8);
		CHECK(pr_keys_parse(data, sizeof(keys_data), 0x0a, &keys));
		CHECK(keys.truncated);
		CHECK_INT(keys.matching, 2);
		/* fewer than the buffer holds: the rest is no key */
		be_put32(data + 4, 8);
		CHECK(pr_keys_parse(data, sizeof(keys_data), 0x0a, &keys));
		CHECK(!keys.truncated);
		CHECK_INT(keys.matching, 1);
		free(data);
	}
}

/* ---- READ RESERVATION ---- */

static const uint8_t held_data[] = {0, 0, 0, 5, 0, 0, 0, 16, KEY_B, 0, 0, 0, 0, 0, 0x16, 0, 0};

static void reservation(void)
{
	static const uint8_t none[] = {0, 0, 0, 6, 0, 0, 0, 0};
	struct pr_reservation reservation;

	CHECK(pr_reservation_parse(held_data, sizeof(held_data), &reservation));
	CHECK_INT(reservation.generation, 5);
	CHECK(reservation.held);
	CHECK_INT(reservation.key, B);
	CHECK_INT(reservation.scope, 1);
	CHECK_INT(reservation.type, 6);

	CHECK(pr_reservation_parse(none, sizeof(none), &reservation));
	CHECK_INT(reservation.generation, 6);
	CHECK(!reservation.held);
	CHECK_INT(reservation.key, 0);
	CHECK_INT(reservation.type, PR_TYPE_NONE);
}

static void reservation_short(void)
{
	for (size_t len = 0; len <= sizeof(held_data); len++) {
		uint8_t *data = check_copy(held_data, len);
		struct pr_reservation reservation = {.generation = 77};

		CHECK_INT(pr_reservation_parse(data, len, &reservation), len == 24);
		if (len < 24)
			CHECK_INT(reservation.generation, 77);
		if (len >= 8) {
			be_put32(data + 4, 0);
			CHECK(pr_reservation_parse(data, len, &reservation));
			CHECK(!reservation.held);
			for (uint32_t lie = 1; lie < 16; lie++) {
				be_put32(data + 4, lie);
				CHECK(!pr_reservation_parse(data, len, &reservation));
			}
			be_put32(data + 4, 0xffffffff);
			CHECK_INT(pr_reservation_parse(data, len, &reservation), len == 24);
		}
		free(data);
	}
}

/* ---- REPORT CAPABILITIES ---- */

static const uint8_t capabilities_data[] = {0, 8, 0x1d, 0x91, 0xea, 0x01, 0, 0};

static void capabilities(void)
{
	static const uint8_t least[] = {0, 8, 0, 0x80, 0xea, 0x01, 0, 0};
	static const uint8_t lost[] = {0, 8, 0x80, 0, 0, 0, 0, 0};
	struct pr_capabilities got;

	CHECK(pr_capabilities_parse(capabilities_data, 8, &got));
	CHECK(got.ptpl_c && got.ptpl_a && got.sip_c && got.atp_c && got.crh && !got.rlr_c &&
	      got.tmv);
	CHECK_INT(got.type_mask, 0xea01);
	CHECK(pr_capabilities_parse(least, 8, &got));
	CHECK(!got.ptpl_c && !got.ptpl_a && !got.sip_c && !got.atp_c && !got.crh && !got.rlr_c &&
	      got.tmv);
	CHECK(pr_capabilities_parse(lost, 8, &got));
	CHECK(got.rlr_c && !got.tmv);
}

static void capabilities_short(void)
{
	struct pr_capabilities got = {.type_mask = 77};

	for (size_t len = 0; len < 8; len++) {
		uint8_t *data = check_copy(capabilities_data, len);

		CHECK(!pr_capabilities_parse(data, len, &got));
		CHECK_INT(got.type_mask, 77);
		if (len >= 2) {
			be_put16(data, (uint16_t)len);
			CHECK(!pr_capabilities_parse(data, len, &got));
		}
		free(data);
	}
}

static void capabilities_mask(void)
{
	static const uint8_t want[] = {0, 8, 0x11, 0x91, 0xea, 0x01, 0, 0};
	static const uint8_t all_bits[] = {0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	for (size_t len = 0; len <= 8; len++) {
		uint8_t *data = check_copy(capabilities_data, len);

		pr_capabilities_mask(data, len);
		CHECK_BYTES(data, want, len);
		free(data);
	}
	uint8_t *data = check_copy(all_bits, 8);

	pr_capabilities_mask(data, 8);
	CHECK_INT(data[2], 0xf3);
	CHECK_INT(data[3], 0xff);
	free(data);
}

/* ---- READ FULL STATUS ---- */

#define SAS_ID 0x06, 0, 0, 0, 0x50, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define FC_ID 0x00, 0, 0, 0, 0, 0, 0, 0, 0x21, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0

static const uint8_t full_status_data[] = {
	0, 0, 0, 42, 0, 0, 0, 96,
	/* the holder */
	KEY_A, 0, 0, 0, 0, 0x01, 0x05, 0, 0, 0, 0, 0x00, 0x02, 0, 0, 0, 24, SAS_ID,
	/* ALL_TG_PT */
	KEY_B, 0, 0, 0, 0, 0x02, 0x00, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 24, FC_ID};

static void full_status(void)
{
	struct pr_full_status status;
	uint32_t generation;
	size_t offset = 0;
	bool malformed = true;

	CHECK(pr_full_status_generation(full_status_data, sizeof(full_status_data), &generation));
	CHECK_INT(generation, 42);

	CHECK(pr_full_status_next(full_status_data, sizeof(full_status_data), &offset, &status,
				  &malformed));
	CHECK(!malformed);
	CHECK_INT(status.key, 0x0a);
	CHECK(status.holder && !status.all_tg_pt);
	CHECK_INT(status.scope, 0);
	CHECK_INT(status.type, 5);
	CHECK_INT(status.relative_target_port, 2);
	CHECK_INT(status.transport_id_len, 24);
	CHECK(status.transport_id == full_status_data + 32);

	CHECK(pr_full_status_next(full_status_data, sizeof(full_status_data), &offset, &status,
				  &malformed));
	CHECK(!malformed);
	CHECK_INT(status.key, B);
	CHECK(!status.holder && status.all_tg_pt);
	CHECK_INT(status.relative_target_port, 0x1234);
	CHECK(status.transport_id == full_status_data + 80);

	for (int again = 0; again < 2; again++) {
		CHECK(!pr_full_status_next(full_status_data, sizeof(full_status_data), &offset,
					   &status, &malformed));
		CHECK(!malformed);
		CHECK_INT(status.key, B);
	}
}

static void full_status_of_nobody(void)
{
	static const uint8_t data[] = {0, 0, 0, 1, 0, 0, 0, 0, 0xff};
	struct pr_full_status status;
	size_t offset = 0;
	bool malformed = true;

	CHECK(!pr_full_status_next(data, sizeof(data), &offset, &status, &malformed));
	CHECK(!malformed);
}

/* Returns how many descriptors the walk gave. */
static unsigned int walk(const uint8_t *data, size_t len, bool *ret_malformed)
{
	struct pr_full_status status;
	unsigned int count = 0;
	size_t offset = 0;

	while (pr_full_status_next(data, len, &offset, &status, ret_malformed)) {
		char text[PR_TRANSPORT_ID_TEXT_MAX];

		pr_transport_id_text(status.transport_id, status.transport_id_len, text);
		if (++count > len)
			break;
	}
	return count;
}

static void full_status_short(void)
{
	for (size_t len = 0; len < sizeof(full_status_data); len++) {
		uint8_t *data = check_copy(full_status_data, len);
		uint32_t generation = 77;
		bool malformed = false;

		CHECK_INT(pr_full_status_generation(data, len, &generation), len >= 8);
		CHECK_INT(generation, len >= 8 ? 42 : 77);
		CHECK_INT(walk(data, len, &malformed), 0);
		CHECK(malformed);
		/* an ADDITIONAL LENGTH that agrees with the cut: the descriptors say more */
		if (len >= 8) {
			be_put32(data + 4, (uint32_t)(len - 8));
			CHECK_INT(walk(data, len, &malformed), len >= 56);
			CHECK_INT(malformed, len != 8 && len != 56);
		}
		free(data);
	}
}

static void full_status_lying(void)
{
	static const uint32_t lies[] = {1, 23, 25, 71, 73, 96, 0x7fffffff, 0xffffffe8, 0xffffffff};
	bool malformed;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint8_t *data = check_copy(full_status_data, sizeof(full_status_data));

		be_put32(data + 8 + 20, lies[i]);
		walk(data, sizeof(full_status_data), &malformed);
		CHECK(malformed);
		free(data);

		data = check_copy(full_status_data, sizeof(full_status_data));
		be_put32(data + 4, lies[i]);
		walk(data, sizeof(full_status_data), &malformed);
		CHECK_INT(malformed, lies[i] != 96);
		free(data);
	}
}

int main(void)
{
	CHECK_RUN(keys);
	CHECK_RUN(keys_without_a_key);
	CHECK_RUN(keys_short);
	CHECK_RUN(keys_lying);
	CHECK_RUN(reservation);
	CHECK_RUN(reservation_short);
	CHECK_RUN(capabilities);
	CHECK_RUN(capabilities_short);
	CHECK_RUN(capabilities_mask);
	CHECK_RUN(full_status);
	CHECK_RUN(full_status_of_nobody);
	CHECK_RUN(full_status_short);
	CHECK_RUN(full_status_lying);
	return check_summary();
}
