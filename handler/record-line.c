/* SPDX-License-Identifier: Apache-2.0 */
/* State lines: what Export returns and Import takes. */
#include <stdio.h>
#include <string.h>

#include "record-text.h"

#define LINE_SEPARATOR ','
#define LINE_WHOLE "prmig=2."

bool state_line_format(const struct record *record, const struct unit_attentions *queue,
		       const char *source, char *text)
{
	/* Long iSCSI names: as many former TransportIDs as fit, the newest first. */
	for (size_t ids = RECORD_TRANSPORT_IDS + 1; ids-- > 0;) {
		struct fields_writer writer;

		fields_begin(&writer, text, NEXUS_STATE_LINE_MAX, LINE_SEPARATOR,
			     record->out.whole ? RECORD_VERSION_WHOLE : RECORD_VERSION);
		record_text_add_terms(&writer, "", &record->out);
		fields_add_text(&writer, "lun", record->lun);
		fields_add_text(&writer, "source", source);
		record_text_add_unit_attentions(&writer, queue);
		if (record->out.moved)
			record_text_add_port(&writer, "origin", &record->out_origin);
		if (record->out.whole)
			fields_add_text(&writer, "ticket", record->ticket);
		record_text_add_transport_ids(&writer, record->transport_ids, ids);
		if (fields_finish(&writer))
			return true;
	}
	return false;
}

static bool terms_consistent(const struct record_terms *terms)
{
	bool registered = terms->key != 0 && terms->count >= record_terms_ours(terms) &&
			  (!terms->led || terms->siblings == 0);

	switch (terms->row) {
	case 1:
		return terms->siblings == 0 && !terms->led;
	case 2:
		return registered;
	case 3:
		return registered && !terms->led && pr_type_valid(terms->type) &&
		       !pr_type_all_registrants(terms->type);
	case 4:
		return registered && pr_type_all_registrants(terms->type);
	default:
		return false;
	}
}

/* A port that names somebody. */
static bool get_named_port(const char *text, const char *key, struct record_port *ret_port,
			   char *reason)
{
	struct record_port port;

	if (!record_text_get_port(text, LINE_SEPARATOR, key, &port, reason))
		return false;
	if (port.transport_id_len == 0) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "field '%s' has no TransportID", key);
		return false;
	}
	*ret_port = port;
	return true;
}

bool state_line_parse(const char *text, struct state_line *ret_line, char *reason)
{
	struct state_line line = {0};
	bool whole = strncmp(text, LINE_WHOLE, strlen(LINE_WHOLE)) == 0;

	if (strlen(text) >= NEXUS_STATE_LINE_MAX) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "this state line has %zu bytes; at most %d are taken", strlen(text),
			 NEXUS_STATE_LINE_MAX - 1);
		return false;
	}
	if (!record_text_check(text, LINE_SEPARATOR, whole ? RECORD_MAJOR_WHOLE : RECORD_MAJOR,
			       "state line", reason) ||
	    !record_text_get_terms(text, LINE_SEPARATOR, "", &line.terms, reason) ||
	    !record_text_get_unit_attentions(text, LINE_SEPARATOR, &line.unit_attentions, reason))
		return false;
	if (line.terms.id[0] == '\0' || line.terms.whole != whole ||
	    !terms_consistent(&line.terms)) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "this state line contradicts itself (row %u, key 0x%llx, type %u)",
			 line.terms.row, (unsigned long long)line.terms.key, line.terms.type);
		return false;
	}
	if (!fields_get_text(text, LINE_SEPARATOR, "lun", line.lun, sizeof(line.lun)) ||
	    !fields_get_text(text, LINE_SEPARATOR, "source", line.source, sizeof(line.source))) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "field 'lun' or 'source' is missing or too long");
		return false;
	}
	if (line.terms.moved && !get_named_port(text, "origin", &line.origin, reason))
		return false;
	if (whole &&
	    (!fields_get_text(text, LINE_SEPARATOR, "ticket", line.ticket, sizeof(line.ticket)) ||
	     line.ticket[0] == '\0')) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "field 'ticket' is missing or too long");
		return false;
	}
	record_text_get_transport_ids(text, LINE_SEPARATOR, line.transport_ids);
	*ret_line = line;
	return true;
}

bool prepare_line_format(const char *lun, const struct record_port *port, char *text)
{
	struct fields_writer writer;

	fields_begin(&writer, text, NEXUS_STATE_LINE_MAX, LINE_SEPARATOR, RECORD_VERSION);
	fields_add_text(&writer, "prepared", lun);
	record_text_add_port(&writer, "nexus", port);
	return fields_finish(&writer);
}

bool prepare_line_parse(const char *text, char *ret_lun, struct record_port *ret_port, char *reason)
{
	char lun[SCSI_DESIGNATOR_MAX];
	struct record_port port;

	if (strlen(text) >= NEXUS_STATE_LINE_MAX ||
	    !fields_get_text(text, LINE_SEPARATOR, "prepared", lun, sizeof(lun))) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "this is not what Prepare returns at the destination");
		return false;
	}
	if (!record_text_check(text, LINE_SEPARATOR, RECORD_MAJOR, "destination", reason) ||
	    !get_named_port(text, "nexus", &port, reason))
		return false;
	memcpy(ret_lun, lun, sizeof(lun));
	*ret_port = port;
	return true;
}
