/* SPDX-License-Identifier: Apache-2.0 */
/* The definition of an iSCSI LUN: its text, and the file that it stands in. */
#include "check.h"
#include "lun-iscsi.h"

#include <sys/stat.h>
#include <unistd.h>

#define TARGET "iqn.2003-01.com.example:array"
#define INITIATOR "iqn.2026-11.com.example:vm1"
#define LUN_LINES                                                                                  \
	"[lun]\nbackend=iscsi\nportal=192.0.2.10:3261\ntarget=" TARGET "\nlun=7\n"                 \
	"initiator=" INITIATOR "\n"
#define SECRET "hunter2hunter2"
#define CHAP_LINES "[chap]\nuser=vm1\npassword=" SECRET "\n"
#define PATH "/etc/prmig/vm1.conf"

static struct lun_iscsi_definition definition;
static char reason[LUN_REASON_MAX];

static bool parse(const char *text)
{
	memset(&definition, 0, sizeof(definition));
	reason[0] = '\0';
	return lun_iscsi_definition_parse(text, PATH, &definition, reason);
}

static void test_whole(void)
{
	CHECK(parse(LUN_LINES CHAP_LINES));
	CHECK_STR(definition.portal, "192.0.2.10:3261");
	CHECK_STR(definition.target, TARGET);
	CHECK_STR(definition.initiator, INITIATOR);
	CHECK_INT(definition.lun, 7);
	CHECK_STR(definition.user, "vm1");
	CHECK_STR(definition.password, SECRET);
	CHECK(parse(LUN_LINES));
	CHECK_STR(definition.user, "");
	CHECK_STR(definition.password, "");
	CHECK_STR(reason, "");
}

static void test_move(void)
{
	uint8_t nexus[LUN_ISCSI_ISID_LEN], marker[LUN_ISCSI_ISID_LEN], other[LUN_ISCSI_ISID_LEN];

	CHECK(parse(LUN_LINES));
	CHECK_STR(definition.move, "");
	lun_iscsi_definition_isid(&definition, nexus);
	CHECK(parse(LUN_LINES "move=iqn.2026-11.com.example:prmig\n" CHAP_LINES));
	CHECK_STR(definition.move, "iqn.2026-11.com.example:prmig");
	/* The same nexus with and without it; the marker's is another one, of that name. */
	lun_iscsi_definition_isid(&definition, other);
	CHECK(memcmp(nexus, other, sizeof(nexus)) == 0);
	lun_iscsi_definition_marker_isid(&definition, marker);
	CHECK(memcmp(nexus, marker, sizeof(nexus)) != 0);
	CHECK_INT(marker[0], 0x80);
	definition.move[0] = 'e';
	lun_iscsi_definition_marker_isid(&definition, other);
	CHECK(memcmp(other, marker, sizeof(other)) != 0);
	CHECK(!parse(LUN_LINES "move=" INITIATOR "\n"));
	CHECK_CONTAINS(reason, "move= and initiator= are the same name");
}

/* The one to copy. */
static void test_example(void)
{
	const char *tree = getenv("PRMIG_SOURCE_DIR");
	char path[512], text[4096];
	size_t len = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/tcmu-config/examples/lun-iscsi.conf", tree ? tree : ".");
	file = fopen(path, "re");
	if (!CHECK(file))
		return;
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	fclose(file);
	CHECK(parse(text));
	CHECK_STR(definition.portal, "192.0.2.10:3260");
	CHECK_INT(definition.lun, 7);
	CHECK_STR(definition.user, "vm1");
}

static void test_layout(void)
{
	CHECK(parse("# a comment\r\n\n  [lun]  \r\n backend = iscsi \r\n"
		    "portal\t=\t192.0.2.10\r\n; another\r\ntarget=" TARGET "\r\nlun=0\r\n"
		    "initiator=" INITIATOR "\r\n[chap]\nuser=a b\npassword= p=;#w \n"));
	CHECK_STR(definition.portal, "192.0.2.10:3260");
	CHECK_STR(definition.user, "a b");
	CHECK_STR(definition.password, "p=;#w");
	/* Sections in any order, no newline at the end. */
	CHECK(parse(CHAP_LINES "[lun]\nbackend=iscsi\nportal=192.0.2.10\ntarget=" TARGET
			       "\nlun=16383\ninitiator=" INITIATOR));
	CHECK_INT(definition.lun, 16383);
}

