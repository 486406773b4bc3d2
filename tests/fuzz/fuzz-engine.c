/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reservation engine against the reference model: commands of four nexuses (two of them one initiator through two target ports) and,
 * where the input wants them, of a crowd that fills the table. The input: one step after the other. After each of them both agree on
 * everything that a command could show.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "fields.h"
#include "fuzz.h"
#include "pr-engine.h"
#include "reference-class.h"
#include "reference-model.h"

#define FEW 4
#define CROWD 30
#define LIST_MAX 320
#define TEXT_MAX (PR_ENGINE_FIELDS_MAX + 64)

static struct pr_engine engine;
static struct model model;
static int slots[MODEL_NEXUSES]; /* of open nexuses; -1: closed */

static void make_nexuses(int count)
{
	static const char *const names[FEW] = {"vm1-disk", "VM2.disk", "c", "vm1-disk"};

	memset(&model, 0, sizeof(model));
	model.count = count;
	for (int i = 0; i < count; i++) {
		struct model_nexus *nexus = &model.nexuses[i];

		slots[i] = -1;
		nexus->port = i == 3 ? 2 : 1;
		if (i < FEW)
			strcpy(nexus->name, names[i]);
		else
			snprintf(nexus->name, sizeof(nexus->name), "crowd-%d", i);
	}
}

/* -1: not in the table. */
static int find(int nexus)
{
	const struct model_nexus *at = &model.nexuses[nexus];

	return slots[nexus] >= 0 ? slots[nexus] : pr_engine_find(&engine, at->name, at->port);
}

static void open_nexus(int nexus)
{
	char reason[NEXUS_MESSAGE_MAX];
	int before = find(nexus);

	slots[nexus] = pr_engine_open(&engine, model.nexuses[nexus].name, model.nexuses[nexus].port,
				      reason);
	FUZZ_CHECK(slots[nexus] >= 0 && slots[nexus] < PR_ENGINE_NEXUSES);
	FUZZ_CHECK(before < 0 || before == slots[nexus]);
	FUZZ_CHECK(pr_engine_open(&engine, model.nexuses[nexus].name, model.nexuses[nexus].port,
				  reason) < 0);
	FUZZ_CHECK(fuzz_printable(reason, sizeof(reason)));
}

/* ---- that both are the same ---- */

static void compare_nexus(int nexus)
{
	const struct model_nexus *expected = &model.nexuses[nexus];
	const struct pr_engine_nexus *got;
	int slot = find(nexus);

	if (slot < 0) {
		FUZZ_CHECK(expected->key == 0 && expected->attention_count == 0);
		return;
	}
	got = &engine.nexuses[slot];
	FUZZ_CHECK(strcmp(got->name, expected->name) == 0);
	FUZZ_CHECK(got->relative_target_port == expected->port);
	FUZZ_CHECK(got->open == (slots[nexus] >= 0));
	FUZZ_CHECK(got->key == expected->key);
	FUZZ_CHECK(got->unit_attention_count == expected->attention_count);
	for (size_t i = 0; i < expected->attention_count; i++)
		FUZZ_CHECK(got->unit_attentions[i] == expected->attentions[i]);
	FUZZ_CHECK(pr_engine_is_holder(&engine, (unsigned int)slot) ==
		   model_is_holder(&model, nexus));
}

static bool same_model(const struct model *a, const struct model *b)
{
	bool same = a->aptpl == b->aptpl && a->generation == b->generation && a->type == b->type &&
		    (a->type == 0 || a->holder == b->holder);

	for (int i = 0; i < a->count; i++)
		same = same && a->nexuses[i].key == b->nexuses[i].key &&
		       a->nexuses[i].attention_count == b->nexuses[i].attention_count;
	return same;
}

static bool same_engine(const struct pr_engine *a, const struct pr_engine *b)
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

