/* SPDX-License-Identifier: Apache-2.0 */
/* What prmig remembers of a nexus is what it wrote. The input: the fields of a record. */
#include <string.h>

#include "fuzz.h"
#include "record-same.h"

static void make_terms(struct fuzz_source *source, struct record_terms *terms)
{
	static const char digits[] = "0123456789abcdef";

	if (fuzz_bool(source))
		for (size_t i = 0; i < NEXUS_ID_LEN; i++)
			terms->id[i] = digits[fuzz_byte(source) & 0xf];
	terms->row = fuzz_byte(source) % 5;
	terms->key = fuzz_u64(source);
	terms->type = fuzz_byte(source) % 9;
	terms->fenced = fuzz_bool(source);
	terms->ptpl = fuzz_bool(source);
	terms->generation = fuzz_u32(source);
	terms->count = fuzz_u32(source);
	terms->siblings = fuzz_u16(source);
	terms->led = fuzz_bool(source);
	terms->moved = fuzz_bool(source);
	terms->whole = fuzz_bool(source);
	terms->time_s = fuzz_u64(source) & INT64_MAX;
}

static void make_port(struct fuzz_source *source, struct record_port *port)
{
	port->transport_id_len = fuzz_byte(source) % (PR_TRANSPORT_ID_MAX + 1);
	fuzz_fill(source, port->transport_id, port->transport_id_len);
	port->relative_target_port = fuzz_u16(source);
}

static void make_flags(struct fuzz_source *source, struct record *record)
{
	bool *const flags[] = {&record->holder,		&record->ptpl,
			       &record->fenced,		&record->scsi2,
			       &record->out_saved,	&record->take_back,
			       &record->take_back_sent, &record->in_registered,
			       &record->in_loaded,	&record->in_done,
			       &record->in_ran,		&record->in_exact,
			       &record->in_added,	&record->in_register_due,
			       &record->in_kept,	&record->own_transport_id,
			       &record->in_arrived,	&record->away};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		*flags[i] = fuzz_bool(source);
}

static void make_record(struct fuzz_source *source, struct record *record,
			struct unit_attentions *queue)
{
	size_t ids = fuzz_byte(source) % (RECORD_TRANSPORT_IDS + 1), attentions;

	memset(record, 0, sizeof(*record));
	memset(queue, 0, sizeof(*queue));
	make_flags(source, record);
	fuzz_string(source, record->lun, sizeof(record->lun) - 1);
	fuzz_string(source, record->group, sizeof(record->group) - 1);
	record->state = (enum nexus_state)(fuzz_byte(source) % 3);
	record->key = fuzz_u64(source);
	record->type = fuzz_byte(source) % 9;
	record->fenced_key = fuzz_u64(source);
	record->generation = fuzz_u32(source);
	record->proven = fuzz_u32(source);
	make_terms(source, &record->out);
	record->out_count = fuzz_u32(source);
	make_port(source, &record->out_destination);
	make_port(source, &record->out_origin);
	make_terms(source, &record->in);
	make_port(source, &record->in_origin);
	record->in_kept_generation = fuzz_u32(source);
	record->in_kept_until_s = fuzz_u64(source) & INT64_MAX;
	record->in_moves = fuzz_u32(source);
	record->prepare_key = fuzz_u64(source);
	record->step = (enum record_step)(fuzz_byte(source) % RECORD_STEP_COUNT);
	record->pending = fuzz_bool(source);
	if (record->pending) {
		record->pending_stands = fuzz_bool(source);
		fuzz_fill(source, record->pending_cdb, PR_CDB_LEN);
		record->pending_list_len = fuzz_byte(source) % (PR_OUT_LIST_LEN + 1);
		fuzz_fill(source, record->pending_list, record->pending_list_len);
	}
	record->relative_target_port = fuzz_u16(source);
	for (size_t i = 0; i < ids; i++) {
		fuzz_string(source, record->transport_ids[i], PR_TRANSPORT_ID_TEXT_MAX - 1);
		if (record->transport_ids[i][0] == '\0')
			record->transport_ids[i][0] = 'x';
	}
	attentions = fuzz_byte(source) % (RECORD_UNIT_ATTENTIONS + 1);
	for (size_t i = 0; i < attentions; i++)
		unit_attentions_add(queue, fuzz_u16(source));
}

static bool same_flags(const struct record *a, const struct record *b)
{
	return a->holder == b->holder && a->ptpl == b->ptpl && a->fenced == b->fenced &&
	       a->scsi2 == b->scsi2 && a->out_saved == b->out_saved &&
	       a->take_back == b->take_back && a->take_back_sent == b->take_back_sent &&
	       a->in_registered == b->in_registered && a->in_loaded == b->in_loaded &&
	       a->in_done == b->in_done && a->in_ran == b->in_ran && a->in_exact == b->in_exact &&
	       a->in_added == b->in_added && a->in_register_due == b->in_register_due &&
	       a->in_kept == b->in_kept && a->own_transport_id == b->own_transport_id &&
	       a->in_arrived == b->in_arrived && a->away == b->away;
}

static bool same_numbers(const struct record *a, const struct record *b)
{
	return a->state == b->state && a->key == b->key && a->type == b->type &&
	       a->fenced_key == b->fenced_key && a->generation == b->generation &&
	       a->proven == b->proven && a->out_count == b->out_count &&
	       a->in_kept_generation == b->in_kept_generation &&
	       a->in_kept_until_s == b->in_kept_until_s && a->in_moves == b->in_moves &&
	       a->prepare_key == b->prepare_key && a->step == b->step &&
	       a->relative_target_port == b->relative_target_port;
}

static bool same_pending(const struct record *a, const struct record *b)
{
	return a->pending == b->pending && a->pending_stands == b->pending_stands &&
	       memcmp(a->pending_cdb, b->pending_cdb, PR_CDB_LEN) == 0 &&
	       a->pending_list_len == b->pending_list_len &&
	       memcmp(a->pending_list, b->pending_list, a->pending_list_len) == 0;
}

void fuzz_one(const uint8_t *data, size_t size)
{
	static struct record given, again;
	static struct unit_attentions given_queue, again_queue;
	static char text[RECORD_TEXT_MAX], reason[NEXUS_MESSAGE_MAX];
	struct fuzz_source source = {data, size};

	make_record(&source, &given, &given_queue);
	FUZZ_CHECK(record_format(&given, &given_queue, text));
	FUZZ_CHECK(record_parse(text, &again, &again_queue, reason));
	FUZZ_CHECK(strcmp(given.lun, again.lun) == 0 && strcmp(given.group, again.group) == 0);
	FUZZ_CHECK(same_numbers(&given, &again) && same_flags(&given, &again));
	FUZZ_CHECK(same_terms(&given.out, &again.out) && same_terms(&given.in, &again.in));
	FUZZ_CHECK(same_port(&given.out_destination, &again.out_destination));
	FUZZ_CHECK(same_port(&given.out_origin, &again.out_origin));
	FUZZ_CHECK(same_port(&given.in_origin, &again.in_origin));
	FUZZ_CHECK(same_pending(&given, &again));
	for (size_t i = 0; i < RECORD_TRANSPORT_IDS; i++)
		FUZZ_CHECK(strcmp(given.transport_ids[i], again.transport_ids[i]) == 0);
	FUZZ_CHECK(given_queue.count == again_queue.count);
	for (size_t i = 0; i < given_queue.count; i++)
		FUZZ_CHECK(given_queue.asc_ascq[i] == again_queue.asc_ascq[i]);
	fuzz_deep();
}
