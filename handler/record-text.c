/* SPDX-License-Identifier: Apache-2.0 */
#include "record-text.h"

#include <stdio.h>
#include <string.h>

void record_text_add_terms(struct fields_writer *writer, const char *prefix,
			   const struct record_terms *terms)
{
	char key[32];

#define KEY(name) (snprintf(key, sizeof(key), "%s%s", prefix, name), key)
	fields_add_text(writer, KEY("id"), terms->id);
	fields_add_number(writer, KEY("row"), terms->row);
	fields_add_hex(writer, KEY("key"), terms->key);
	fields_add_number(writer, KEY("type"), terms->type);
	fields_add_number(writer, KEY("fenced"), terms->fenced);
	fields_add_number(writer, KEY("ptpl"), terms->ptpl);
	fields_add_number(writer, KEY("moved"), terms->moved);
	fields_add_number(writer, KEY("generation"), terms->generation);
	fields_add_number(writer, KEY("count"), terms->count);
	fields_add_number(writer, KEY("siblings"), terms->siblings);
	fields_add_number(writer, KEY("led"), terms->led);
	fields_add_number(writer, KEY("whole"), terms->whole);
	fields_add_number(writer, KEY("time"), terms->time_s);
}

static bool id_valid(const char *id)
{
	return strlen(id) == NEXUS_ID_LEN && strspn(id, "0123456789abcdef") == NEXUS_ID_LEN;
}

bool record_text_get_terms(const char *text, char separator, const char *prefix,
			   struct record_terms *ret, char *reason)
{
	struct record_terms terms = {0};
	char key[32];
	uint64_t row, type, fenced, ptpl, moved, generation, count, siblings, led, whole;

	if (!fields_get_text(text, separator, KEY("id"), terms.id, sizeof(terms.id)) ||
	    (terms.id[0] != '\0' && !id_valid(terms.id))) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "field '%s' is missing or not 32 hex digits",
			 key);
		return false;
	}
	if (!fields_require_number(text, separator, KEY("row"), 4, &row, reason) ||
	    !fields_require_number(text, separator, KEY("key"), UINT64_MAX, &terms.key, reason) ||
	    !fields_require_number(text, separator, KEY("type"), 8, &type, reason) ||
	    !fields_require_number(text, separator, KEY("fenced"), 1, &fenced, reason) ||
	    !fields_require_number(text, separator, KEY("ptpl"), 1, &ptpl, reason) ||
	    !fields_require_number(text, separator, KEY("moved"), 1, &moved, reason) ||
	    !fields_require_number(text, separator, KEY("generation"), UINT32_MAX, &generation,
				   reason) ||
	    !fields_require_number(text, separator, KEY("count"), UINT32_MAX, &count, reason) ||
	    !fields_require_number(text, separator, KEY("siblings"), UINT16_MAX, &siblings,
				   reason) ||
	    !fields_require_number(text, separator, KEY("led"), 1, &led, reason) ||
	    !fields_require_number(text, separator, KEY("time"), INT64_MAX, &terms.time_s, reason))
		return false;
	/* Older than that: none moved whole. */
	terms.whole = fields_get_number(text, separator, KEY("whole"), 1, &whole) && whole;
#undef KEY
	terms.row = (uint8_t)row;
	terms.type = (uint8_t)type;
	terms.fenced = fenced;
	terms.ptpl = ptpl;
	terms.moved = moved;
	terms.generation = (uint32_t)generation;
	terms.count = (uint32_t)count;
	terms.siblings = (uint32_t)siblings;
	terms.led = led;
	*ret = terms;
	return true;
}

void record_text_add_unit_attentions(struct fields_writer *writer,
				     const struct unit_attentions *queue)
{
	uint8_t bytes[2 * RECORD_UNIT_ATTENTIONS];

	for (size_t i = 0; i < queue->count; i++) {
		bytes[2 * i] = (uint8_t)(queue->asc_ascq[i] >> 8);
		bytes[2 * i + 1] = (uint8_t)queue->asc_ascq[i];
	}
	fields_add_bytes(writer, "ua", bytes, 2 * queue->count);
}

bool record_text_get_unit_attentions(const char *text, char separator,
				     struct unit_attentions *ret_queue, char *reason)
{
	uint8_t bytes[2 * RECORD_UNIT_ATTENTIONS];
	size_t len;

	if (!fields_get_bytes(text, separator, "ua", bytes, sizeof(bytes), &len) || len % 2 != 0) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "field 'ua' is missing or malformed");
		return false;
	}
	for (size_t i = 0; i < len / 2; i++)
		ret_queue->asc_ascq[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
	ret_queue->count = len / 2;
	return true;
}

void record_text_add_transport_ids(struct fields_writer *writer,
				   const char (*ids)[PR_TRANSPORT_ID_TEXT_MAX], size_t limit)
{
	for (size_t i = 0; i < limit && ids[i][0] != '\0'; i++) {
		char key[32];

		snprintf(key, sizeof(key), "nexus%zu", i);
		fields_add_text(writer, key, ids[i]);
	}
}

void record_text_get_transport_ids(const char *text, char separator,
				   char (*ids)[PR_TRANSPORT_ID_TEXT_MAX])
{
	for (size_t i = 0; i < RECORD_TRANSPORT_IDS; i++) {
		char key[32];

		snprintf(key, sizeof(key), "nexus%zu", i);
		if (!fields_get_text(text, separator, key, ids[i], PR_TRANSPORT_ID_TEXT_MAX) ||
		    ids[i][0] == '\0')
			break;
	}
}

bool record_text_check(const char *text, char separator, unsigned int major, const char *what,
		       char *reason)
{
	switch (fields_check(text, separator, major)) {
	case FIELDS_GOOD:
		return true;
	case FIELDS_NOT_OURS:
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "this is not a %s of prmig: it should begin with 'prmig=%s'", what,
			 RECORD_VERSION);
		return false;
	case FIELDS_UNKNOWN_VERSION:
		snprintf(
			reason, NEXUS_MESSAGE_MAX,
			"this %s is of version %.8s, and this prmig reads version %d: use the same "
			"major version of prmig on both hosts",
			what, text + 6, RECORD_MAJOR);
		return false;
	case FIELDS_DAMAGED:
		break;
	}
	snprintf(reason, NEXUS_MESSAGE_MAX,
		 "this %s is damaged: its checksum does not match; take it whole, as it was given",
		 what);
	return false;
}

void record_text_add_port(struct fields_writer *writer, const char *key,
			  const struct record_port *port)
{
	char port_key[40];

	snprintf(port_key, sizeof(port_key), "%s-port", key);
	fields_add_bytes(writer, key, port->transport_id, port->transport_id_len);
	fields_add_number(writer, port_key, port->relative_target_port);
}

bool record_text_get_port(const char *text, char separator, const char *key,
			  struct record_port *ret_port, char *reason)
{
	char port_key[40];
	uint64_t relative_target_port;
	struct record_port port = {0};

	snprintf(port_key, sizeof(port_key), "%s-port", key);
	if (!fields_require_number(text, separator, port_key, UINT16_MAX, &relative_target_port,
				   reason))
		return false;
	if (!fields_get_bytes(text, separator, key, port.transport_id, sizeof(port.transport_id),
			      &port.transport_id_len)) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "field '%s' is missing or no TransportID", key);
		return false;
	}
	port.relative_target_port = (uint16_t)relative_target_port;
	*ret_port = port;
	return true;
}
