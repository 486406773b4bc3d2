/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State lines and what Prepare returns. The input: such a line; it is read as it is, and with its
 * checksum put right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checked-text.h"
#include "fuzz.h"
#include "record-same.h"

static void check_terms(const struct record_terms *terms)
{
	bool holds = terms->row >= 3;

	FUZZ_CHECK(terms->row >= 1 && terms->row <= 4);
	FUZZ_CHECK(strspn(terms->id, "0123456789abcdef") == NEXUS_ID_LEN);
	FUZZ_CHECK(terms->row == 1 || (terms->key != 0 && terms->count > terms->siblings));
	FUZZ_CHECK(!holds || pr_type_valid(terms->type));
	FUZZ_CHECK(!holds || pr_type_all_registrants(terms->type) == (terms->row == 4));
}

/* All of it can stand in a line as it is; then it fits. */
static bool plain(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789-_.:/@") == strlen(text);
}

/* What was read can be written, and reads the same; TransportIDs may not all fit. */
static void check_state_again(const struct state_line *line)
{
	static struct record record;
	char text[NEXUS_STATE_LINE_MAX], reason[NEXUS_MESSAGE_MAX];
	struct state_line again;
	bool cut = false;

	record.out = line->terms;
	record.out_origin = line->origin;
	memcpy(record.lun, line->lun, sizeof(line->lun));
	memcpy(record.transport_ids, line->transport_ids, sizeof(line->transport_ids));
	memcpy(record.ticket, line->ticket, sizeof(line->ticket));
	if (line->terms.whole && !(plain(line->ticket) && plain(line->lun) && plain(line->source)))
		return;
	FUZZ_CHECK(state_line_format(&record, &line->unit_attentions, line->source, text));
	FUZZ_CHECK(strlen(text) < NEXUS_STATE_LINE_MAX && fuzz_printable(text, sizeof(text)));
	FUZZ_CHECK(strpbrk(text, " \"'\\;+") == NULL);
	FUZZ_CHECK(state_line_parse(text, &again, reason));
	FUZZ_CHECK(same_terms(&line->terms, &again.terms));
	FUZZ_CHECK(strcmp(line->lun, again.lun) == 0 && strcmp(line->source, again.source) == 0);
	FUZZ_CHECK(line->unit_attentions.count == again.unit_attentions.count);
	for (size_t i = 0; i < again.unit_attentions.count; i++)
		FUZZ_CHECK(line->unit_attentions.asc_ascq[i] == again.unit_attentions.asc_ascq[i]);
	FUZZ_CHECK(same_port(&line->origin, &again.origin));
	FUZZ_CHECK(strcmp(line->ticket, again.ticket) == 0);
	FUZZ_CHECK((line->ticket[0] != '\0') == line->terms.whole);
	for (size_t i = 0; i < RECORD_TRANSPORT_IDS; i++) {
		if (strlen(text) > NEXUS_STATE_LINE_MAX - 3 * PR_TRANSPORT_ID_TEXT_MAX)
			cut = cut || again.transport_ids[i][0] == '\0';
		FUZZ_CHECK(cut || strcmp(line->transport_ids[i], again.transport_ids[i]) == 0);
	}
}

static void check_state(const char *text)
{
	struct state_line line;
	char reason[NEXUS_MESSAGE_MAX];

	memset(reason, 'x', sizeof(reason));
	if (!state_line_parse(text, &line, reason)) {
		FUZZ_CHECK(memchr(reason, '\0', sizeof(reason)) != NULL && reason[0] != '\0');
		return;
	}
	FUZZ_CHECK(strlen(text) < NEXUS_STATE_LINE_MAX);
	FUZZ_CHECK(!line.terms.moved || line.origin.transport_id_len > 0);
	check_terms(&line.terms);
	check_state_again(&line);
	fuzz_deep();
}

static void check_prepare(const char *text)
{
	char again_text[NEXUS_STATE_LINE_MAX], reason[NEXUS_MESSAGE_MAX];
	char lun[SCSI_DESIGNATOR_MAX], again_lun[SCSI_DESIGNATOR_MAX];
	struct record_port port, again;

	memset(reason, 'x', sizeof(reason));
	if (!prepare_line_parse(text, lun, &port, reason)) {
		FUZZ_CHECK(memchr(reason, '\0', sizeof(reason)) != NULL && reason[0] != '\0');
		return;
	}
	FUZZ_CHECK(port.transport_id_len > 0 && port.transport_id_len <= PR_TRANSPORT_ID_MAX);
	FUZZ_CHECK(prepare_line_format(lun, &port, again_text));
	FUZZ_CHECK(fuzz_printable(again_text, sizeof(again_text)));
	FUZZ_CHECK(prepare_line_parse(again_text, again_lun, &again, reason));
	FUZZ_CHECK(strcmp(lun, again_lun) == 0 && same_port(&port, &again));
	fuzz_deep();
}

void fuzz_one(const uint8_t *data, size_t size)
{
	char *as_it_is = fuzz_text(data, size), *right = checked_text(data, size, ',');

	check_state(as_it_is);
	check_prepare(as_it_is);
	check_state(right);
	check_prepare(right);
	free(as_it_is);
	free(right);
}
