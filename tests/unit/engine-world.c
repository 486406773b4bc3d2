/* SPDX-License-Identifier: Apache-2.0 */
#include "engine-world.h"

#include "be.h"
#include "check.h"

uint64_t engine_key(char letter)
{
	return (uint64_t)letter * 0x0101010101010101u;
}

static char key_letter(uint64_t key)
{
	return engine_key((char)(key & 0xff)) == key ? (char)(key & 0xff) : '?';
}

static const char *name_of(char nexus)
{
	switch (nexus) {
	case 'B':
		return "vm-b";
	case 'C':
		return "vm-c.example";
	case 'D':
		return "VM_D";
	default: /* A and P: one initiator port */
		return "vm-a";
	}
}

static uint16_t port_of(char nexus)
{
	return nexus == 'P' ? 2 : 1;
}

unsigned int engine_slot(const struct engine_world *world, char nexus)
{
	int slot = pr_engine_find(&world->engine, name_of(nexus), port_of(nexus));

	CHECK(slot >= 0);
	return (unsigned int)slot;
}

static char letter_of(const struct engine_world *world, unsigned int slot)
{
	const struct pr_engine_nexus *nexus = &world->engine.nexuses[slot];

	for (const char *letter = ENGINE_LETTERS; *letter != '\0'; letter++)
		if (strcmp(nexus->name, name_of(*letter)) == 0 &&
		    nexus->relative_target_port == port_of(*letter))
			return *letter;
	return '?';
}

static uint32_t end_of(struct pr_engine_answer answer)
{
	if (answer.status == SCSI_CHECK_CONDITION)
		return (uint32_t)answer.sense_key << 16 | answer.asc_ascq;
	CHECK_INT(answer.sense_key, 0);
	CHECK_INT(answer.asc_ascq, 0);
	return answer.status;
}

static bool same_nexus(const struct pr_engine_nexus *a, const struct pr_engine_nexus *b)
{
	return strcmp(a->name, b->name) == 0 && a->open == b->open && a->key == b->key &&
	       a->relative_target_port == b->relative_target_port &&
	       a->unit_attention_count == b->unit_attention_count &&
	       memcmp(a->unit_attentions, b->unit_attentions, sizeof(a->unit_attentions)) == 0;
}

static bool same_engine(const struct pr_engine *a, const struct pr_engine *b)
{
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++)
		if (!same_nexus(&a->nexuses[i], &b->nexuses[i]))
			return false;
	return a->ptpl_c == b->ptpl_c && a->aptpl == b->aptpl && a->type == b->type &&
	       a->holder == b->holder && a->generation == b->generation;
}

static void check_text(const struct pr_engine *engine)
{
	static char text[PR_ENGINE_FIELDS_MAX + 64], again[PR_ENGINE_FIELDS_MAX + 64];
	struct fields_writer writer;
	struct pr_engine other;
	char reason[NEXUS_MESSAGE_MAX] = "";

	fields_begin(&writer, text, sizeof(text), '\n', "1.0");
	pr_engine_add_fields(&writer, engine);
	CHECK(fields_finish(&writer));
	CHECK_INT(fields_check(text, '\n', 1), FIELDS_GOOD);
	if (!CHECK(pr_engine_get_fields(text, '\n', engine->ptpl_c, &other, reason)))
		CHECK_STR(reason, "");
	fields_begin(&writer, again, sizeof(again), '\n', "1.0");
	pr_engine_add_fields(&writer, &other);
	CHECK(fields_finish(&writer));
	CHECK_STR(again, text);
}

static bool counts(uint8_t action)
{
	return action != PR_OUT_RESERVE && action != PR_OUT_RELEASE;
}