static void compare(void)
{
	int registered = 0;

	FUZZ_CHECK(engine.generation == model.generation);
	FUZZ_CHECK(engine.aptpl == model.aptpl && engine.type == model.type);
	FUZZ_CHECK(model.ptpl_c || !engine.aptpl);
	for (int i = 0; i < model.count; i++)
		compare_nexus(i);
	for (int i = 0; i < PR_ENGINE_NEXUSES; i++)
		registered += engine.nexuses[i].key != 0;
	FUZZ_CHECK(registered == model_registrations(&model));
	FUZZ_CHECK(pr_engine_registrations(&engine) == (unsigned int)registered);
	FUZZ_CHECK(registered <= PR_ENGINE_REGISTRATIONS);
	FUZZ_CHECK(engine.type == 0 || registered > 0);
	FUZZ_CHECK(engine.type == 0 || pr_type_valid(engine.type));
	FUZZ_CHECK(engine.type == 0 || pr_type_all_registrants(engine.type) ||
		   engine.nexuses[engine.holder].key != 0);
}

/* ---- admission ---- */

/* Which unit attention an answer reports; it is the one that waits longest, POWER ON before all. */
static void expect_attention(int nexus, const struct pr_engine_answer *answer)
{
	FUZZ_CHECK(answer->status == SCSI_CHECK_CONDITION &&
		   answer->sense_key == SCSI_UNIT_ATTENTION);
	FUZZ_CHECK(answer->asc_ascq == model_take_attention(&model, nexus));
}

/* True: the command goes on. cdb: SCSI_CDB_MAX bytes. */
static bool admit(int nexus, const uint8_t *cdb)
{
	const struct model_nexus *at = &model.nexuses[nexus];
	struct pr_engine_answer answer = {0xee, 0xee, 0xeeee};
	uint8_t *just = fuzz_copy(cdb, scsi_cdb_length(cdb));
	bool admitted = pr_engine_admits(&engine, (unsigned int)slots[nexus], just, &answer);
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
	} else if (model_conflicts(&model, nexus, cdb)) {
		FUZZ_CHECK(!admitted && answer.status == SCSI_RESERVATION_CONFLICT);
	} else if (waits) {
		FUZZ_CHECK(!admitted);
		expect_attention(nexus, &answer);
	} else {
		FUZZ_CHECK(admitted);
	}
	return admitted;
}

/* ---- PERSISTENT RESERVE OUT ---- */

static uint64_t some_key(struct fuzz_source *source)
{
	static const uint64_t keys[] = {1, 2, 0xabcdef0123456789, UINT64_MAX};
	uint8_t which = fuzz_byte(source) % 9;

	if (which < 4)
		return keys[which];
	return which < 8 ? model.nexuses[which - 4].key : 0;
}

static size_t put_transport_id(struct fuzz_source *source, uint8_t *id, int to)
{
	uint8_t how = fuzz_byte(source);
	size_t name_len, len;
	char *name = (char *)id + 4;

	memset(id, 0, PR_TRANSPORT_ID_MAX);
	if (how == 0xff) {
		fuzz_fill(source, id, 48);
		return 48;
	}
	id[0] = 0x45;
	snprintf(name, 120, PR_ENGINE_PORT_PREFIX "%s", model.nexuses[to].name);
	if ((how & 0xf) == 0)
		for (size_t i = 0; name[i] != '\0'; i++)
			if (name[i] >= 'a' && name[i] <= 'z')
				name[i] = (char)(name[i] - 'a' + 'A');
	name_len = strlen(name);
	if ((how & 0xf) == 1)
		id[0] = 0x05;
	else
		strcpy(name + name_len, PR_ENGINE_PORT_SUFFIX);
	len = (strlen(name) + 1 + 3) / 4 * 4;
	if (len < 20)
		len = 20;
	be_put16(id + 2, (uint16_t)len);
	if ((how & 0xf) == 2)
		id[fuzz_byte(source) % (len + 4)] = fuzz_byte(source);
	return (how & 0xf) == 3 ? fuzz_byte(source) % (len + 8) : len + 4;
}

