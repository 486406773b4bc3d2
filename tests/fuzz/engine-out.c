/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE OUT. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "engine-pair.h"

#define LIST_MAX 320

static uint64_t some_key(struct fuzz_source *source)
{
	static const uint64_t keys[] = {1, 2, 0xabcdef0123456789, UINT64_MAX};
	uint8_t which = fuzz_byte(source) % 9;

	if (which < 4)
		return keys[which];
	return which < 8 ? pair_model.nexuses[which - 4].key : 0;
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
	snprintf(name, 120, PR_ENGINE_PORT_PREFIX "%s", pair_model.nexuses[to].name);
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
	if ((how & 0xf) == 2) {
		size_t at = fuzz_byte(source) % (len + 4);

		id[at] = fuzz_byte(source);
	}
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
	if (type < 0xe0)
		cdb[2] = type < 0xa0 ? types[type % 8] : pair_model.type;
	else
		cdb[2] = fuzz_byte(source);
	be_put64(list, key < 0xc0 ? pair_model.nexuses[sender].key : some_key(source));
	be_put64(list + 8, some_key(source));
	if (flags < 0xf0)
		flags &= 1;
	if (cdb[1] == PR_OUT_REGISTER_AND_MOVE) {
		int to = fuzz_byte(source) % PAIR_FEW;

		list[17] = flags | (key & 1) << 1;
		be_put16(list + 18, pair_model.nexuses[to].port);
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

	for (int i = 0; i < pair_model.count; i++)
		if (nexuses & UINT64_C(1) << i)
			mask |= UINT64_C(1) << pair_find(i);
	return mask;
}

/* Whoever has a new unit attention in pair_model is told by change. */
static void check_told(const struct pr_engine_change *change)
{
	for (int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		const struct pr_engine_nexus *was = &pair_engine.nexuses[i],
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

void pair_out(struct fuzz_source *source, int sender)
{
	static struct pr_engine_change change;
	static struct model before;
	uint8_t cdb[SCSI_CDB_MAX] = {0}, list[LIST_MAX] = {0}, *arrived;
	size_t len = make_out(source, sender, cdb, list);
	uint8_t course = fuzz_byte(source);
	struct model_answer expected;
	uint64_t removed;

	if (!pair_admit(sender, cdb))
		return;
	/* Who is closed and has nothing registered may be forgotten. */
	for (int i = 0; i < pair_model.count; i++)
		pair_model.nexuses[i].known = pair_find(i) >= 0;
	before = pair_model;
	expected = model_out(&pair_model, sender, cdb, list, len, &removed);
	arrived = fuzz_copy(list, len);
	memset(&change, 0xee, sizeof(change));
	pr_engine_out(&pair_engine, (unsigned int)pair_slots[sender], cdb, arrived, len, &change);
	free(arrived);
	FUZZ_CHECK(change.answer.status == expected.status);
	if (expected.status == SCSI_CHECK_CONDITION)
		FUZZ_CHECK(((uint32_t)change.answer.sense_key << 16 | change.answer.asc_ascq) ==
			   expected.sense);
	FUZZ_CHECK(change.aborts == (expected.status == 0 && cdb[1] == PR_OUT_PREEMPT_AND_ABORT));
	FUZZ_CHECK(!change.aborts || change.aborted == slots_of(removed));
	if (!change.changed) {
		FUZZ_CHECK(pair_same_model(&before, &pair_model));
		FUZZ_CHECK(pair_same_engine(&change.next, &pair_engine));
		return;
	}
	FUZZ_CHECK(expected.status == SCSI_GOOD);
	FUZZ_CHECK(!pair_same_model(&before, &pair_model));
	check_told(&change);
	if (course >= 0xf8) { /* it could not be stored */
		pair_model = before;
		return;
	}
	if (course >= 0xe0 &&
	    pair_slots[course % PAIR_FEW] >= 0) { /* another nexus asks meanwhile */
		pair_model = before;
		pair_take_attention(course % PAIR_FEW);
		model_out(&pair_model, sender, cdb, list, len, &removed);
	}
	pr_engine_commit(&pair_engine, &change);
}
