/* SPDX-License-Identifier: Apache-2.0 */
#include "cfgstring.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "prmig/"
#define HOLD_TIMEOUT_DEFAULT_S 20
#define HOLD_TIMEOUT_MAX_S 25
#define QUOTED_MAX 64

/* A piece of the text. */
struct word {
	const char *start;
	size_t len;
};

struct parser {
	struct cfgstring cfg;
	uint32_t seen; /* bit per option */
	char *reason;
};

/* What arrived, to be shown: D-Bus carries UTF-8 only and logs want no control characters. */
struct quoted {
	char text[QUOTED_MAX + 4];
};

static struct quoted quote(struct word word)
{
	struct quoted quoted = {""};
	size_t len = word.len < QUOTED_MAX ? word.len : QUOTED_MAX;

	for (size_t i = 0; i < len; i++) {
		char c = word.start[i];

		quoted.text[i] = c >= ' ' && c <= '~' ? c : '?';
	}
	if (word.len > QUOTED_MAX)
		memcpy(quoted.text + len, "...", 3);
	return quoted;
}

#define refuse(parser, ...) (snprintf((parser)->reason, CFGSTRING_REASON_MAX, __VA_ARGS__), false)

static bool word_is(struct word word, const char *text)
{
	return word.len == strlen(text) && !memcmp(word.start, text, word.len);
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

static bool name_valid(struct word word)
{
	if (word.len == 0 || word.len > CFGSTRING_NAME_MAX || word_is(word, ".") ||
	    word_is(word, ".."))
		return false;
	for (size_t i = 0; i < word.len; i++)
		if (!name_char(word.start[i]))
			return false;
	return true;
}

bool cfgstring_name_valid(const char *name)
{
	return name_valid((struct word){name, strlen(name)});
}

/* ---- options ---- */

static bool take_on_off(struct word value, bool *ret)
{
	if (word_is(value, "on"))
		*ret = true;
	else if (word_is(value, "off"))
		*ret = false;
	else
		return false;
	return true;
}

static bool take_migrate_pr(struct cfgstring *cfg, struct word value)
{
	return take_on_off(value, &cfg->migrate_pr);
}

static bool take_incoming(struct cfgstring *cfg, struct word value)
{
	return take_on_off(value, &cfg->incoming);
}

static bool take_filter(struct cfgstring *cfg, struct word value)
{
	return take_on_off(value, &cfg->filter);
}

static bool take_pr(struct cfgstring *cfg, struct word value)
{
	if (word_is(value, "auto"))
		cfg->pr = CFGSTRING_PR_AUTO;
	else if (word_is(value, "passthrough"))
		cfg->pr = CFGSTRING_PR_PASSTHROUGH;
	else if (word_is(value, "emulate"))
		cfg->pr = CFGSTRING_PR_EMULATE;
	else
		return false;
	return true;
}

static bool take_group(struct cfgstring *cfg, struct word value)
{
	if (!name_valid(value))
		return false;
	memcpy(cfg->group, value.start, value.len);
	cfg->group[value.len] = '\0';
	return true;
}

static bool take_hold_timeout(struct cfgstring *cfg, struct word value)
{
	unsigned int seconds = 0;

	if (value.len > 2)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (value.start[i] < '0' || value.start[i] > '9')
			return false;
		seconds = seconds * 10 + (unsigned int)(value.start[i] - '0');
	}
	if (seconds < 1 || seconds > HOLD_TIMEOUT_MAX_S)
		return false;
	cfg->hold_timeout_s = seconds;
	return true;
}

static const struct option {
	const char *name;
	const char *values; /* for the administrator */
	bool (*take)(struct cfgstring *cfg, struct word value);
} options[] = {
	{"migrate-pr", "on or off", take_migrate_pr},
	{"pr", "auto, passthrough or emulate", take_pr},
	{"incoming", "on or off", take_incoming},
	{"group", "a name of 1 to 63 letters, digits, '-', '_' and '.'", take_group},
	{"filter", "on or off", take_filter},
	{"hold-timeout", "a whole number of seconds from 1 to 25", take_hold_timeout},
};

static bool parse_option(struct parser *parser, struct word text)
{
	const char *equals = memchr(text.start, '=', text.len);
	struct word name = text;
	struct word value = {"", 0};

	if (equals) {
		name.len = (size_t)(equals - text.start);
		value = (struct word){equals + 1, text.len - name.len - 1};
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct option *option = &options[i];

		if (!word_is(name, option->name))
			continue;
		if (value.len == 0)
			return refuse(parser, "option %s has no value: write %s=, then %s",
				      option->name, option->name, option->values);
		if (parser->seen & 1u << i)
			return refuse(parser, "option %s is given twice: leave one", option->name);
		parser->seen |= 1u << i;
		if (!option->take(&parser->cfg, value))
			return refuse(parser, "\"%s\" is no value for %s: it takes %s",
				      quote(value).text, option->name, option->values);
		return true;
	}
	return refuse(parser,
		      "\"%s\" is no option of prmig: the options are migrate-pr, pr, incoming, "
		      "group, filter and hold-timeout",
		      quote(name).text);
}

