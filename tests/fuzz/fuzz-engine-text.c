/* SPDX-License-Identifier: Apache-2.0 */
/* The reservation engine as text, which a damaged disk may have changed. The input: such fields; their checksum is put right. */
#include <stdlib.h>
#include <string.h>

#include "checked-text.h"
#include "fields.h"
#include "fuzz.h"
#include "pr-engine.h"

#define TEXT_MAX (PR_ENGINE_FIELDS_MAX + 64)

static void format(const struct pr_engine *engine, char *text)
{
	struct fields_writer writer;

	fields_begin(&writer, text, TEXT_MAX, '\n', "1.0");
	pr_engine_add_fields(&writer, engine);
	FUZZ_CHECK(fields_finish(&writer));
}

/* What is taken is a state that commands could have led to. */
static void check_state(const struct pr_engine *engine, bool ptpl_c)
{
	bool all = pr_type_all_registrants(engine->type);

	FUZZ_CHECK(engine->ptpl_c == ptpl_c && (ptpl_c || !engine->aptpl));
	FUZZ_CHECK(engine->type == PR_TYPE_NONE || pr_type_valid(engine->type));
	FUZZ_CHECK(
		engine->type == PR_TYPE_NONE || all ||
		(engine->holder < PR_ENGINE_NEXUSES && engine->nexuses[engine->holder].key != 0));
	FUZZ_CHECK(!all || pr_engine_registrations(engine) > 0);
	FUZZ_CHECK(pr_engine_registrations(engine) <= PR_ENGINE_REGISTRATIONS);
	for (int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		const struct pr_engine_nexus *nexus = &engine->nexuses[i];

		FUZZ_CHECK(memchr(nexus->name, '\0', sizeof(nexus->name)) != NULL);
		if (nexus->name[0] == '\0') {
			FUZZ_CHECK(nexus->key == 0 && nexus->unit_attention_count == 0);
			continue;
		}
		FUZZ_CHECK(cfgstring_name_valid(nexus->name) && nexus->relative_target_port > 0);
		FUZZ_CHECK(!nexus->open);
		FUZZ_CHECK(nexus->unit_attention_count <= PR_ENGINE_UNIT_ATTENTIONS);
		FUZZ_CHECK(pr_engine_find(engine, nexus->name, nexus->relative_target_port) == i);
	}
}

void fuzz_one(const uint8_t *data, size_t size)
{
	static struct pr_engine engine, again;
	static char first[TEXT_MAX], second[TEXT_MAX];
	char *text = checked_text(data, size, '\n'), reason[NEXUS_MESSAGE_MAX];
	bool ptpl_c = size % 2 == 0;

	memset(reason, 'x', sizeof(reason));
	if (!pr_engine_get_fields(text, '\n', ptpl_c, &engine, reason)) {
		FUZZ_CHECK(reason[0] != '\0' && fuzz_printable(reason, sizeof(reason)));
		free(text);
		return;
	}
	free(text);
	fuzz_deep();
	check_state(&engine, ptpl_c);
	format(&engine, first);
	FUZZ_CHECK(pr_engine_get_fields(first, '\n', ptpl_c, &again, reason));
	check_state(&again, ptpl_c);
	format(&again, second);
	FUZZ_CHECK(strcmp(first, second) == 0);
}
