/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reservation engine against the reference model: commands of four nexuses and, where the input wants them, of a crowd that fills the
 * table. The input: a byte of switches, and one step after the other.
 */
#include <stdio.h>
#include <string.h>

#include "be.h"
#include "engine-pair.h"
#include "fields.h"

#define TEXT_MAX (PR_ENGINE_FIELDS_MAX + 64)

static void step_command(struct fuzz_source *source, int nexus)
{
	static const uint8_t codes[] = {0x00, 0x03, 0x08, 0x0a, 0x12, 0x16, 0x17, 0x1a,
					0x1b, 0x1e, 0x25, 0x28, 0x2a, 0x35, 0x42, 0x56,
					0x57, 0x88, 0x8a, 0x9e, 0xa0, 0xa3, 0xa4, 0x7f};
	uint8_t cdb[SCSI_CDB_MAX] = {0}, code = fuzz_byte(source);

	if (code < sizeof(codes))
		cdb[0] = codes[code];
	else
		cdb[0] = code;
	if (cdb[0] == SCSI_PR_OUT || cdb[0] == SCSI_PR_IN)
		return;
	if (cdb[0] == 0x7f) {
		cdb[7] = 0x18;
		cdb[9] = fuzz_byte(source);
	} else {
		cdb[1] = fuzz_byte(source);
		cdb[4] = fuzz_byte(source);
	}
	if (pair_admit(nexus, cdb) && cdb[0] == SCSI_REQUEST_SENSE)
		pair_take_attention(nexus);
}

static void step_power_loss(void)
{
	bool there[MODEL_NEXUSES] = {false};

	for (int i = 0; i < pair_model.count; i++)
		there[i] = pair_find(i) >= 0;
	pr_engine_power_loss(&pair_engine);
	model_power_loss(&pair_model);
	for (int i = 0; i < pair_model.count; i++)
		if (!there[i])
			pair_model.nexuses[i].attention_count = 0;
}

static void step_attention(struct fuzz_source *source, int nexus)
{
	static const uint16_t attentions[] = {0x2a01, 0x2a09, 0x3f03, 0x2f00};
	uint16_t attention = attentions[fuzz_byte(source) % 4];

	FUZZ_CHECK(pr_engine_add_unit_attention(&pair_engine, (unsigned int)pair_slots[nexus],
						attention));
	model_attention(&pair_model, nexus, attention);
}

/* The handler ends and begins again: what the text holds is what there was. */
static void step_restart(void)
{
	static struct pr_engine read;
	char text[TEXT_MAX], again[TEXT_MAX], reason[NEXUS_MESSAGE_MAX];
	struct fields_writer writer;

	fields_begin(&writer, text, sizeof(text), '\n', "1.0");
	pr_engine_add_fields(&writer, &pair_engine);
	FUZZ_CHECK(fields_finish(&writer) && fields_check(text, '\n', 1) == FIELDS_GOOD);
	memset(&read, 0xee, sizeof(read));
	FUZZ_CHECK(pr_engine_get_fields(text, '\n', pair_model.ptpl_c, &read, reason));
	pair_engine = read;
	for (int i = 0; i < pair_model.count; i++) {
		bool open = pair_slots[i] >= 0;

		pair_slots[i] = -1;
		if (open)
			pair_open(i);
	}
	fields_begin(&writer, again, sizeof(again), '\n', "1.0");
	pr_engine_add_fields(&writer, &pair_engine);
	FUZZ_CHECK(fields_finish(&writer));
}

static void step_rename(int nexus)
{
	struct model_nexus *at = &pair_model.nexuses[nexus];
	char name[sizeof(at->name)], reason[NEXUS_MESSAGE_MAX];

	/* There and back again. */
	snprintf(name, sizeof(name), "%s-%d", at->name, nexus);
	if (strlen(at->name) > 2 && at->name[strlen(at->name) - 2] == '-' && nexus < PAIR_FEW) {
		memcpy(name, at->name, sizeof(name));
		name[strlen(name) - 2] = '\0';
	}
	/* Nexus 3 is nexus 0 through another port: either keeps the name for itself. */
	if (nexus == 0 || nexus == 3 || strlen(name) > CFGSTRING_NAME_MAX)
		return;
	FUZZ_CHECK(pr_engine_rename(&pair_engine, (unsigned int)pair_slots[nexus], name, reason));
	memcpy(at->name, name, sizeof(name));
}

static void step(struct fuzz_source *source)
{
	uint8_t what = fuzz_byte(source), who = fuzz_byte(source);
	int nexus = who < 0xe0 ? who % PAIR_FEW : who % pair_model.count;

	if (what >= 0xf8) {
		step_power_loss();
		return;
	}
	if (what >= 0xf4) {
		step_restart();
		return;
	}
	if (pair_slots[nexus] < 0) {
		pair_open(nexus);
	} else if (what >= 0xf0) {
		pr_engine_close(&pair_engine, (unsigned int)pair_slots[nexus]);
		pair_slots[nexus] = -1;
	} else if (what >= 0xee) {
		step_rename(nexus);
	} else if (what >= 0xe0) {
		step_attention(source, nexus);
	} else if (what >= 0xb0) {
		pair_in(source, nexus);
	} else if (what >= 0x70) {
		step_command(source, nexus);
	} else {
		pair_out(source, nexus);
	}
}

/* The crowd registers. */
static void fill_table(void)
{
	static struct pr_engine_change change;

	for (int i = PAIR_FEW; i < pair_model.count; i++) {
		uint8_t cdb[PR_CDB_LEN] = {SCSI_PR_OUT, PR_OUT_REGISTER, [8] = 24};
		uint8_t list[24] = {0};
		uint64_t removed;

		be_put64(list + 8, (uint64_t)i % 7 + 1);
		pair_open(i);
		pr_engine_out(&pair_engine, (unsigned int)pair_slots[i], cdb, list, 24, &change);
		FUZZ_CHECK(change.answer.status == SCSI_GOOD);
		pr_engine_commit(&pair_engine, &change);
		model_out(&pair_model, i, cdb, list, 24, &removed);
	}
}

void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_source source = {data, size};
	uint8_t how = fuzz_byte(&source);

	pair_begin((how & 0x0e) == 0x0e ? PAIR_FEW + PAIR_CROWD : PAIR_FEW, !(how & 1));
	for (int i = 0; i < PAIR_FEW; i++)
		pair_open(i);
	fill_table();
	pair_compare();
	while (source.left > 0) {
		step(&source);
		pair_compare();
		if (pair_model.type != 0)
			fuzz_deep();
	}
}