static bool parse_options(struct parser *parser, const char *text)
{
	for (;;) {
		size_t len = strcspn(text, ";");

		if (len == 0)
			return refuse(parser,
				      text[0] ? "there is nothing between two ';': leave one"
					      : "there is nothing after the last ';': "
						"take that ';' away");
		if (!parse_option(parser, (struct word){text, len}))
			return false;
		if (!text[len])
			return true;
		text += len + 1;
	}
}

/* ---- the LUN ---- */

static bool parse_lun(struct parser *parser, struct word word)
{
	struct cfgstring *cfg = &parser->cfg;

	if (word.len == 0)
		return refuse(parser,
			      "no LUN is named: write prmig/, then the absolute path of a disk or "
			      "file, or the name of a LUN described in /etc/prmig/<name>.conf");
	cfg->lun_is_path = word.start[0] == '/';
	if (!cfg->lun_is_path && memchr(word.start, '/', word.len))
		return refuse(parser,
			      "\"%s\" is a relative path: write the absolute one, as in "
			      "prmig//dev/disk/by-id/...",
			      quote(word).text);
	if (!cfg->lun_is_path && !name_valid(word))
		return refuse(
			parser,
			"\"%s\" is no name of a LUN: a name has 1 to 63 letters, digits, '-', "
			"'_' and '.'; a path begins with '/'",
			quote(word).text);
	memcpy(cfg->lun, word.start, word.len);
	cfg->lun[word.len] = '\0';
	return true;
}

/* ---- the whole ---- */

/* Whether an option of this name stands anywhere in the text. */
static bool has_option(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strchr(text, ';'); at; at = strchr(at + 1, ';'))
		if (!strncmp(at + 1, name, len) && (!at[1 + len] || strchr("=;", at[1 + len])))
			return true;
	return false;
}

static bool check_bytes(struct parser *parser, const char *text)
{
	static const char instead[] =
		"name the disk by a /dev/disk/by-id link without one, or describe the LUN in "
		"/etc/prmig/<name>.conf and write its name";

	if (strchr(text, ','))
		return refuse(parser, "',' cannot stand here, the kernel cuts the text at it: %s",
			      instead);
	if (strchr(text, ':'))
		return refuse(parser, "':' cannot stand here, rtslib refuses it: %s", instead);
	for (const char *at = text; *at; at++)
		if (*at < ' ' || *at > '~')
			return refuse(
				parser,
				"byte %zu is no printable ASCII character: name the LUN without "
				"it",
				(size_t)(at - text) + 1);
	return true;
}

bool cfgstring_parse(const char *text, struct cfgstring *ret_cfg, char *reason)
{
	struct parser parser = {
		.cfg = {.migrate_pr = true,
			.pr = CFGSTRING_PR_AUTO,
			.filter = true,
			.hold_timeout_s = HOLD_TIMEOUT_DEFAULT_S},
		.reason = reason,
	};
	size_t prefix_len = strlen(PREFIX);
	size_t lun_len;

	if (!strncmp(text, PREFIX, prefix_len))
		text += prefix_len;
	if (prefix_len + strlen(text) > CFGSTRING_MAX)
		return refuse(&parser,
			      "%zu bytes with " PREFIX
			      ", and the kernel takes %d: describe the LUN "
			      "in /etc/prmig/<name>.conf and write its name",
			      prefix_len + strlen(text), CFGSTRING_MAX);
	/* tcmu-runner acts on it before the handler can; its cutting also takes the next ';'. */
	if (has_option(text, "tcmur_cmd_time_out"))
		return refuse(
			&parser,
			"tcmur_cmd_time_out cannot be used with prmig: tcmu-runner would keep a "
			"list of commands that prmig frees under it; take it away (prmig has "
			"time limits of its own)");
	if (!check_bytes(&parser, text))
		return false;

	lun_len = strcspn(text, ";");
	if (!parse_lun(&parser, (struct word){text, lun_len}))
		return false;
	if (text[lun_len] && !parse_options(&parser, text + lun_len + 1))
		return false;
	if (parser.cfg.incoming && !parser.cfg.migrate_pr)
		return refuse(&parser,
			      "incoming=on waits for a hand-over, which migrate-pr=off rules out: "
			      "take one of them away");
	*ret_cfg = parser.cfg;
	return true;
}
