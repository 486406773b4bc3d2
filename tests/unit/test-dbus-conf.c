/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/prmig/prmig.conf: what counts, and what is said of the rest. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "dbus-conf.h"
#include "log.h"

#define FILE_NAME "/etc/prmig/prmig.conf"
#define BUS "unix:path=/run/vm1/bus"

static char root[] = "/tmp/prmig-conf-XXXXXX";
static char logged[8192];

static void append(const char *format, va_list args)
{
	size_t len = strlen(logged);

	vsnprintf(logged + len, sizeof(logged) - len, format, args);
	len = strlen(logged);
	snprintf(logged + len, sizeof(logged) - len, "\n");
}

/* In place of the fakes of tests/fake. */
void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(format, args);
	va_end(args);
}

void log_warning(const char *format, ...)
{
	(void)format;
	CHECK(!"a warning: everything in this file that does not count is an error");
}

void log_info(const char *format, ...)
{
	(void)format;
}

static void write_file(const char *text)
{
	g_autofree char *path = g_strconcat(root, FILE_NAME, NULL);

	CHECK(g_file_set_contents(path, text, -1, NULL));
}

/* What was read, as text: "5 vm1 ADDRESS ID; ...". */
static char *read_as_text(void)
{
	struct dbus_conf *conf = dbus_conf_read();
	GString *text = g_string_new(NULL);

	g_string_printf(text, "%u", conf->resync_interval_s);
	for (guint i = 0; i < conf->groups->len; i++) {
		const struct dbus_conf_group *group = conf->groups->pdata[i];

		g_string_append_printf(text, " [%s] %s '%s'", group->group, group->vmstate_bus,
				       group->vmstate_id);
	}
	dbus_conf_free(conf);
	return g_string_free(text, FALSE);
}

static void check_read(const char *want)
{
	g_autofree char *got = NULL;

	logged[0] = '\0';
	got = read_as_text();
	CHECK_STR(got, want);
}

static const struct {
	const char *text, *want;
} good[] = {
	{"", "5"},
	{"# nothing\n\n", "5"},
	{"[prmig]\n", "5"},
	{"[prmig]\nresync-interval=0\n", "0"},
	{"[prmig]\nresync-interval=3600\n", "3600"},
	{"[prmig]\nresync-interval = 7 \n", "7"},
	{"[group vm1]\nvmstate-bus=" BUS "\nvmstate-id=prmig-vm1\n", "5 [vm1] " BUS " 'prmig-vm1'"},
	{"[group  vm1 ]\nvmstate-bus = " BUS " \nvmstate-id = prmig-vm1 \n",
	 "5 [vm1] " BUS " 'prmig-vm1'"},
	/* QEMU asks on the VM's own bus: another VM may have the same id. */
	{"[group vm1]\nvmstate-bus=" BUS "\nvmstate-id=prmig\n"
	 "[group vm2]\nvmstate-bus=unix:path=/run/vm2/bus\nvmstate-id=prmig\n",
	 "5 [vm1] " BUS " 'prmig' [vm2] unix:path=/run/vm2/bus 'prmig'"},
	{"[group vm1]\nvmstate-bus=unix:abstract=vm1,guid=0123\nvmstate-id=prmig\n",
	 "5 [vm1] unix:abstract=vm1,guid=0123 'prmig'"},
	{"[group vm1]\nvmstate-bus=tcp:host=127.0.0.1,port=4000\nvmstate-id=prmig\n",
	 "5 [vm1] tcp:host=127.0.0.1,port=4000 'prmig'"},
	/* GLib's rule for a key that stands there twice. */
	{"[group vm1]\nvmstate-bus=unix:path=/run/vm2/bus\nvmstate-id=old\nvmstate-bus=" BUS
	 "\nvmstate-id=prmig\n",
	 "5 [vm1] " BUS " 'prmig'"},
};

static void counts(void)
{
	check_read("5");
	CHECK_STR(logged, "");
	for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
		CHECK_NOTE(good[i].text);
		write_file(good[i].text);
		check_read(good[i].want);
		CHECK_STR(logged, "");
	}
}

#define TOO_LONG_NAME "a23456789b123456789c123456789d123456789e123456789f12345678901234"
#define IN FILE_NAME ": "
#define INTERVAL(text)                                                                             \
	IN "resync-interval is '" text "': a number of seconds from 0 (never) to 3600 would be "   \
	   "right; 5 s it is\n"
#define NEEDS_BOTH                                                                                 \
	IN "[group vm1] needs both vmstate-bus, the address of the VM's own bus, and vmstate-id, " \
	   "what QEMU's id-list has: left out\n"
#define BAD_NAME(name)                                                                             \
	IN "[group " name "]: a group's name has letters, digits, '-', '_' and '.', at most 63: "  \
	   "left out\n"
#define VM1 "[group vm1]\nvmstate-bus=" BUS "\nvmstate-id=prmig\n"
#define VM1_READ "5 [vm1] " BUS " 'prmig'"