/* Each text is wrong, and the reason has these words. */
static void test_wrong(void)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{"", PATH " has no backend in [lun]: write backend=, then iscsi"},
		{"[lun]\nbackend=iscsi\nportal=192.0.2.10\ntarget=" TARGET "\nlun=7\n",
		 "has no initiator in [lun]: write initiator=, then the name that this nexus"},
		{"[lun]\nbackend=iscsi\ntarget=" TARGET "\nlun=7\ninitiator=" INITIATOR "\n",
		 "has no portal in [lun]: write portal=, then an IP address"},
		{"[lun]\nbackend=iscsi\nportal=192.0.2.10\nlun=7\ninitiator=" INITIATOR "\n",
		 "has no target in [lun]"},
		{"[lun]\nbackend=iscsi\nportal=192.0.2.10\ntarget=" TARGET "\ninitiator=" INITIATOR
		 "\n",
		 "has no lun in [lun]"},
		{LUN_LINES "[chap]\nuser=vm1\n", "has no password in [chap]"},
		{LUN_LINES "[chap]\npassword=" SECRET "\n", "has no user in [chap]"},
		{"backend=iscsi\n", PATH ", line 1: a key before any section: write [lun] above"},
		{"[lun]\n\nbackend=fc\n", "line 3: \"fc\" is no value for backend: it takes iscsi"},
		{"[lun]\ncolour=red\n", "line 2: \"colour\" is no key of [lun]: the keys are "
					"backend, portal, target, lun, "
					"initiator and move"},
		{LUN_LINES "move=yes\n",
		 "line 7: \"yes\" is no value for move: it takes an initiator name"},
		{"[lun]\nlun\n", "lun has no value: write lun=, then the number of the LUN"},
		{"[lun]\nlun=\n", "\"\" is no value for lun"},
		{"[lun]\nlun=16384\n", "\"16384\" is no value for lun: it takes the number"},
		{"[lun]\nlun=0x7\n", "is no value for lun"},
		{"[lun]\nlun=99999999\n", "is no value for lun"},
		{"[lun]\nlun=7\nlun=7\n", "line 3: lun is given twice: leave one"},
		{"[lun]\ntarget=array\n", "\"array\" is no value for target"},
		{"[lun]\ninitiator=iqn.2026 x\n", "is no value for initiator"},
		{"[prmig]\n", "line 1: there is no section [prmig]; there are [lun] and [chap]"},
		{"[lun\n", "there is no section [lun; there are"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(!parse(cases[i].text));
		CHECK_CONTAINS(reason, cases[i].reason);
		CHECK_STR(definition.portal, "");
	}
}

static bool portal(const char *text)
{
	char lines[512];

	snprintf(lines, sizeof(lines),
		 "[lun]\nbackend=iscsi\nportal=%s\ntarget=" TARGET "\nlun=7\ninitiator=" INITIATOR
		 "\n",
		 text);
	return parse(lines);
}

static void test_portals(void)
{
	static const struct {
		const char *text, *portal;
	} good[] = {
		{"0.0.0.0:1", "0.0.0.0:1"},
		{"255.255.255.255:65535", "255.255.255.255:65535"},
		{"[::1]", "[::1]:3260"},
		{"[::]:3260", "[::]:3260"},
		{"[2001:db8::10]:3261", "[2001:db8::10]:3261"},
		{"[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]:3260"},
		{"[fe80::a%eth0]:3260", "[fe80::a%eth0]:3260"},
		{"[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7::]:3260"},
	};
	static const char *const bad[] = {
		"",
		"array.example.com",
		"192.0.2",
		"192.0.2.10.1",
		"192.0.2.256",
		"192.0.2.",
		"192..2.1",
		"192.0.2.10:",
		"192.0.2.10:0",
		"192.0.2.10:65536",
		"192.0.2.10:3260,1",
		"2001:db8::10",
		"[2001:db8::10",
		"[2001:db8::10]3260",
		"[2001:db8::10]:",
		"[]",
		"[:]",
		"[:::]",
		"[1::2::3]",
		"[1:2:3:4:5:6:7]",
		"[1:2:3:4:5:6:7:8:9]",
		"[1:2:3:4:5:6:7:8::]",
		"[12345::]",
		"[1:]",
		"[:1]",
		"[g::]",
		"[fe80::a%]",
		"[192.0.2.10]",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK(portal(good[i].text));
		CHECK_STR(definition.portal, good[i].portal);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!CHECK(!portal(bad[i])))
			printf("%s\n", bad[i]);
		CHECK_CONTAINS(reason, "is no value for portal: it takes an IP address");
	}
}