uint32_t engine_out_raw(struct engine_world *world, char nexus, const uint8_t *cdb,
			const uint8_t *list, size_t list_len)
{
	struct pr_engine_change *change = &world->change;
	const struct pr_engine before = world->engine;

	pr_engine_out(&world->engine, engine_slot(world, nexus), cdb, list, list_len, change);
	CHECK(same_engine(&world->engine, &before));
	CHECK_INT(change->changed, !same_engine(&change->next, &before));
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		const struct pr_engine_nexus *slot = &change->next.nexuses[i];

		CHECK_INT(slot->unit_attention_count,
			  before.nexuses[i].unit_attention_count + !!change->unit_attention[i]);
	}
	if (change->answer.status != SCSI_GOOD) {
		CHECK(!change->changed);
		CHECK(!change->aborts);
		CHECK_INT(change->aborted, 0);
	} else {
		CHECK_INT(change->next.generation,
			  before.generation + (counts(cdb[1] & 0x1f) ? 1 : 0));
		CHECK_INT(change->aborts, (cdb[1] & 0x1f) == PR_OUT_PREEMPT_AND_ABORT);
	}
	if (change->next.type == PR_TYPE_NONE || pr_type_all_registrants(change->next.type))
		CHECK_INT(change->next.holder, 0);
	check_text(&change->next);
	if (change->changed && world->store_fails) {
		CHECK(same_engine(&world->engine, &before));
		return end_of(pr_engine_not_stored);
	}
	pr_engine_commit(&world->engine, change);
	CHECK(same_engine(&world->engine, &change->next));
	return end_of(change->answer);
}

static size_t transport_id(char nexus, uint8_t *id)
{
	char text[128];
	size_t len = (size_t)snprintf(text, sizeof(text),
				      "iqn.2026-11.org.prmig:%s,i,0x000000000000", name_of(nexus));
	size_t padded = (len + 4) / 4 * 4;

	memset(id, 0, 4 + padded);
	id[0] = 0x45;
	be_put16(id + 2, (uint16_t)padded);
	memcpy(id + 4, text, len);
	return 4 + padded;
}

uint32_t engine_out(struct engine_world *world, const struct engine_out *out)
{
	struct pr_engine_answer answer;
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN + PR_TRANSPORT_ID_MAX];
	size_t list_len = PR_OUT_LIST_LEN;

	if (out->action == PR_OUT_REGISTER_AND_MOVE) {
		uint8_t id[PR_TRANSPORT_ID_MAX];
		const struct pr_move move = {
			.key = engine_key(out->key),
			.new_key = engine_key(out->new_key),
			.unregister = out->unregister,
			.aptpl = out->aptpl,
			.relative_target_port = out->port != 0 ? out->port : port_of(out->to),
			.transport_id = id,
			.transport_id_len = (uint32_t)transport_id(out->to, id),
		};

		list_len = pr_move_build(&move, cdb, list);
	} else {
		const struct pr_out plain = {
			.action = out->action,
			.scope = out->scope,
			.type = out->type,
			.key = engine_key(out->key),
			.new_key = engine_key(out->new_key),
			.aptpl = out->aptpl,
			.all_tg_pt = out->all_tg_pt,
			.spec_i_pt = out->spec_i_pt,
		};

		pr_out_build(&plain, cdb, list);
	}
	if (!pr_engine_admits(&world->engine, engine_slot(world, out->nexus), cdb, &answer))
		return end_of(answer);
	return engine_out_raw(world, out->nexus, cdb, list, list_len);
}

uint32_t engine_command(struct engine_world *world, char nexus, const uint8_t *cdb)
{
	struct pr_engine_answer answer;

	if (pr_engine_admits(&world->engine, engine_slot(world, nexus), cdb, &answer))
		return GOOD;
	return end_of(answer);
}

struct engine_in engine_in(const struct engine_world *world, uint8_t action,
			   uint16_t allocation_len)
{
	struct engine_in in;
	uint8_t cdb[PR_CDB_LEN];

	memset(in.data, 0xee, sizeof(in.data));
	pr_in_build((enum pr_in_action)action, allocation_len, cdb);
	in.end = end_of(pr_engine_in(&world->engine, cdb, in.data, &in.len));
	return in;
}

