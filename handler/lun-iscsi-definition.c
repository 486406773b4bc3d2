/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-iscsi-definition.h"

#include <stdio.h>
#include <string.h>

#define QUOTED_MAX 60

enum section { SECTION_NONE, SECTION_LUN, SECTION_CHAP };

struct parser {
	struct lun_iscsi_definition definition;
	const char *path;
	char *reason;
	unsigned int line;
	enum section section;
	unsigned int seen; /* bit per key */
};

/* A piece of the text. */
struct word {
	const char *start;
	size_t len;
};

/* What arrived, to be shown. */
struct quoted {
	char text[QUOTED_MAX + 4];
};

static struct quoted quote(struct word word)
{
	struct quoted quoted = {""};
	size_t len = word.len < QUOTED_MAX ? word.len : QUOTED_MAX;

	for (size_t i = 0; i < len; i++)
		quoted.text[i] = word.start[i] >= ' ' && word.start[i] <= '~' ? word.start[i] : '?';
	if (word.len > QUOTED_MAX)
		memcpy(quoted.text + len, "...", 3);
	return quoted;
}

#define refuse_line(parser, format, ...)                                                           \
	(snprintf((parser)->reason, CFGSTRING_REASON_MAX, "%s, line %u: " format, (parser)->path,  \
		  (parser)->line, __VA_ARGS__),                                                    \
	 false)

static bool word_is(struct word word, const char *text)
{
	return word.len == strlen(text) && !memcmp(word.start, text, word.len);
}

static struct word strip(struct word word)
{
	while (word.len > 0 && (word.start[0] == ' ' || word.start[0] == '\t')) {
		word.start++;
		word.len--;
	}
	while (word.len > 0 && memchr(" \t\r", word.start[word.len - 1], 3) != NULL)
		word.len--;
	return word;
}

/* ---- values ---- */

static bool take_portal(struct lun_iscsi_definition *definition, struct word value)
{
	return lun_iscsi_portal_parse(value.start, value.len, definition->portal);
}

static bool take_backend(struct lun_iscsi_definition *definition, struct word value)
{
	(void)definition;
	return word_is(value, "iscsi");
}

/* RFC 7143, 4.2.7: three kinds; what a target compares is bytes. */
static bool take_name(char *ret, struct word value)
{
	if (value.len > LUN_ISCSI_NAME_MAX || value.len < 5 ||
	    (memcmp(value.start, "iqn.", 4) != 0 && memcmp(value.start, "eui.", 4) != 0 &&
	     memcmp(value.start, "naa.", 4) != 0))
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (value.start[i] <= ' ' || value.start[i] > '~' || value.start[i] == ',')
			return false;
	memcpy(ret, value.start, value.len);
	ret[value.len] = '\0';
	return true;
}

static bool take_target(struct lun_iscsi_definition *definition, struct word value)
{
	return take_name(definition->target, value);
}

static bool take_initiator(struct lun_iscsi_definition *definition, struct word value)
{
	return take_name(definition->initiator, value);
}

static bool take_lun(struct lun_iscsi_definition *definition, struct word value)
{
	unsigned int number;

	if (!lun_iscsi_decimal_parse(value.start, value.len, LUN_ISCSI_LUN_MAX, &number))
		return false;
	definition->lun = (uint16_t)number;
	return true;
}

static bool take_move(struct lun_iscsi_definition *definition, struct word value)
{
	return take_name(definition->move, value);
}

static bool take_chap(char *ret, struct word value)
{
	if (value.len == 0 || value.len > LUN_ISCSI_CHAP_MAX)
		return false;
	memcpy(ret, value.start, value.len);
	ret[value.len] = '\0';
	return true;
}

static bool take_user(struct lun_iscsi_definition *definition, struct word value)
{
	return take_chap(definition->user, value);
}

static bool take_password(struct lun_iscsi_definition *definition, struct word value)
{
	return take_chap(definition->password, value);
}

static const struct key {
	enum section section;
	const char *name;
	const char *values; /* for the administrator */
	bool (*take)(struct lun_iscsi_definition *definition, struct word value);
} keys[] = {
	{SECTION_LUN, "backend", "iscsi", take_backend},
	{SECTION_LUN, "portal",
	 "an IP address, such as 192.0.2.10:3260 or [2001:db8::10]:3260 (no host name)",
	 take_portal},
	{SECTION_LUN, "target", "the target's name, such as iqn.2003-01.com.example:array",
	 take_target},
	{SECTION_LUN, "lun", "the number of the LUN at the target, 0 to 16383", take_lun},
	{SECTION_LUN, "initiator",
	 "the name that this nexus logs in with, such as iqn.2026-11.com.example:vm1",
	 take_initiator},
	{SECTION_CHAP, "user", "1 to 255 bytes", take_user},
	{SECTION_CHAP, "password", "1 to 255 bytes", take_password},
	{SECTION_LUN, "move",
	 "an initiator name of prmig's own, other than initiator=, by which hosts with this same "
	 "definition tell each other who has the nexus",
	 take_move},
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))
#define KEY_USER 5
#define KEY_PASSWORD 6
#define KEY_MOVE 7

/* ---- lines ---- */

static bool parse_section(struct parser *parser, struct word line)
{
	if (word_is(line, "[lun]"))
		parser->section = SECTION_LUN;
	else if (word_is(line, "[chap]"))
		parser->section = SECTION_CHAP;
	else
		return refuse_line(parser, "there is no section %s; there are [lun] and [chap]",
				   quote(line).text);
	return true;
}