/* What [chap] holds stands in no text, whatever is wrong with it. */
static void test_secrets(void)
{
	static const char *const texts[] = {
		LUN_LINES CHAP_LINES "password=" SECRET "\n",
		LUN_LINES "[chap]\nuser=vm1\npassword:" SECRET "\n",
		LUN_LINES "[chap]\nuser=vm1\n" SECRET "=1\n",
		LUN_LINES "[chap]\nuser=vm1\n" SECRET "\n",
		LUN_LINES "[chap]\nuser=vm1\npasword=" SECRET "\n",
		LUN_LINES "[chap]\npassword=" SECRET "\n",
		CHAP_LINES,
	};
	char lines[1024];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CHECK(!parse(texts[i]));
		CHECK_CONTAINS(reason, PATH);
		CHECK(!strstr(reason, SECRET));
	}
	snprintf(lines, sizeof(lines), LUN_LINES "[chap]\nuser=vm1\npassword=%0300d\n", 0);
	CHECK(!parse(lines));
	CHECK_CONTAINS(reason, "password takes 1 to 255 bytes");
	CHECK(!strstr(reason, "000"));
}

static void test_long(void)
{
	char lines[1024];

	snprintf(lines, sizeof(lines),
		 "[lun]\nbackend=iscsi\nportal=192.0.2.10\ntarget=iqn.%0219d\nlun=7\n"
		 "initiator=iqn.%0219d\n",
		 0, 1);
	CHECK(parse(lines));
	CHECK_INT(strlen(definition.target), LUN_ISCSI_NAME_MAX);
	snprintf(lines, sizeof(lines), "[lun]\ntarget=iqn.%0220d\n", 0);
	CHECK(!parse(lines));
}

static void test_isid(void)
{
	/* Registrations are of this nexus: it stays what it is. */
	static const uint8_t golden[LUN_ISCSI_ISID_LEN] = {0x80, 0x6d, 0x6e, 0x4f, 0x55, 0x3f};
	uint8_t isid[LUN_ISCSI_ISID_LEN], other[LUN_ISCSI_ISID_LEN];
	struct lun_iscsi_definition changed;

	CHECK(parse(LUN_LINES CHAP_LINES));
	lun_iscsi_definition_isid(&definition, isid);
	CHECK_BYTES(isid, golden, sizeof(isid));
	changed = definition;
	snprintf(changed.portal, sizeof(changed.portal), "[::1]:3260");
	changed.user[0] = changed.password[0] = '\0';
	lun_iscsi_definition_isid(&changed, other);
	CHECK_BYTES(other, isid, sizeof(isid));
	CHECK(lun_iscsi_definition_same_nexus(&definition, &changed));
	changed.lun++;
	lun_iscsi_definition_isid(&changed, other);
	CHECK(memcmp(other, isid, sizeof(isid)) != 0);
	CHECK(!lun_iscsi_definition_same_nexus(&definition, &changed));
	changed = definition;
	changed.initiator[strlen(changed.initiator) - 1] = '2';
	lun_iscsi_definition_isid(&changed, other);
	CHECK(memcmp(other, isid, sizeof(isid)) != 0);
	CHECK(!lun_iscsi_definition_same_nexus(&definition, &changed));
}

/* ---- the file ---- */

static char root[64];

static void write_file(const char *name, const void *text, size_t len, mode_t mode)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/etc/prmig/%s.conf", root, name);
	file = fopen(path, "we");
	if (!CHECK(file))
		return;
	fwrite(text, 1, len, file);
	fclose(file);
	CHECK(chmod(path, mode) == 0);
}

