/* SPDX-License-Identifier: Apache-2.0 */
#include "bus.h"

#include <gio/gio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "org.prmig1"
#define ERROR_PREFIX "org.prmig1.Error."
#define CALL_TIMEOUT_MS 25000
#define START_TRIES 500
#define TRY_US 10000

struct bus {
	pid_t pid;
	char socket[100];
	char address[128];
};

static const char config_text[] =
	"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
	"\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
	"<busconfig><listen>%s</listen>\n"
	"<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>"
	"<allow send_type=\"method_call\"/><allow send_type=\"signal\"/>"
	"<allow send_requested_reply=\"true\" send_type=\"method_return\"/>"
	"<allow send_requested_reply=\"true\" send_type=\"error\"/>"
	"<allow receive_type=\"method_call\"/><allow receive_type=\"method_return\"/>"
	"<allow receive_type=\"error\"/><allow receive_type=\"signal\"/></policy></busconfig>\n";

static bool accepts(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	connected = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (fd >= 0)
		close(fd);
	return connected;
}

struct bus *bus_start(const char *root)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	char config[128];
	FILE *file;
	int tries;

	snprintf(bus->socket, sizeof(bus->socket), "%s/bus", root);
	snprintf(bus->address, sizeof(bus->address), "unix:path=%s", bus->socket);
	snprintf(config, sizeof(config), "%s/bus.conf", root);
	file = fopen(config, "we");
	if (!file) {
		perror(config);
		free(bus);
		return NULL;
	}
	fprintf(file, config_text, bus->address);
	fclose(file);
	unlink(bus->socket);
	bus->pid = fork();
	if (bus->pid == 0) {
		char option[160];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(option, sizeof(option), "--config-file=%s", config);
		execlp("dbus-daemon", "dbus-daemon", option, "--nofork", "--nopidfile", NULL);
		perror("dbus-daemon");
		_exit(127);
	}
	for (tries = 0; tries < START_TRIES; tries++) {
		/* The socket is there before it listens. */
		if (accepts(bus->socket))
			return bus;
		usleep(TRY_US);
	}
	fprintf(stderr, "dbus-daemon does not start\n");
	bus_stop(bus);
	return NULL;
}

void bus_stop(struct bus *bus)
{
	if (!bus)
		return;
	if (bus->pid > 0) {
		kill(bus->pid, SIGTERM);
		waitpid(bus->pid, NULL, 0);
	}
	unlink(bus->socket);
	free(bus);
}

const char *bus_address(const struct bus *bus)
{
	return bus->address;
}

/* As systemd escapes a bus label: all but letters and digits, and a digit in front. */
static void object_path(const char *nexus, char *path, size_t len)
{
	size_t at = (size_t)snprintf(path, len, "/org/prmig1/nexus/");
	const char *c;

	for (c = nexus; *c && at + 4 < len; c++) {
		if (g_ascii_isalpha(*c) || (g_ascii_isdigit(*c) && c != nexus))
			path[at++] = *c;
		else
			at += (size_t)snprintf(path + at, len - at, "_%02x", (unsigned char)*c);
	}
	path[at] = '\0';
}

static GDBusConnection *bus_connect(const char *address, GError **error)
{
	return g_dbus_connection_new_for_address_sync(
		address,
		G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
			G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
		NULL, NULL, error);
}

/* group: NULL for a nexus's method. */
static GVariant *call_arguments(const char *group, const char *method, const char *state,
				const struct bus_options *options)
{
	GVariantBuilder builder;

	if (!strcmp(method, "Resync"))
		return NULL;
	g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sv}"));
	if (options && options->force)
		g_variant_builder_add(&builder, "{sv}", "force", g_variant_new_boolean(TRUE));
	if (options && options->id)
		g_variant_builder_add(&builder, "{sv}", "id", g_variant_new_string(options->id));
	if (options && options->destination)
		g_variant_builder_add(&builder, "{sv}", "destination",
				      g_variant_new_string(options->destination));
	if (!strcmp(method, "Import") || !strcmp(method, "Check"))
		return group ? g_variant_new("(ssa{sv})", group, state ? state : "", &builder)
			     : g_variant_new("(sa{sv})", state ? state : "", &builder);
	if (group)
		return g_variant_new("(sa{sv})", group, &builder);
	return g_variant_new("(a{sv})", &builder);
}