/* What a guest sends; cdb: SCSI_CDB_MAX bytes, list: LIST_MAX. Returns what arrives of the list. */
static size_t make_out(struct fuzz_source *source, int sender, uint8_t *cdb, uint8_t *list)
{
	static const uint8_t types[8] = {1, 3, 5, 6, 7, 8, 5, 7};
	uint8_t action = fuzz_byte(source), type = fuzz_byte(source), key = fuzz_byte(source);
	uint8_t flags = fuzz_byte(source), length;
	size_t len = 24;

	cdb[0] = SCSI_PR_OUT;
	cdb[1] = action < 0xf0 ? action % 8 : action & 0x1f;
	cdb[2] = type < 0xe0 ? types[type % 8] : fuzz_byte(source);
	be_put64(list, key < 0xc0 ? model.nexuses[sender].key : some_key(source));
	be_put64(list + 8, some_key(source));
	if (flags < 0xf0)
		flags &= 1;
	if (cdb[1] == PR_OUT_REGISTER_AND_MOVE) {
		int to = fuzz_byte(source) % FEW;

		list[17] = flags | (key & 1) << 1;
		be_put16(list + 18, model.nexuses[to].port);
		len += put_transport_id(source, list + 24, to);
		be_put32(list + 20, (uint32_t)(len - 24));
		to = fuzz_byte(source);
		if (to >= 0xf0)
			list[16 + to % 8] ^= fuzz_byte(source);
	} else {
		list[20] = flags;
	}
	length = fuzz_byte(source);
	if (length >= 0xf0)
		len = fuzz_byte(source);
	be_put32(cdb + 5, (uint32_t)len);
	if (length >= 0xf8)
		be_put32(cdb + 5, fuzz_byte(source));
	return len;
}

/* The nexuses of one bit mask by the slots of another. */
static uint64_t slots_of(uint64_t nexuses)
{
	uint64_t mask = 0;

	for (int i = 0; i < model.count; i++)
		if (nexuses & UINT64_C(1) << i)
			mask |= UINT64_C(1) << find(i);
	return mask;
}

static void take_attention(int nexus)
{
	uint16_t got = 0, expected = model_take_attention(&model, nexus);

	FUZZ_CHECK(pr_engine_take_unit_attention(&engine, (unsigned int)slots[nexus], &got) ==
		   (expected != 0));
	FUZZ_CHECK(got == expected);
}

/* Whoever has a new unit attention in model is told by change. */
static void check_told(const struct pr_engine_change *change)
{
	for (int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		const struct pr_engine_nexus *was = &engine.nexuses[i],
					     *is = &change->next.nexuses[i];
		bool there = change->unit_attention[i] == 0;

		if (is->unit_attention_count > was->unit_attention_count)
			FUZZ_CHECK(change->unit_attention[i] ==
				   is->unit_attentions[is->unit_attention_count - 1]);
		for (size_t j = 0; j < is->unit_attention_count; j++)
			there = there || is->unit_attentions[j] == change->unit_attention[i];
		FUZZ_CHECK(there);
	}
}

static void step_out(struct fuzz_source *source, int sender)
{
	static struct pr_engine_change change;
	static struct model before;
	uint8_t cdb[SCSI_CDB_MAX] = {0}, list[LIST_MAX] = {0}, *arrived;
	size_t len = make_out(source, sender, cdb, list);
	uint8_t course = fuzz_byte(source);
	struct model_answer expected;
	uint64_t removed;

	if (!admit(sender, cdb))
		return;
	before = model;
	expected = model_out(&model, sender, cdb, list, len, &removed);
	arrived = fuzz_copy(list, len);
	memset(&change, 0xee, sizeof(change));
	pr_engine_out(&engine, (unsigned int)slots[sender], cdb, arrived, len, &change);
	free(arrived);
	FUZZ_CHECK(change.answer.status == expected.status);
	if (expected.status == SCSI_CHECK_CONDITION)
		FUZZ_CHECK(((uint32_t)change.answer.sense_key << 16 | change.answer.asc_ascq) ==
			   expected.sense);
	FUZZ_CHECK(change.aborts == (expected.status == 0 && cdb[1] == PR_OUT_PREEMPT_AND_ABORT));
	FUZZ_CHECK(!change.aborts || change.aborted == slots_of(removed));
	if (!change.changed) {
		FUZZ_CHECK(same_model(&before, &model));
		FUZZ_CHECK(same_engine(&change.next, &engine));
		return;
	}
	FUZZ_CHECK(expected.status == SCSI_GOOD);
	FUZZ_CHECK(!same_model(&before, &model));
	check_told(&change);
	if (course >= 0xf8) { /* it could not be stored */
		model = before;
		return;
	}
	if (course >= 0xe0 && slots[course % FEW] >= 0) { /* another nexus asks meanwhile */
		model = before;
		take_attention(course % FEW);
		model_out(&model, sender, cdb, list, len, &removed);
	}
	pr_engine_commit(&engine, &change);
}

