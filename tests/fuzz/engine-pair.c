/* SPDX-License-Identifier: Apache-2.0 */
#include "engine-pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference-class.h"

struct pr_engine pair_engine;
struct model pair_model;
int pair_slots[MODEL_NEXUSES];

void pair_begin(int count, bool ptpl_c)
{
	static const char *const names[PAIR_FEW] = {"vm1-disk", "VM2.disk", "c", "vm1-disk"};

	memset(&pair_model, 0, sizeof(pair_model));
	pair_model.count = count;
	pair_model.ptpl_c = ptpl_c;
	memset(&pair_engine, 0, sizeof(pair_engine));
	pr_engine_init(&pair_engine, ptpl_c);
	for (int i = 0; i < count; i++) {
		struct model_nexus *nexus = &pair_model.nexuses[i];

		pair_slots[i] = -1;
		nexus->port = i == 3 ? 2 : 1;
		if (i < PAIR_FEW)
			strcpy(nexus->name, names[i]);
		else
			snprintf(nexus->name, sizeof(nexus->name), "crowd-%d", i);
	}
}

int pair_find(int nexus)
{
	const struct model_nexus *at = &pair_model.nexuses[nexus];

	return pair_slots[nexus] >= 0 ? pair_slots[nexus]
				      : pr_engine_find(&pair_engine, at->name, at->port);
}

void pair_open(int nexus)
{
	char reason[NEXUS_MESSAGE_MAX];
	int before = pair_find(nexus);

	pair_slots[nexus] = pr_engine_open(&pair_engine, pair_model.nexuses[nexus].name,
					   pair_model.nexuses[nexus].port, reason);
	FUZZ_CHECK(pair_slots[nexus] >= 0 && pair_slots[nexus] < PR_ENGINE_NEXUSES);
	FUZZ_CHECK(before < 0 || before == pair_slots[nexus]);
	FUZZ_CHECK(pr_engine_open(&pair_engine, pair_model.nexuses[nexus].name,
				  pair_model.nexuses[nexus].port, reason) < 0);
	FUZZ_CHECK(fuzz_printable(reason, sizeof(reason)));
}

/* ---- that both are the same ---- */

static void compare_nexus(int nexus)
{
	const struct model_nexus *expected = &pair_model.nexuses[nexus];
	const struct pr_engine_nexus *got;
	int slot = pair_find(nexus);

	if (slot < 0) {
		FUZZ_CHECK(expected->key == 0 && expected->attention_count == 0);
		return;
	}
	got = &pair_engine.nexuses[slot];
	FUZZ_CHECK(strcmp(got->name, expected->name) == 0);
	FUZZ_CHECK(got->relative_target_port == expected->port);
	FUZZ_CHECK(got->open == (pair_slots[nexus] >= 0));
	FUZZ_CHECK(got->key == expected->key);
	FUZZ_CHECK(got->unit_attention_count == expected->attention_count);
	for (size_t i = 0; i < expected->attention_count; i++)
		FUZZ_CHECK(got->unit_attentions[i] == expected->attentions[i]);
	FUZZ_CHECK(pr_engine_is_holder(&pair_engine, (unsigned int)slot) ==
		   model_is_holder(&pair_model, nexus));
}

bool pair_same_model(const struct model *a, const struct model *b)
{
	bool same = a->aptpl == b->aptpl && a->generation == b->generation && a->type == b->type &&
		    (a->type == 0 || a->holder == b->holder);

	for (int i = 0; i < a->count; i++)
		same = same && a->nexuses[i].key == b->nexuses[i].key &&
		       a->nexuses[i].attention_count == b->nexuses[i].attention_count;
	return same;
}