/* Takes error. */
static void reply_error(struct bus_reply *reply, GError *error)
{
	gchar *name = error ? g_dbus_error_get_remote_error(error) : NULL;

	if (name && g_str_has_prefix(name, ERROR_PREFIX))
		snprintf(reply->error, sizeof(reply->error), "%s", name + strlen(ERROR_PREFIX));
	else
		snprintf(reply->error, sizeof(reply->error), "%s", name ? name : "none");
	g_free(name);
	if (error) {
		g_dbus_error_strip_remote_error(error);
		snprintf(reply->message, sizeof(reply->message), "%s", error->message);
		g_error_free(error);
	}
}

static bool call(const char *address, const char *path, const char *interface, const char *method,
		 GVariant *arguments, struct bus_reply *ret_reply)
{
	GVariant *result = NULL;
	GError *error = NULL;
	GDBusConnection *connection = bus_connect(address, &error);

	memset(ret_reply, 0, sizeof(*ret_reply));
	if (arguments)
		g_variant_ref_sink(arguments);
	if (connection)
		result = g_dbus_connection_call_sync(
			connection, NAME, path, interface, method, arguments, NULL,
			G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_TIMEOUT_MS, NULL, &error);
	g_clear_pointer(&arguments, g_variant_unref);
	if (result && g_variant_n_children(result) == 1) {
		const gchar *text;

		g_variant_get(result, "(&s)", &text);
		snprintf(ret_reply->state, sizeof(ret_reply->state), "%s", text);
	}
	ret_reply->ok = result;
	if (!result)
		reply_error(ret_reply, error);
	g_clear_pointer(&result, g_variant_unref);
	g_clear_object(&connection);
	return ret_reply->ok;
}

bool bus_call(const char *address, const char *nexus, const char *method, const char *state,
	      const struct bus_options *options, struct bus_reply *ret_reply)
{
	char path[256];

	object_path(nexus, path, sizeof(path));
	return call(address, path, NAME ".Nexus", method,
		    call_arguments(NULL, method, state, options), ret_reply);
}

bool bus_call_group(const char *address, const char *group, const char *method, const char *state,
		    const struct bus_options *options, struct bus_reply *ret_reply)
{
	return call(address, "/org/prmig1", NAME ".Manager", method,
		    call_arguments(group, method, state, options), ret_reply);
}

bool bus_property(const char *address, const char *nexus, const char *property, char *ret_text)
{
	GVariant *result = NULL, *value;
	GDBusConnection *connection = bus_connect(address, NULL);
	char path[256];
	gchar *text;

	ret_text[0] = '\0';
	object_path(nexus, path, sizeof(path));
	if (connection)
		result = g_dbus_connection_call_sync(
			connection, NAME, path, "org.freedesktop.DBus.Properties", "Get",
			g_variant_new("(ss)", NAME ".Nexus", property), G_VARIANT_TYPE("(v)"),
			G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_TIMEOUT_MS, NULL, NULL);
	g_clear_object(&connection);
	if (!result)
		return false;
	g_variant_get(result, "(v)", &value);
	text = g_variant_print(value, FALSE);
	snprintf(ret_text, BUS_TEXT_MAX, "%s", text);
	g_free(text);
	g_variant_unref(value);
	g_variant_unref(result);
	return true;
}

bool bus_wait_property(const char *address, const char *nexus, const char *property,
		       const char *text, uint32_t timeout_ms)
{
	char now[BUS_TEXT_MAX] = "";
	uint32_t tries;

	for (tries = 0; tries <= timeout_ms / 20; tries++) {
		if (bus_property(address, nexus, property, now) && !strcmp(now, text))
			return true;
		usleep(20000);
	}
	printf("%s of %s is %s, not %s\n", property, nexus, now, text);
	return false;
}