static bool read_file(const char *text, mode_t mode)
{
	write_file("vm1", text, strlen(text), mode);
	reason[0] = '\0';
	memset(&definition, 0, sizeof(definition));
	return lun_iscsi_read_definition("vm1", &definition, reason);
}

static void test_modes(void)
{
	CHECK(read_file(LUN_LINES CHAP_LINES, 0600));
	CHECK_STR(definition.password, SECRET);
	CHECK(read_file(LUN_LINES CHAP_LINES, 0400));
	CHECK(read_file(LUN_LINES, 0644));
	CHECK(!read_file(LUN_LINES CHAP_LINES, 0640));
	CHECK_CONTAINS(reason, PATH " has a CHAP password");
	CHECK_CONTAINS(reason, "(mode 0640): chmod 600 it");
	CHECK(!strstr(reason, SECRET));
	CHECK_STR(definition.password, "");
	CHECK(!read_file(LUN_LINES CHAP_LINES, 0604));
	CHECK_CONTAINS(reason, "(mode 0604)");
	CHECK(!read_file(LUN_LINES, 0622));
	CHECK_CONTAINS(reason, "can be changed by others than its owner (mode 0622)");
}

static void test_files(void)
{
	static char big[20000];
	char path[128];

	CHECK(!lun_iscsi_read_definition("none", &definition, reason));
	CHECK_CONTAINS(reason, "/etc/prmig/none.conf is not there");
	snprintf(path, sizeof(path), "%s/etc/prmig/dir.conf", root);
	CHECK(mkdir(path, 0700) == 0);
	CHECK(!lun_iscsi_read_definition("dir", &definition, reason));
	CHECK_CONTAINS(reason, "/etc/prmig/dir.conf is no regular file");
	memset(big, '\n', sizeof(big));
	write_file("vm1", big, sizeof(big), 0600);
	CHECK(!lun_iscsi_read_definition("vm1", &definition, reason));
	CHECK_CONTAINS(reason, "16384 bytes");
	write_file("vm1", "[lun]\0x", 7, 0600);
	CHECK(!lun_iscsi_read_definition("vm1", &definition, reason));
	CHECK_CONTAINS(reason, "NUL");
}

/* ---- what may be sent once more ---- */

static void test_repeatable(void)
{
	static const uint8_t yes[] = {0x08, 0x28, 0xa8, 0x88, 0x12, 0x25, 0xa0, 0x5e, 0x1a, 0x5a};
	static const uint8_t no[] = {0x0a, 0x2a, 0xaa, 0x8a, 0x5f, 0x03, 0x35, 0x91, 0x89, 0x41,
				     0x93, 0x42, 0x16, 0x17, 0x00, 0x55, 0x1b, 0x04, 0x2e, 0x56};
	uint8_t cdb[16] = {0};

	for (size_t i = 0; i < sizeof(yes); i++) {
		cdb[0] = yes[i];
		CHECK(lun_iscsi_repeatable(cdb));
	}
	for (size_t i = 0; i < sizeof(no); i++) {
		cdb[0] = no[i];
		CHECK(!lun_iscsi_repeatable(cdb));
	}
	cdb[0] = 0x9e;
	CHECK(!lun_iscsi_repeatable(cdb));
	cdb[1] = 0x10; /* READ CAPACITY (16) */
	CHECK(lun_iscsi_repeatable(cdb));
}

int main(void)
{
	char command[128];

	snprintf(root, sizeof(root), "/tmp/prmig-definition-XXXXXX");
	if (!mkdtemp(root))
		return 1;
	setenv("PRMIG_ROOT", root, 1);
	snprintf(command, sizeof(command), "mkdir -p %s/etc/prmig", root);
	CHECK(system(command) == 0);
	CHECK_RUN(test_whole);
	CHECK_RUN(test_move);
	CHECK_RUN(test_example);
	CHECK_RUN(test_layout);
	CHECK_RUN(test_wrong);
	CHECK_RUN(test_portals);
	CHECK_RUN(test_secrets);
	CHECK_RUN(test_long);
	CHECK_RUN(test_isid);
	CHECK_RUN(test_modes);
	CHECK_RUN(test_files);
	CHECK_RUN(test_repeatable);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	CHECK(system(command) == 0);
	return check_summary();
}