bool pair_same_engine(const struct pr_engine *a, const struct pr_engine *b)
{
	bool same = a->ptpl_c == b->ptpl_c && a->aptpl == b->aptpl && a->type == b->type &&
		    a->holder == b->holder && a->generation == b->generation;

	for (int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		const struct pr_engine_nexus *one = &a->nexuses[i], *other = &b->nexuses[i];

		same = same && strcmp(one->name, other->name) == 0 &&
		       one->relative_target_port == other->relative_target_port &&
		       one->open == other->open && one->key == other->key &&
		       one->unit_attention_count == other->unit_attention_count &&
		       memcmp(one->unit_attentions, other->unit_attentions,
			      one->unit_attention_count * sizeof(one->unit_attentions[0])) == 0;
	}
	return same;
}

void pair_compare(void)
{
	int registered = 0;

	FUZZ_CHECK(pair_engine.generation == pair_model.generation);
	FUZZ_CHECK(pair_engine.aptpl == pair_model.aptpl && pair_engine.type == pair_model.type);
	FUZZ_CHECK(pair_model.ptpl_c || !pair_engine.aptpl);
	for (int i = 0; i < pair_model.count; i++)
		compare_nexus(i);
	for (int i = 0; i < PR_ENGINE_NEXUSES; i++)
		registered += pair_engine.nexuses[i].key != 0;
	FUZZ_CHECK(registered == model_registrations(&pair_model));
	FUZZ_CHECK(pr_engine_registrations(&pair_engine) == (unsigned int)registered);
	FUZZ_CHECK(registered <= PR_ENGINE_REGISTRATIONS);
	FUZZ_CHECK(pair_engine.type == 0 || registered > 0);
	FUZZ_CHECK(pair_engine.type == 0 || pr_type_valid(pair_engine.type));
	FUZZ_CHECK(pair_engine.type == 0 || pr_type_all_registrants(pair_engine.type) ||
		   pair_engine.nexuses[pair_engine.holder].key != 0);
}

/* ---- admission ---- */

/* Which unit attention an answer reports; it is the one that waits longest, POWER ON before all. */
static void expect_attention(int nexus, const struct pr_engine_answer *answer)
{
	FUZZ_CHECK(answer->status == SCSI_CHECK_CONDITION &&
		   answer->sense_key == SCSI_UNIT_ATTENTION);
	FUZZ_CHECK(answer->asc_ascq == model_take_attention(&pair_model, nexus));
}

bool pair_admit(int nexus, const uint8_t *cdb)
{
	const struct model_nexus *at = &pair_model.nexuses[nexus];
	struct pr_engine_answer answer = {0xee, 0xee, 0xeeee};
	uint8_t *just = fuzz_copy(cdb, scsi_cdb_length(cdb));
	bool admitted =
		pr_engine_admits(&pair_engine, (unsigned int)pair_slots[nexus], just, &answer);
	bool waits = at->attention_count > 0;
	enum reference_class class = reference_class(cdb);

	free(just);
	if (cdb[0] == 0x03 || cdb[0] == 0x12 || cdb[0] == 0xa0) {
		FUZZ_CHECK(admitted);
		return true;
	}
	if (waits && at->attentions[0] >> 8 == 0x29) {
		FUZZ_CHECK(!admitted);
		expect_attention(nexus, &answer);
	} else if (class == REFERENCE_RESERVE && !(waits && answer.sense_key == 6)) {
		FUZZ_CHECK(!admitted && answer.status == SCSI_CHECK_CONDITION);
		FUZZ_CHECK(answer.sense_key == 5 && answer.asc_ascq == 0x2000);
	} else if (model_conflicts(&pair_model, nexus, cdb)) {
		FUZZ_CHECK(!admitted && answer.status == SCSI_RESERVATION_CONFLICT);
	} else if (waits) {
		FUZZ_CHECK(!admitted);
		expect_attention(nexus, &answer);
	} else {
		FUZZ_CHECK(admitted);
	}
	return admitted;
}

void pair_take_attention(int nexus)
{
	uint16_t got = 0, expected = model_take_attention(&pair_model, nexus);

	FUZZ_CHECK(pr_engine_take_unit_attention(&pair_engine, (unsigned int)pair_slots[nexus],
						 &got) == (expected != 0));
	FUZZ_CHECK(got == expected);
}
