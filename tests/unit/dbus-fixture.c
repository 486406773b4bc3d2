/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus-fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <glib/gstdio.h>

/* The system bus's defaults, and after them the policy files as /usr/share/dbus-1/system.d has
 * them; tcmu-runner's is in as Debian ships it, wide as it is. */
static const char config_format[] =
	"<busconfig><type>system</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>"
	"<policy context='default'><allow user='*'/><deny own='*'/>"
	"<deny send_type='method_call'/><allow send_type='signal'/>"
	"<allow send_requested_reply='true' send_type='method_return'/>"
	"<allow send_requested_reply='true' send_type='error'/>"
	"<allow receive_type='method_call'/><allow receive_type='method_return'/>"
	"<allow receive_type='error'/><allow receive_type='signal'/>"
	"<allow send_destination='org.freedesktop.DBus'/></policy>"
	"<policy user='%s'><allow own='org.kernel.TCMUService1'/></policy>"
	"<policy context='default'><allow send_destination='org.kernel.TCMUService1'/>"
	"<allow own_prefix='org.kernel.TCMUService1.HandlerManager1'/>"
	"<allow send_interface='org.kernel.TCMUService1'/></policy>"
	"<include>%s/org.prmig1.conf</include></busconfig>";

static char *directory;
static pid_t bus_pid;
static GDBusConnection *client;
static GString *signals;

static void write_file(const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(directory, name, NULL);

	if (!g_file_set_contents(path, text, -1, NULL))
		abort();
	g_chmod(path, 0644);
}

/* As shipped; who runs the test stands for root where that is another. */
static void copy_policy(const char *user)
{
	const char *source = g_getenv("PRMIG_SOURCE_DIR");
	g_autofree char *path =
		g_build_filename(source ? source : ".", "tcmu-config", "org.prmig1.conf", NULL);
	g_autofree char *text = NULL, *quoted = g_strdup_printf("user=\"%s\"", user);
	g_autoptr(GString) adapted = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL)) {
		fprintf(stderr,
			"no %s: run it from the source directory, or set PRMIG_SOURCE_DIR\n", path);
		exit(1);
	}
	adapted = g_string_new(text);
	g_string_replace(adapted, "user=\"root\"", quoted, 0);
	write_file("org.prmig1.conf", adapted->str);
}

void fixture_prepare(void)
{
	g_autofree char *config = NULL, *address = NULL;

	directory = g_dir_make_tmp("prmig-dbus-XXXXXX", NULL);
	if (!directory)
		abort();
	g_chmod(directory, 0755);
	copy_policy(g_get_user_name());
	config = g_strdup_printf(config_format, directory, g_get_user_name(), directory);
	write_file("bus.conf", config);
	address = g_strdup_printf("unix:path=%s/bus", directory);
	g_setenv("DBUS_SYSTEM_BUS_ADDRESS", address, TRUE);
}

