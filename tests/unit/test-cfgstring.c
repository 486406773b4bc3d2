/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "cfgstring.h"

#define NAME_63 "a23456789-123456789-123456789-123456789-123456789-123456789-123"

static void defaults(void)
{
	struct cfgstring cfg;
	char reason[CFGSTRING_REASON_MAX] = "untouched";

	CHECK(cfgstring_parse("prmig//dev/disk/by-id/wwn-0x6001405", &cfg, reason));
	CHECK_STR(cfg.lun, "/dev/disk/by-id/wwn-0x6001405");
	CHECK(cfg.lun_is_path);
	CHECK(cfg.migrate_pr);
	CHECK_INT(cfg.pr, CFGSTRING_PR_AUTO);
	CHECK(!cfg.incoming);
	CHECK(cfg.filter);
	CHECK_STR(cfg.group, "");
	CHECK_INT(cfg.hold_timeout_s, 20);
	CHECK_STR(reason, "untouched");
}

static void every_option(void)
{
	struct cfgstring cfg;
	char reason[CFGSTRING_REASON_MAX] = "";

	CHECK(cfgstring_parse("array7;hold-timeout=25;group=" NAME_63 ";filter=off;incoming=on;"
			      "pr=emulate;migrate-pr=on",
			      &cfg, reason));
	CHECK_STR(cfg.lun, "array7");
	CHECK(!cfg.lun_is_path);
	CHECK(cfg.migrate_pr);
	CHECK_INT(cfg.pr, CFGSTRING_PR_EMULATE);
	CHECK(cfg.incoming);
	CHECK(!cfg.filter);
	CHECK_STR(cfg.group, NAME_63);
	CHECK_INT(cfg.hold_timeout_s, 25);
}

static void accepted(void)
{
	static const char *const texts[] = {
		"prmig//dev/sdb",
		"/dev/sdb",
		"prmig/array7",
		"array7",
		"prmig",
		"prmig/prmig",
		NAME_63,
		"/var/lib/my disk.img",
		"/dev/sdb;migrate-pr=off",
		"/dev/sdb;migrate-pr=off;incoming=off",
		"/dev/sdb;pr=auto",
		"/dev/sdb;pr=passthrough",
		"/dev/sdb;hold-timeout=1",
		"/dev/sdb;hold-timeout=09",
		"/dev/sdb;group=g.1",
		"/dev/tcmur_cmd_time_out",
		"tcmur_cmd_time_out",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct cfgstring cfg;
		char reason[CFGSTRING_REASON_MAX] = "";

		CHECK_NOTE(texts[i]);
		CHECK(cfgstring_parse(texts[i], &cfg, reason));
		CHECK_STR(reason, "");
	}
}