/* said: all that is, or, where it has words of GLib's, with how it begins. */
static const struct {
	const char *text, *want, *said;
} bad[] = {
	{"[prmig]\nresync-interval=3601\n", "5", INTERVAL("3601")},
	{"[prmig]\nresync-interval=-1\n", "5", INTERVAL("-1")},
	{"[prmig]\nresync-interval=5s\n", "5", INTERVAL("5s")},
	{"[prmig]\nresync-interval=\n", "5", INTERVAL("")},
	{"[prmig]\nresync-interval=99999999999999999999\n", "5", INTERVAL("99999999999999999999")},
	{"[prmig]\nresync=7\n", "5",
	 IN "[prmig] knows no key 'resync'; it knows resync-interval\n"},
	{"[vm1]\nvmstate-id=prmig\n" VM1, VM1_READ,
	 IN "there is no section [vm1]; there are [prmig] and [group NAME]\n"},
	{"[group]\n" VM1, VM1_READ,
	 IN "there is no section [group]; there are [prmig] and [group NAME]\n"},
	{"[group vm1]\n", "5", NEEDS_BOTH},
	{"[group vm1]\nvmstate-id=prmig\n", "5", NEEDS_BOTH},
	{"[group vm1]\nvmstate-bus=" BUS "\n", "5", NEEDS_BOTH},
	{"[group vm1]\nvmstate-bus=" BUS "\nvmstate-id=\n", "5", NEEDS_BOTH},
	{"[group vm1]\nvmstate-bus=\nvmstate-id=prmig\n", "5", NEEDS_BOTH},
	{VM1 "id=7\n", VM1_READ,
	 IN "[group vm1] knows no key 'id'; it knows vmstate-bus and vmstate-id\n"},
	{"[group vm/1]\n", "5", BAD_NAME("vm/1")},
	{"[group ]\n", "5", BAD_NAME("")},
	{"[group " TOO_LONG_NAME "]\n", "5", BAD_NAME(TOO_LONG_NAME)},
	{"[group vm1]\nvmstate-bus=/run/vm1/bus\nvmstate-id=prmig\n", "5",
	 IN "[group vm1]: vmstate-bus '/run/vm1/bus' is no D-Bus address ("},
	{"[group vm1]\nvmstate-bus=unix:\nvmstate-id=prmig\n", "5",
	 IN "[group vm1]: vmstate-bus 'unix:' is no D-Bus address ("},
	{"[group vm1]\nvmstate-bus=session\nvmstate-id=prmig\n", "5",
	 IN "[group vm1]: vmstate-bus 'session' is no D-Bus address ("},
	{VM1 "[group vm2]\nvmstate-bus=" BUS "\nvmstate-id=other\n", VM1_READ,
	 IN "[group vm2]: another group has the bus '" BUS "': QEMU would save and freeze both "
	    "VMs; give each VM a bus of its own: left out\n"},
	{VM1 "[group  vm1]\nvmstate-bus=unix:path=/run/vm2/bus\nvmstate-id=prmig\n", VM1_READ,
	 IN "[group  vm1]: group 'vm1' has a section already: left out\n"},
	/* QEMU cuts its id-list there. */
	{"[group vm1]\nvmstate-bus=" BUS "\nvmstate-id=one,two\n", "5",
	 IN "[group vm1]: vmstate-id 'one,two' has a ',', which separates ids in QEMU's id-list: "
	    "left out\n"},
	{"[group vm1]\nvmstate-bus=" BUS "\nvmstate-id=a\\qb\n", "5",
	 IN "[group vm1]: vmstate-id cannot be read ("},
	{"[group vm1]\nvmstate-bus=" BUS "\nvmstate-id=\xff\n", "5",
	 IN "[group vm1]: vmstate-id cannot be read ("},
	/* Nothing of such a file counts: where it was cut nobody knows. */
	{VM1 "rubbish\n", "5", IN "not read: "},
	{"vmstate-id=prmig\n" VM1, "5", IN "not read: "},
};

static void left_out_and_said(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		CHECK_NOTE(bad[i].text);
		write_file(bad[i].text);
		check_read(bad[i].want);
		if (g_str_has_suffix(bad[i].said, "\n"))
			CHECK_STR(logged, bad[i].said);
		else
			CHECK(g_str_has_prefix(logged, bad[i].said));
		/* One line for one mistake. */
		CHECK(strchr(logged, '\n') == logged + strlen(logged) - 1);
	}
}

static void id_as_long_as_qemus(void)
{
	g_autofree char *id = g_strnfill(255, 'i');
	g_autofree char *text =
		g_strconcat("[group vm1]\nvmstate-bus=" BUS "\nvmstate-id=", id, NULL);
	g_autofree char *want = g_strconcat("5 [vm1] " BUS " '", id, "'", NULL);
	g_autofree char *longer = g_strconcat(text, "i", NULL);

	write_file(text);
	check_read(want);
	CHECK_STR(logged, "");
	write_file(longer);
	check_read("5");
	CHECK_STR(logged, IN "[group vm1]: vmstate-id has more than 255 characters: left out\n");
}

static void not_a_file(void)
{
	g_autofree char *path = g_strconcat(root, FILE_NAME, NULL);

	unlink(path);
	CHECK_INT(mkdir(path, 0700), 0);
	check_read("5");
	CHECK(g_str_has_prefix(logged, IN "not read: "));
	rmdir(path);
}

int main(void)
{
	g_autofree char *directory = NULL;
	g_autofree char *remove = NULL;

	if (!mkdtemp(root))
		return EXIT_FAILURE;
	directory = g_strconcat(root, "/etc/prmig", NULL);
	remove = g_strdup_printf("rm -r %s", root);
	setenv("PRMIG_ROOT", root, 1);
	if (g_mkdir_with_parents(directory, 0700) != 0)
		return EXIT_FAILURE;
	CHECK_RUN(counts);
	CHECK_RUN(left_out_and_said);
	CHECK_RUN(id_as_long_as_qemus);
	CHECK_RUN(not_a_file);
	CHECK_INT(system(remove), 0);
	return check_summary();
}
