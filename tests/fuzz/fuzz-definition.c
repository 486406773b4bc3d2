/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions of iSCSI LUNs. The input: such a file; its first line is also read as a portal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "lun-iscsi-definition.h"

/* No text of the parser's own begins so. */
#define SECRET "secret-"

static void check_portal(const char *text, size_t len)
{
	char portal[LUN_ISCSI_PORTAL_MAX + 1], again[LUN_ISCSI_PORTAL_MAX + 1];

	if (!lun_iscsi_portal_parse(text, len, portal))
		return;
	FUZZ_CHECK(memchr(portal, '\0', sizeof(portal)) != NULL);
	FUZZ_CHECK(lun_iscsi_portal_parse(portal, strlen(portal), again));
	FUZZ_CHECK(strcmp(portal, again) == 0);
}

/* A secret behind "password=" in [chap] is nowhere in what is said about the file. */
static void check_secret(const char *text, const char *reason)
{
	const char *chap = strstr(text, "[chap]\n"), *line = NULL;
	char secret[64];

	if (chap != NULL)
		line = strstr(chap, "\npassword=" SECRET);
	/* Of the lines between nothing makes another section of it. */
	if (line == NULL || memchr(chap + 1, '[', (size_t)(line - chap - 1)) != NULL ||
	    (chap != text && chap[-1] != '\n'))
		return;
	snprintf(secret, sizeof(secret), "%s", line + strlen("\npassword="));
	secret[strcspn(secret, "\n")] = '\0';
	if (strchr(strstr(text, secret) + 1, secret[0]) != NULL &&
	    strstr(strstr(text, secret) + 1, secret) != NULL)
		return;
	FUZZ_CHECK(strstr(reason, secret) == NULL);
}

static bool name_good(const char *name)
{
	size_t len = strlen(name);

	return len >= 5 && len <= LUN_ISCSI_NAME_MAX && strpbrk(name, " ,\t\r\n") == NULL &&
	       fuzz_printable(name, LUN_ISCSI_NAME_MAX + 1);
}

static void check_again(const struct lun_iscsi_definition *definition)
{
	static char text[4096];
	char reason[CFGSTRING_REASON_MAX];
	struct lun_iscsi_definition again;
	uint8_t isid[LUN_ISCSI_ISID_LEN], again_isid[LUN_ISCSI_ISID_LEN];

	snprintf(text, sizeof(text),
		 "[lun]\nbackend=iscsi\nportal=%s\ntarget=%s\nlun=%u\ninitiator=%s\n",
		 definition->portal, definition->target, definition->lun, definition->initiator);
	if (definition->user[0] != '\0')
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "[chap]\nuser=%s\npassword=%s\n", definition->user, definition->password);
	FUZZ_CHECK(lun_iscsi_definition_parse(text, "again", &again, reason));
	FUZZ_CHECK(strcmp(definition->portal, again.portal) == 0);
	FUZZ_CHECK(strcmp(definition->user, again.user) == 0);
	FUZZ_CHECK(strcmp(definition->password, again.password) == 0);
	FUZZ_CHECK(lun_iscsi_definition_same_nexus(definition, &again));
	lun_iscsi_definition_isid(definition, isid);
	lun_iscsi_definition_isid(&again, again_isid);
	FUZZ_CHECK(memcmp(isid, again_isid, sizeof(isid)) == 0 && isid[0] == 0x80);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), reason[CFGSTRING_REASON_MAX];
	struct lun_iscsi_definition definition;

	check_portal(text, strcspn(text, "\n"));
	memset(&definition, 0xee, sizeof(definition));
	memset(reason, 'x', sizeof(reason));
	if (lun_iscsi_definition_parse(text, "/etc/prmig/fuzz.conf", &definition, reason)) {
		fuzz_deep();
		FUZZ_CHECK(name_good(definition.target) && name_good(definition.initiator));
		FUZZ_CHECK(definition.lun <= LUN_ISCSI_LUN_MAX);
		FUZZ_CHECK((definition.user[0] == '\0') == (definition.password[0] == '\0'));
		check_again(&definition);
	} else {
		FUZZ_CHECK(definition.lun == 0xeeee && reason[0] != '\0');
		FUZZ_CHECK(fuzz_printable(reason, sizeof(reason)));
		check_secret(text, reason);
	}
	free(text);
}