static void refused(void)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{"", "no LUN is named: write prmig/, then the absolute path of a disk or file, or "
		     "the name of a LUN described in /etc/prmig/<name>.conf"},
		{"prmig/",
		 "no LUN is named: write prmig/, then the absolute path of a disk or file, "
		 "or the name of a LUN described in /etc/prmig/<name>.conf"},
		{"prmig/;filter=on",
		 "no LUN is named: write prmig/, then the absolute path of a disk or file, or the "
		 "name of a LUN described in /etc/prmig/<name>.conf"},
		{"dev/sdb", "\"dev/sdb\" is a relative path: write the absolute one, as in "
			    "prmig//dev/disk/by-id/..."},
		{"prmig/dev/sdb", "\"dev/sdb\" is a relative path: write the absolute one, as in "
				  "prmig//dev/disk/by-id/..."},
		{"../array7", "\"../array7\" is a relative path: write the absolute one, as in "
			      "prmig//dev/disk/by-id/..."},
		{"..",
		 "\"..\" is no name of a LUN: a name has 1 to 63 letters, digits, '-', '_' and "
		 "'.'; a path begins with '/'"},
		{"array 7", "\"array 7\" is no name of a LUN: a name has 1 to 63 letters, digits, "
			    "'-', '_' and '.'; a path begins with '/'"},
		{NAME_63 "4",
		 "\"" NAME_63
		 "4\" is no name of a LUN: a name has 1 to 63 letters, digits, '-', '_' "
		 "and '.'; a path begins with '/'"},
		{NAME_63 "456",
		 "\"" NAME_63
		 "4...\" is no name of a LUN: a name has 1 to 63 letters, digits, '-', "
		 "'_' and '.'; a path begins with '/'"},
		{"/dev/sdb;", "there is nothing after the last ';': take that ';' away"},
		{"/dev/sdb;filter=on;", "there is nothing after the last ';': take that ';' away"},
		{"/dev/sdb;;filter=on", "there is nothing between two ';': leave one"},
		{"/dev/sdb;size=1",
		 "\"size\" is no option of prmig: the options are migrate-pr, pr, incoming, group, "
		 "filter and hold-timeout"},
		{"/dev/sdb;Filter=on", "\"Filter\" is no option of prmig: the options are "
				       "migrate-pr, pr, incoming, group, "
				       "filter and hold-timeout"},
		{"/dev/sdb; filter=on",
		 "\" filter\" is no option of prmig: the options are migrate-pr, pr, incoming, "
		 "group, filter and hold-timeout"},
		{"/dev/sdb;=on",
		 "\"\" is no option of prmig: the options are migrate-pr, pr, incoming, group, "
		 "filter and hold-timeout"},
		{"/dev/sdb;filter", "option filter has no value: write filter=, then on or off"},
		{"/dev/sdb;filter=", "option filter has no value: write filter=, then on or off"},
		{"/dev/sdb;filter=;pr=auto",
		 "option filter has no value: write filter=, then on or off"},
		{"/dev/sdb;pr",
		 "option pr has no value: write pr=, then auto, passthrough or emulate"},
		{"/dev/sdb;filter=yes", "\"yes\" is no value for filter: it takes on or off"},
		{"/dev/sdb;filter=on=off", "\"on=off\" is no value for filter: it takes on or off"},
		{"/dev/sdb;migrate-pr=ON", "\"ON\" is no value for migrate-pr: it takes on or off"},
		{"/dev/sdb;incoming=1", "\"1\" is no value for incoming: it takes on or off"},
		{"/dev/sdb;pr=on",
		 "\"on\" is no value for pr: it takes auto, passthrough or emulate"},
		{"/dev/sdb;hold-timeout=0", "\"0\" is no value for hold-timeout: it takes a whole "
					    "number of seconds from 1 to 25"},
		{"/dev/sdb;hold-timeout=26",
		 "\"26\" is no value for hold-timeout: it takes a whole "
		 "number of seconds from 1 to 25"},
		{"/dev/sdb;hold-timeout=-1",
		 "\"-1\" is no value for hold-timeout: it takes a whole "
		 "number of seconds from 1 to 25"},
		{"/dev/sdb;hold-timeout=5s",
		 "\"5s\" is no value for hold-timeout: it takes a whole "
		 "number of seconds from 1 to 25"},
		{"/dev/sdb;hold-timeout=4294967297",
		 "\"4294967297\" is no value for hold-timeout: it takes a whole number of seconds "
		 "from 1 to 25"},
		{"/dev/sdb;group=a/b", "\"a/b\" is no value for group: it takes a name of 1 to 63 "
				       "letters, digits, '-', '_' and '.'"},
		{"/dev/sdb;group=" NAME_63 "4",
		 "\"" NAME_63 "4\" is no value for group: it takes a name of 1 to 63 letters, "
		 "digits, '-', '_' and '.'"},
		{"/dev/sdb;filter=on;filter=on", "option filter is given twice: leave one"},
		{"/dev/sdb;group=a;pr=auto;group=b", "option group is given twice: leave one"},
		{"/dev/sdb;tcmur_cmd_time_out=5",
		 "tcmur_cmd_time_out cannot be used with prmig: tcmu-runner would keep a list of "
		 "commands that prmig frees under it; take it away (prmig has time limits of its "
		 "own)"},
		{"/dev/sdb;filter=on;tcmur_cmd_time_out=5;pr=auto",
		 "tcmur_cmd_time_out cannot be used with prmig: tcmu-runner would keep a list of "
		 "commands that prmig frees under it; take it away (prmig has time limits of its "
		 "own)"},
		{"/dev/sdb;tcmur_cmd_time_out",
		 "tcmur_cmd_time_out cannot be used with prmig: tcmu-runner would keep a list of "
		 "commands that prmig frees under it; take it away (prmig has time limits of its "
		 "own)"},
		{"/dev/disk/by-path/ip-192.0.2.10:3260-lun-1",
		 "':' cannot stand here, rtslib refuses it: name the disk by a /dev/disk/by-id "
		 "link "
		 "without one, or describe the LUN in /etc/prmig/<name>.conf and write its name"},
		{"/dev/sdb,filter=on",
		 "',' cannot stand here, the kernel cuts the text at it: name the disk by a "
		 "/dev/disk/by-id link without one, or describe the LUN in /etc/prmig/<name>.conf "
		 "and write its name"},
		{"/dev/sdb\n", "byte 9 is no printable ASCII character: name the LUN without it"},
		{"prmig//dev/\xc3\xa4",
		 "byte 6 is no printable ASCII character: name the LUN without it"},
		{"/dev/sdb;incoming=on;migrate-pr=off",
		 "incoming=on waits for a hand-over, which migrate-pr=off rules out: take one of "
		 "them away"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cfgstring cfg, before;
		char reason[CFGSTRING_REASON_MAX] = "";
		char *text = (char *)check_copy(cases[i].text, strlen(cases[i].text) + 1);

		CHECK_NOTE(cases[i].text);
		memset(&cfg, 0xa5, sizeof(cfg));
		memset(&before, 0xa5, sizeof(before));
		CHECK(!cfgstring_parse(text, &cfg, reason));
		CHECK_STR(reason, cases[i].reason);
		CHECK_BYTES(&cfg, &before, sizeof(cfg));
		free(text);
	}
}