static void append(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void append(char *text, size_t size, const char *format, ...)
{
	size_t len = strlen(text);
	va_list args;

	if (len > 0 && len + 1 < size) {
		text[len++] = ' ';
		text[len] = '\0';
	}
	va_start(args, format);
	vsnprintf(text + len, size - len, format, args);
	va_end(args);
}

static char port_letter(const struct pr_full_status *status)
{
	char got[PR_TRANSPORT_ID_TEXT_MAX], want[PR_TRANSPORT_ID_TEXT_MAX];
	uint8_t id[PR_TRANSPORT_ID_MAX];

	CHECK(pr_transport_id_text(status->transport_id, status->transport_id_len, got));
	for (const char *letter = ENGINE_LETTERS; *letter != '\0'; letter++) {
		CHECK(pr_transport_id_text(id, transport_id(*letter, id), want));
		if (strcmp(got, want) == 0 && status->relative_target_port == port_of(*letter))
			return *letter;
	}
	return '?';
}

const char *engine_state(const struct engine_world *world)
{
	static char text[256];
	struct engine_in keys = engine_in(world, PR_IN_READ_KEYS, UINT16_MAX);
	struct engine_in held = engine_in(world, PR_IN_READ_RESERVATION, UINT16_MAX);
	struct engine_in full = engine_in(world, PR_IN_READ_FULL_STATUS, UINT16_MAX);
	struct engine_in able = engine_in(world, PR_IN_REPORT_CAPABILITIES, UINT16_MAX);
	struct pr_keys listed;
	struct pr_reservation reservation;
	struct pr_full_status status;
	struct pr_capabilities capabilities;
	char holder = '*';
	bool malformed;
	size_t offset = 0, count = 0;

	CHECK(pr_keys_parse(keys.data, keys.len, 0, &listed));
	CHECK(pr_reservation_parse(held.data, held.len, &reservation));
	CHECK(pr_capabilities_parse(able.data, able.len, &capabilities));
	CHECK_INT(listed.generation, world->engine.generation);
	CHECK_INT(reservation.generation, world->engine.generation);
	CHECK_INT(be_get32(full.data), world->engine.generation);
	text[0] = '\0';
	while (pr_full_status_next(full.data, full.len, &offset, &status, &malformed)) {
		char letter = port_letter(&status);

		CHECK_INT(status.key, be_get64(keys.data + 8 + 8 * count));
		CHECK(!status.all_tg_pt);
		CHECK_INT(status.type, status.holder ? reservation.type : 0);
		CHECK_INT(status.scope, 0);
		if (pr_type_all_registrants(reservation.type)) {
			CHECK(status.holder);
		} else if (status.holder) {
			CHECK_INT(holder, '*');
			CHECK_INT(status.key, reservation.key);
			holder = letter;
		}
		append(text, sizeof(text), "%c:%c", letter, key_letter(status.key));
		count++;
	}
	CHECK(!malformed);
	CHECK_INT(count, listed.count);
	if (reservation.held) {
		CHECK_INT(holder == '*', pr_type_all_registrants(reservation.type));
		CHECK_INT(reservation.key == 0, holder == '*');
		if (holder == '*')
			append(text, sizeof(text), "%u/all", reservation.type);
		else
			append(text, sizeof(text), "%u/%c", reservation.type, holder);
	}
	if (capabilities.ptpl_a)
		append(text, sizeof(text), "aptpl");
	return text;
}

const char *engine_attentions(struct engine_world *world)
{
	static char text[256];
	static const uint8_t test_unit_ready[6] = {TEST_UNIT_READY};

	text[0] = '\0';
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		struct pr_engine_answer answer;

		while (!pr_engine_admits(&world->engine, i, test_unit_ready, &answer)) {
			CHECK_INT(answer.status, SCSI_CHECK_CONDITION);
			CHECK_INT(answer.sense_key, SCSI_UNIT_ATTENTION);
			append(text, sizeof(text), "%c:%04x", letter_of(world, i), answer.asc_ascq);
		}
	}
	return text;
}

void engine_world_begin(struct engine_world *world, bool ptpl_c, const char *state)
{
	struct engine_world *w = world;
	char reason[NEXUS_MESSAGE_MAX], words[64], *rest = words;

	memset(world, 0, sizeof(*world));
	pr_engine_init(&world->engine, ptpl_c);
	for (const char *letter = ENGINE_LETTERS; *letter != '\0'; letter++)
		CHECK(pr_engine_open(&world->engine, name_of(*letter), port_of(*letter), reason) >=
		      0);
	snprintf(words, sizeof(words), "%s", state);
	for (char *word = strtok_r(rest, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		if (word[1] == ':') {
			CHECK_INT(OUT(word[0], REGISTER, .new_key = word[2]), GOOD);
			continue;
		}
		/* "8/all": whoever is first in the state. */
		CHECK_INT(OUT(word[2] == 'a' ? state[0] : word[2], RESERVE,
			      .key = state[0] == word[2] || word[2] == 'a'
					     ? state[2]
					     : strchr(state, word[2])[2],
			      .type = (uint8_t)(word[0] - '0')),
			  GOOD);
	}
	CHECK_STR(engine_attentions(world), "");
	CHECK_STR(engine_state(world), state);
	world->engine.generation = 0;
}
