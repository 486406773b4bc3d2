/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State files. The input: such a file, read as it is and with its checksum put right.
 */
#include <stdlib.h>
#include <string.h>

#include "checked-text.h"
#include "fuzz.h"
#include "record.h"

static struct record given, again;
static struct unit_attentions given_queue, again_queue;
static char first[RECORD_TEXT_MAX], second[RECORD_TEXT_MAX], reason[NEXUS_MESSAGE_MAX];

static void check_text(const char *text)
{
	memset(reason, 'x', sizeof(reason));
	if (!record_parse(text, &given, &given_queue, reason)) {
		FUZZ_CHECK(memchr(reason, '\0', sizeof(reason)) != NULL && reason[0] != '\0');
		return;
	}
	FUZZ_CHECK(given.state <= NEXUS_EXPORTED && given.step < RECORD_STEP_COUNT);
	FUZZ_CHECK(given_queue.count <= RECORD_UNIT_ATTENTIONS);
	FUZZ_CHECK(given.pending_list_len <= PR_OUT_LIST_LEN);
	FUZZ_CHECK(record_format(&given, &given_queue, first));
	FUZZ_CHECK(record_parse(first, &again, &again_queue, reason));
	FUZZ_CHECK(record_format(&again, &again_queue, second));
	FUZZ_CHECK(strcmp(first, second) == 0);
	for (size_t i = 0; i < RECORD_TRANSPORT_IDS; i++)
		FUZZ_CHECK(strcmp(given.transport_ids[i], again.transport_ids[i]) == 0);
	fuzz_deep();
}

void fuzz_one(const uint8_t *data, size_t size)
{
	char *as_it_is = fuzz_text(data, size), *right = checked_text(data, size, '\n');

	check_text(as_it_is);
	check_text(right);
	free(as_it_is);
	free(right);
}