/* What the kernel keeps has prmig/ in front, whether the daemon passed it or not. */
static void length(void)
{
	char text[4096], reason[CFGSTRING_REASON_MAX];
	struct cfgstring cfg;

	for (int prefix = 0; prefix < 2; prefix++) {
		size_t fits = prefix ? CFGSTRING_MAX : CFGSTRING_MAX - strlen("prmig/");

		memset(text, 'x', sizeof(text));
		memcpy(text, prefix ? "prmig//" : "/", prefix ? 7 : 1);
		text[fits] = '\0';
		CHECK(cfgstring_parse(text, &cfg, reason));
		CHECK_INT(strlen(cfg.lun), CFGSTRING_MAX - strlen("prmig/"));
		text[fits] = 'x';
		text[fits + 1] = '\0';
		CHECK(!cfgstring_parse(text, &cfg, reason));
		CHECK_STR(reason,
			  "256 bytes with prmig/, and the kernel takes 255: describe the LUN in "
			  "/etc/prmig/<name>.conf and write its name");
		text[fits + 1] = 'x';
		text[sizeof(text) - 1] = '\0';
		CHECK(!cfgstring_parse(text, &cfg, reason));
	}
}

/* Cut anywhere, it is taken or refused with a reason. */
static void short_lengths(void)
{
	static const char full[] = "prmig//dev/sdb;migrate-pr=on;pr=emulate;incoming=on;group=vm1;"
				   "filter=off;hold-timeout=12";

	for (size_t len = 0; len < sizeof(full); len++) {
		char *text = (char *)check_copy(full, len + 1);
		char reason[CFGSTRING_REASON_MAX] = "";
		struct cfgstring cfg;

		text[len] = '\0';
		if (cfgstring_parse(text, &cfg, reason))
			CHECK_STR(reason, "");
		else
			CHECK(reason[0] && strlen(reason) < CFGSTRING_REASON_MAX);
		free(text);
	}
}

static void names(void)
{
	CHECK(cfgstring_name_valid("a"));
	CHECK(cfgstring_name_valid("vm-1_A.b"));
	CHECK(cfgstring_name_valid("..."));
	CHECK(cfgstring_name_valid(NAME_63));
	CHECK(!cfgstring_name_valid(""));
	CHECK(!cfgstring_name_valid("."));
	CHECK(!cfgstring_name_valid(".."));
	CHECK(!cfgstring_name_valid(NAME_63 "4"));
	for (unsigned int byte = 1; byte < 256; byte++) {
		char name[2] = {(char)byte, '\0'};
		bool want = byte != '.' && strchr("abcdefghijklmnopqrstuvwxyz"
						  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_",
						  (int)byte);

		CHECK_INT(cfgstring_name_valid(name), want);
	}
}

int main(void)
{
	CHECK_RUN(defaults);
	CHECK_RUN(every_option);
	CHECK_RUN(accepted);
	CHECK_RUN(refused);
	CHECK_RUN(length);
	CHECK_RUN(short_lengths);
	CHECK_RUN(names);
	return check_summary();
}
