/* SPDX-License-Identifier: Apache-2.0 */
/* cfgstrings. The input: one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cfgstring.h"
#include "fuzz.h"

static void check_again(const struct cfgstring *cfg)
{
	static const char *const prs[] = {"auto", "passthrough", "emulate"};
	char text[2 * CFGSTRING_MAX], reason[CFGSTRING_REASON_MAX];
	struct cfgstring again;

	/* What is not the default, so that it is no longer than what was read. */
	snprintf(text, sizeof(text), "prmig/%s%s%s%s%s%s%s%s", cfg->lun,
		 cfg->migrate_pr ? "" : ";migrate-pr=off",
		 cfg->pr != CFGSTRING_PR_AUTO ? ";pr=" : "",
		 cfg->pr != CFGSTRING_PR_AUTO ? prs[cfg->pr] : "",
		 cfg->incoming ? ";incoming=on" : "", cfg->filter ? "" : ";filter=off",
		 cfg->group[0] != '\0' ? ";group=" : "", cfg->group);
	if (cfg->hold_timeout_s != 20)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ";hold-timeout=%u",
			 cfg->hold_timeout_s);
	FUZZ_CHECK(cfgstring_parse(text, &again, reason));
	FUZZ_CHECK(strcmp(again.lun, cfg->lun) == 0 && again.lun_is_path == cfg->lun_is_path &&
		   again.migrate_pr == cfg->migrate_pr && again.pr == cfg->pr &&
		   again.incoming == cfg->incoming && again.filter == cfg->filter &&
		   strcmp(again.group, cfg->group) == 0 &&
		   again.hold_timeout_s == cfg->hold_timeout_s);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), reason[CFGSTRING_REASON_MAX];
	struct cfgstring cfg;

	memset(&cfg, 0xee, sizeof(cfg));
	memset(reason, 'x', sizeof(reason));
	if (cfgstring_parse(text, &cfg, reason)) {
		fuzz_deep();
		FUZZ_CHECK(strlen(text) <= CFGSTRING_MAX && cfg.lun[0] != '\0');
		FUZZ_CHECK(cfg.lun_is_path == (cfg.lun[0] == '/'));
		FUZZ_CHECK(cfg.lun_is_path || cfgstring_name_valid(cfg.lun));
		FUZZ_CHECK(cfg.group[0] == '\0' || cfgstring_name_valid(cfg.group));
		FUZZ_CHECK(cfg.hold_timeout_s >= 1 && cfg.hold_timeout_s <= 25);
		FUZZ_CHECK(!cfg.incoming || cfg.migrate_pr);
		check_again(&cfg);
	} else {
		FUZZ_CHECK((unsigned char)cfg.lun[0] == 0xee && reason[0] != '\0');
		FUZZ_CHECK(fuzz_printable(reason, sizeof(reason)));
	}
	free(text);
}