/* ---- PERSISTENT RESERVE IN ---- */

static size_t read_in(uint8_t action, uint16_t allocation_len, uint8_t *data)
{
	uint8_t cdb[PR_CDB_LEN];
	size_t len = 0;
	struct pr_engine_answer answer;

	pr_in_build((enum pr_in_action)action, allocation_len, cdb);
	answer = pr_engine_in(&engine, cdb, data, &len);
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

	FUZZ_CHECK(len == 8 + 8 * (size_t)model_registrations(&model));
	for (int i = 0; i < model.count; i++) {
		uint64_t key = model.nexuses[i].key;
		uint32_t expected = 0;

		for (int j = 0; j < model.count; j++)
			expected += key != 0 && model.nexuses[j].key == key;
		FUZZ_CHECK(pr_keys_parse(data, len, key, &keys));
		FUZZ_CHECK(keys.generation == model.generation && keys.matching == expected);
		FUZZ_CHECK(keys.count == (uint32_t)model_registrations(&model));
	}
}

static void check_reservation(const uint8_t *data, size_t len)
{
	uint8_t expected[24] = {0};

	be_put32(expected, model.generation);
	if (model.type != 0) {
		expected[7] = 16;
		expected[21] = model.type;
		if (model.type < 7)
			be_put64(expected + 8, model.nexuses[model.holder].key);
	}
	FUZZ_CHECK(len == (model.type != 0 ? 24 : 8) && memcmp(data, expected, len) == 0);
}

static void check_capabilities(const uint8_t *data, size_t len)
{
	const uint8_t expected[8] = {0, 8, model.ptpl_c, 0xc0 | model.aptpl, 0xea, 0x01, 0, 0};

	FUZZ_CHECK(len == 8 && memcmp(data, expected, 8) == 0);
}

