/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PERSISTENT RESERVE OUT as it arrives from a guest. The input: a byte of switches, bytes 1 to 8 of the
 * CDB, and the parameter list.
 */
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "fuzz.h"
#include "pr.h"

static void check_build(const struct pr_out *out)
{
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];
	struct pr_out again;

	pr_out_build(out, cdb, list);
	FUZZ_CHECK(pr_out_parse(cdb, list, sizeof(list), &again));
	FUZZ_CHECK(again.action == out->action && again.scope == out->scope &&
		   again.type == out->type && again.key == out->key &&
		   again.new_key == out->new_key && again.aptpl == out->aptpl &&
		   again.all_tg_pt == out->all_tg_pt && again.spec_i_pt == out->spec_i_pt &&
		   again.list_len == PR_OUT_LIST_LEN);
}

static void check_move(const struct pr_out *out, const uint8_t *list, size_t len)
{
	uint8_t cdb[PR_CDB_LEN], built[PR_OUT_LIST_LEN + PR_TRANSPORT_ID_MAX];
	struct pr_move move = {
		.key = out->key,
		.new_key = out->new_key,
		.unregister = list[17] & 0x02,
		.aptpl = out->aptpl,
		.relative_target_port = be_get16(list + 18),
		.transport_id = list + PR_OUT_LIST_LEN,
		.transport_id_len = be_get32(list + 20),
	};
	size_t built_len;

	if (move.transport_id_len > len - PR_OUT_LIST_LEN ||
	    move.transport_id_len > PR_TRANSPORT_ID_MAX)
		return;
	built_len = pr_move_build(&move, cdb, built);
	FUZZ_CHECK(built_len == PR_OUT_LIST_LEN + move.transport_id_len);
	FUZZ_CHECK(be_get32(cdb + 5) == built_len);
	FUZZ_CHECK(memcmp(built, list, 16) == 0);
	FUZZ_CHECK((built[17] & 3) == (list[17] & 3));
	FUZZ_CHECK(memcmp(built + 18, list + 18, built_len - 18) == 0);
}

static uint16_t expected_refusal(const uint8_t *cdb, const uint8_t *list, size_t len,
				 bool migrate_pr)
{
	uint32_t list_len = be_get32(cdb + 5);
	uint8_t action = cdb[1] & 0x1f;

	if (migrate_pr && action == 7)
		return 0x2400;
	if (list_len > len || list_len > 8192)
		return 0x1a00;
	if (migrate_pr && (action == 0 || action == 6) && list_len > 20 && list[20] & 0x0c)
		return 0x2600;
	return 0;
}

void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_source source = {data, size};
	bool migrate_pr = fuzz_bool(&source);
	uint8_t cdb[PR_CDB_LEN] = {SCSI_PR_OUT};
	struct pr_out out;
	uint8_t *list;
	size_t len;

	fuzz_fill(&source, cdb + 1, 8);
	list = fuzz_rest(&source, &len);
	FUZZ_CHECK(pr_out_refusal(cdb, list, len, migrate_pr) ==
		   expected_refusal(cdb, list, len, migrate_pr));
	FUZZ_CHECK(pr_out_action_name(cdb[1] & 0x1f) != NULL && pr_type_name(cdb[2]) != NULL);
	memset(&out, 0xee, sizeof(out));
	if (!pr_out_parse(cdb, list, len, &out)) {
		FUZZ_CHECK(len < PR_OUT_LIST_LEN || be_get32(cdb + 5) < PR_OUT_LIST_LEN);
		FUZZ_CHECK(out.key == 0 && out.new_key == 0 && !out.aptpl);
	} else if (out.action == PR_OUT_REGISTER_AND_MOVE) {
		FUZZ_CHECK(!out.all_tg_pt && !out.spec_i_pt);
		check_move(&out, list, len);
	} else {
		fuzz_deep();
		check_build(&out);
	}
	FUZZ_CHECK((uint32_t)out.action < 0x20 && out.scope < 0x10 && out.type < 0x10);
	FUZZ_CHECK(!pr_type_all_registrants(out.type) || pr_type_valid(out.type));
	free(list);
}