/* What the administrator took for a key may be a part of the password. */
static bool refuse_key(struct parser *parser, struct word name)
{
	if (parser->section == SECTION_CHAP)
		return refuse_line(parser, "[chap] takes %s, and this line is neither",
				   "user=... and password=...");
	return refuse_line(parser,
			   "\"%s\" is no key of [lun]: the keys are backend, portal, target, lun, "
			   "initiator and move",
			   quote(name).text);
}

static bool parse_key(struct parser *parser, struct word line)
{
	const char *equals = memchr(line.start, '=', line.len);
	struct word name = line, value = {"", 0};

	if (parser->section == SECTION_NONE)
		return refuse_line(parser, "a key before any section: write %s above it", "[lun]");
	if (equals != NULL) {
		name = strip((struct word){line.start, (size_t)(equals - line.start)});
		value = strip(
			(struct word){equals + 1, line.len - (size_t)(equals + 1 - line.start)});
	}
	for (size_t i = 0; i < KEYS; i++) {
		const struct key *key = &keys[i];

		if (key->section != parser->section || !word_is(name, key->name))
			continue;
		if (equals == NULL)
			return refuse_line(parser, "%s has no value: write %s=, then %s", key->name,
					   key->name, key->values);
		if (parser->seen & 1u << i)
			return refuse_line(parser, "%s is given twice: leave one", key->name);
		parser->seen |= 1u << i;
		if (key->take(&parser->definition, value))
			return true;
		if (key->section == SECTION_CHAP)
			return refuse_line(parser, "%s takes %s", key->name, key->values);
		return refuse_line(parser, "\"%s\" is no value for %s: it takes %s",
				   quote(value).text, key->name, key->values);
	}
	return refuse_key(parser, name);
}

static bool parse_lines(struct parser *parser, const char *text)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");
		struct word line = strip((struct word){text, len});
		bool good = true;

		parser->line++;
		if (line.len > 0 && line.start[0] == '[')
			good = parse_section(parser, line);
		else if (line.len > 0 && line.start[0] != '#' && line.start[0] != ';')
			good = parse_key(parser, line);
		if (!good)
			return false;
		text += len + (text[len] == '\n');
	}
	return true;
}

static bool complete(const struct parser *parser)
{
	const struct lun_iscsi_definition *definition = &parser->definition;
	bool user = parser->seen & 1u << KEY_USER, password = parser->seen & 1u << KEY_PASSWORD;

	for (size_t i = 0; i < KEYS; i++) {
		bool optional =
			i == KEY_MOVE || (keys[i].section == SECTION_CHAP && user == password);

		if (optional || parser->seen & 1u << i)
			continue;
		snprintf(parser->reason, CFGSTRING_REASON_MAX,
			 "%s has no %s in %s: write %s=, then %s", parser->path, keys[i].name,
			 keys[i].section == SECTION_CHAP ? "[chap]" : "[lun]", keys[i].name,
			 keys[i].values);
		return false;
	}
	if (strcmp(definition->move, definition->initiator) != 0)
		return true;
	snprintf(parser->reason, CFGSTRING_REASON_MAX,
		 "%s: move= and initiator= are the same name: what prmig registers by the one must "
		 "not be "
		 "the guest's; give move= a name of its own",
		 parser->path);
	return false;
}

bool lun_iscsi_definition_parse(const char *text, const char *path,
				struct lun_iscsi_definition *ret_definition, char *reason)
{
	struct parser parser = {.path = path, .reason = reason};
	bool good = parse_lines(&parser, text) && complete(&parser);

	if (good)
		*ret_definition = parser.definition;
	/* Whoever asked looks after the password from here; a copy on the stack nobody would. */
	for (volatile char *at = parser.definition.password;
	     at < parser.definition.password + sizeof(parser.definition.password); at++)
		*at = '\0';
	return good;
}

/* ---- identity ---- */

/* FNV-1a, the terminating NUL included. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	while (*text++ != '\0');
	return hash;
}

static void make_isid(const struct lun_iscsi_definition *definition, const char *what,
		      uint8_t ret_isid[LUN_ISCSI_ISID_LEN])
{
	uint64_t hash = 0xcbf29ce484222325;
	char lun[8];

	snprintf(lun, sizeof(lun), "%u", (unsigned int)definition->lun);
	hash = hash_text(hash, definition->initiator);
	hash = hash_text(hash, definition->target);
	hash = hash_text(hash, lun);
	if (what[0] != '\0')
		hash = hash_text(hash, what);
	hash ^= hash >> 40;
	ret_isid[0] = 0x80; /* RFC 7143, 11.12.5: T = 10b, random */
	for (unsigned int i = 1; i < LUN_ISCSI_ISID_LEN; i++)
		ret_isid[i] = (uint8_t)(hash >> (8 * (LUN_ISCSI_ISID_LEN - 1 - i)));
}

void lun_iscsi_definition_isid(const struct lun_iscsi_definition *definition,
			       uint8_t ret_isid[LUN_ISCSI_ISID_LEN])
{
	make_isid(definition, "", ret_isid);
}

void lun_iscsi_definition_marker_isid(const struct lun_iscsi_definition *definition,
				      uint8_t ret_isid[LUN_ISCSI_ISID_LEN])
{
	make_isid(definition, definition->move, ret_isid);
}

bool lun_iscsi_definition_same_nexus(const struct lun_iscsi_definition *a,
				     const struct lun_iscsi_definition *b)
{
	return strcmp(a->initiator, b->initiator) == 0 && strcmp(a->target, b->target) == 0 &&
	       a->lun == b->lun;
}