static void end_with_parent(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static bool accepts(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected;

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	connected = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (fd >= 0)
		close(fd);
	return connected;
}

void fixture_start_bus(void)
{
	g_autofree char *option = g_strdup_printf("--config-file=%s/bus.conf", directory);
	g_autofree char *path = g_build_filename(directory, "bus", NULL);
	char *argv[] = {"dbus-daemon", "--nofork", option, NULL};
	int i;

	g_unlink(path);
	if (!g_spawn_async(NULL, argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
			   end_with_parent, NULL, &bus_pid, NULL)) {
		fprintf(stderr, "dbus-daemon is not there\n");
		exit(1);
	}
	/* The socket is there before it listens. */
	for (i = 0; i < 1000 && !accepts(path); i++)
		g_usleep(10000);
}

void fixture_stop_bus(void)
{
	g_clear_object(&client);
	if (bus_pid > 0) {
		kill(bus_pid, SIGTERM);
		waitpid(bus_pid, NULL, 0);
	}
	bus_pid = 0;
}

void fixture_end(void)
{
	int status;
	g_autofree char *command = g_strdup_printf("rm -r '%s'", directory);

	fixture_stop_bus();
	g_free(fixture_shell(command, &status));
	g_clear_pointer(&directory, g_free);
	if (signals)
		g_string_free(signals, TRUE);
}

static void on_signal(GDBusConnection *connection, const char *sender, const char *path,
		      const char *interface, const char *member, GVariant *parameters, void *user)
{
	g_autofree char *text = g_variant_print(parameters, FALSE);

	(void)connection, (void)sender, (void)interface, (void)user;
	g_string_append_printf(signals, "%s %s%s\n", path, member, text);
}

GDBusConnection *fixture_client(void)
{
	if (client)
		return client;
	client = g_dbus_connection_new_for_address_sync(
		g_getenv("DBUS_SYSTEM_BUS_ADDRESS"),
		G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
			G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
		NULL, NULL, NULL);
	if (!client)
		abort();
	if (!signals)
		signals = g_string_new(NULL);
	g_dbus_connection_signal_subscribe(client, "org.prmig1", NULL, NULL, NULL, NULL,
					   G_DBUS_SIGNAL_FLAGS_NONE, on_signal, NULL, NULL);
	return client;
}

bool fixture_wait_for_name(unsigned int timeout_ms)
{
	unsigned int waited_ms;

	for (waited_ms = 0; waited_ms < timeout_ms; waited_ms += 10) {
		g_autofree char *reply =
			fixture_call("/org/prmig1", "org.freedesktop.DBus.Peer", "Ping", NULL);

		if (strcmp(reply, "()") == 0)
			return true;
		g_usleep(10000);
	}
	return false;
}

struct nexus_info fixture_nexus(const char *name)
{
	struct nexus_info info = {
		.group = "vms",
		.device = "/dev/sdb",
		.lun = "naa.6001405aabbccdd",
		.backend = "sg",
		.migrate_pr = true,
		.key = 0xfedcba9876543210,
		.holder = true,
		.type = 5,
		.ptpl = true,
		.handover_id = "0123456789abcdef",
		.generation = 7,
		.in_flight = 3,
		.path_count = 1,
		.paths = {{"iscsi:iqn.2026-11.org.example:h1", 1, true}},
	};

	g_strlcpy(info.name, name, sizeof(info.name));
	return info;
}

char *fixture_call(const char *path, const char *interface, const char *method,
		   GVariant *parameters)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
		fixture_client(), "org.prmig1", path, interface, method, parameters, NULL,
		G_DBUS_CALL_FLAGS_NO_AUTO_START, 20000, NULL, &error);
	g_autofree char *name = NULL;

	if (reply)
		return g_variant_print(reply, FALSE);
	name = g_dbus_error_get_remote_error(error);
	g_dbus_error_strip_remote_error(error);
	return g_strdup_printf("%s: %s", name ? name : "(local)", error->message);
}

char *fixture_call_text(const char *method, const char *parameters)
{
	GVariant *parsed = g_variant_new_parsed(parameters);

	return fixture_call(FIXTURE_VM1, "org.prmig1.Nexus", method, parsed);
}

char *fixture_signals(const char *path, unsigned int timeout_ms)
{
	gint64 end = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
	g_autofree char *prefix = g_strdup_printf("%s ", path);
	GString *found = g_string_new(NULL);

	fixture_client();
	do {
		g_auto(GStrv) lines = NULL;
		size_t i;

		while (g_main_context_iteration(NULL, FALSE))
			;
		lines = g_strsplit(signals->str, "\n", -1);
		g_string_truncate(signals, 0);
		for (i = 0; lines[i]; i++) {
			if (g_str_has_prefix(lines[i], prefix))
				g_string_append_printf(found, "%s\n", lines[i] + strlen(prefix));
		}
		if (found->len == 0)
			g_usleep(5000);
	} while (found->len == 0 && g_get_monotonic_time() < end);
	return g_string_free(found, FALSE);
}

char *fixture_shell(const char *command, int *ret_status)
{
	const char *argv[] = {"/bin/sh", "-c", command, NULL};
	char *out = NULL;
	g_autofree char *err = NULL;
	int status;

	if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err,
			  &status, NULL))
		abort();
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
	if (*err) {
		char *both = g_strconcat(out, err, NULL);

		g_free(out);
		return both;
	}
	return out;
}