/* The descriptor of a nexus; returns its length. */
static size_t full_status(int nexus, uint8_t *descriptor)
{
	const struct model_nexus *at = &model.nexuses[nexus];
	char *name = (char *)descriptor + 28;
	size_t len;

	memset(descriptor, 0, 24 + PR_TRANSPORT_ID_MAX);
	be_put64(descriptor, at->key);
	if (model_is_holder(&model, nexus)) {
		descriptor[12] = 1;
		descriptor[13] = model.type;
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

	FUZZ_CHECK(len >= 8 && be_get32(data) == model.generation && be_get32(data + 4) == len - 8);
	for (size_t at = 8; pr_full_status_next(data, len, &offset, &status, &malformed);
	     at = offset) {
		uint8_t expected[24 + PR_TRANSPORT_ID_MAX];

		for (int i = 0; i < model.count; i++)
			if (model.nexuses[i].key != 0 && !(seen & UINT64_C(1) << i) &&
			    full_status(i, expected) == offset - at &&
			    memcmp(data + at, expected, offset - at) == 0) {
				seen |= UINT64_C(1) << i;
				count++;
				break;
			}
	}
	FUZZ_CHECK(!malformed && count == model_registrations(&model));
}

static void step_in(struct fuzz_source *source, int nexus)
{
	uint8_t cdb[SCSI_CDB_MAX] = {SCSI_PR_IN}, action = fuzz_byte(source);
	uint16_t allocation_len = fuzz_u16(source);
	uint8_t *full, *cut;
	size_t len, cut_len;

	action = action < 0xf0 ? action % 4 : action & 0x1f;
	cdb[1] = action;
	if (!admit(nexus, cdb))
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

/* ---- what else happens ---- */

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
	if (admit(nexus, cdb) && cdb[0] == SCSI_REQUEST_SENSE)
		take_attention(nexus);
}

static void step_power_loss(void)
{
	bool there[MODEL_NEXUSES] = {false};

	for (int i = 0; i < model.count; i++)
		there[i] = find(i) >= 0;
	pr_engine_power_loss(&engine);
	model_power_loss(&model);
	for (int i = 0; i < model.count; i++)
		if (!there[i])
			model.nexuses[i].attention_count = 0;
}

static void step_attention(struct fuzz_source *source, int nexus)
{
	static const uint16_t attentions[] = {0x2a01, 0x2a09, 0x3f03, 0x2f00};
	uint16_t attention = attentions[fuzz_byte(source) % 4];

	FUZZ_CHECK(pr_engine_add_unit_attention(&engine, (unsigned int)slots[nexus], attention));
	model_attention(&model, nexus, attention);
}

/* The handler ends and begins again: what the text holds is what there was. */
static void step_restart(void)
{
	static struct pr_engine read;
	char text[TEXT_MAX], again[TEXT_MAX], reason[NEXUS_MESSAGE_MAX];
	struct fields_writer writer;

	fields_begin(&writer, text, sizeof(text), '\n', "1.0");
	pr_engine_add_fields(&writer, &engine);
	FUZZ_CHECK(fields_finish(&writer) && fields_check(text, '\n', 1) == FIELDS_GOOD);
	memset(&read, 0xee, sizeof(read));
	FUZZ_CHECK(pr_engine_get_fields(text, '\n', model.ptpl_c, &read, reason));
	engine = read;
	for (int i = 0; i < model.count; i++) {
		bool open = slots[i] >= 0;

		slots[i] = -1;
		if (open)
			open_nexus(i);
	}
	fields_begin(&writer, again, sizeof(again), '\n', "1.0");
	pr_engine_add_fields(&writer, &engine);
	FUZZ_CHECK(fields_finish(&writer));
}

static void step_rename(int nexus)
{
	struct model_nexus *at = &model.nexuses[nexus];
	char name[sizeof(at->name)], reason[NEXUS_MESSAGE_MAX];

	/* There and back again. */
	snprintf(name, sizeof(name), "%s-%d", at->name, nexus);
	if (strlen(at->name) > 2 && at->name[strlen(at->name) - 2] == '-' && nexus < FEW) {
		memcpy(name, at->name, sizeof(name));
		name[strlen(name) - 2] = '\0';
	}
	/* Nexus 3 is nexus 0 through another port: either keeps the name for itself. */
	if (nexus == 0 || nexus == 3 || strlen(name) > CFGSTRING_NAME_MAX)
		return;
	FUZZ_CHECK(pr_engine_rename(&engine, (unsigned int)slots[nexus], name, reason));
	memcpy(at->name, name, sizeof(name));
}

static void step(struct fuzz_source *source)
{
	uint8_t what = fuzz_byte(source), who = fuzz_byte(source);
	int nexus = who < 0xe0 ? who % FEW : who % model.count;

	if (what >= 0xf8) {
		step_power_loss();
		return;
	}
	if (what >= 0xf4) {
		step_restart();
		return;
	}
	if (slots[nexus] < 0) {
		open_nexus(nexus);
	} else if (what >= 0xf0) {
		pr_engine_close(&engine, (unsigned int)slots[nexus]);
		slots[nexus] = -1;
	} else if (what >= 0xee) {
		step_rename(nexus);
	} else if (what >= 0xe0) {
		step_attention(source, nexus);
	} else if (what >= 0xb0) {
		step_in(source, nexus);
	} else if (what >= 0x70) {
		step_command(source, nexus);
	} else {
		step_out(source, nexus);
	}
}

/* The crowd registers. */
static void fill_table(void)
{
	static struct pr_engine_change change;

	for (int i = FEW; i < model.count; i++) {
		uint8_t cdb[PR_CDB_LEN] = {SCSI_PR_OUT, PR_OUT_REGISTER, [8] = 24};
		uint8_t list[24] = {0};
		uint64_t removed;

		be_put64(list + 8, (uint64_t)i % 7 + 1);
		open_nexus(i);
		pr_engine_out(&engine, (unsigned int)slots[i], cdb, list, 24, &change);
		FUZZ_CHECK(change.answer.status == SCSI_GOOD);
		pr_engine_commit(&engine, &change);
		model_out(&model, i, cdb, list, 24, &removed);
	}
}

void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_source source = {data, size};
	uint8_t how = fuzz_byte(&source);

	make_nexuses((how & 0x0e) == 0x0e ? FEW + CROWD : FEW);
	model.ptpl_c = !(how & 1);
	memset(&engine, 0, sizeof(engine));
	pr_engine_init(&engine, model.ptpl_c);
	for (int i = 0; i < FEW; i++)
		open_nexus(i);
	fill_table();
	compare();
	while (source.left > 0) {
		step(&source);
		compare();
		if (model.type != 0)
			fuzz_deep();
	}
}
