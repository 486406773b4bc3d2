/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus-manager.h"

#include <string.h>

#include "dbus-info.h"
#include "dbus-names.h"
#include "dbus-options.h"
#include "group.h"
#include "nexus.h"

static void dbus_manager_list(void *user, const char *name)
{
	GString *names = user;

	g_string_append_printf(names, "%s%s", names->len ? ", " : "", name);
}

static void dbus_manager_get_nexus(const char *name, GDBusMethodInvocation *invocation)
{
	char path[DBUS_NAMES_PATH_MAX];
	g_autoptr(GString) names = NULL;
	g_autofree char *message = NULL;
	struct nexus_info info;

	if (strlen(name) <= CFGSTRING_NAME_MAX && nexus_get_info(name, &info)) {
		dbus_names_nexus_path(name, path);
		g_dbus_method_invocation_return_value(invocation, g_variant_new("(o)", path));
		return;
	}
	names = g_string_new(NULL);
	nexus_for_each(dbus_manager_list, names);
	message = g_strdup_printf("there is no nexus '%.64s' on this host (a nexus has the name of "
				  "its backstore); there %s",
				  name, names->len ? "are: " : "is none at all");
	g_string_prepend(names, message);
	dbus_names_return_error(invocation, DBUS_NAMES_ERROR_UNKNOWN_OBJECT, names->str);
}

static const struct {
	const char *name;
	enum nexus_method method;
	unsigned int options; /* enum dbus_option, those that it knows */
	bool takes_state;
} dbus_group_methods[] = {
	{"Export", NEXUS_EXPORT, DBUS_OPTION_DESTINATION, false},
	{"Import", NEXUS_IMPORT, DBUS_OPTION_FORCE, true},
	{"Abort", NEXUS_ABORT, DBUS_OPTION_FORCE, false},
	{"Release", NEXUS_RELEASE, DBUS_OPTION_FORCE, false},
	{"Check", NEXUS_CHECK, 0, true},
	{"Prepare", NEXUS_PREPARE, 0, false},
};

/* On the group's thread; GDBus sends from any thread. */
static void dbus_group_done(void *user, const struct group_reply *reply)
{
	dbus_names_answer(user, reply->error, reply->message, reply->state);
}

static void dbus_manager_call_group(const char *method, GVariant *parameters,
				    GDBusMethodInvocation *invocation)
{
	struct nexus_options options = {0};
	g_autoptr(GVariant) options_variant = NULL;
	g_autofree char *reason = NULL;
	const char *group, *state = "";
	size_t i;

	for (i = 0; strcmp(method, dbus_group_methods[i].name) != 0; i++) /* GDBus knows it */
		;
	if (dbus_group_methods[i].takes_state)
		g_variant_get(parameters, "(&s&s@a{sv})", &group, &state, &options_variant);
	else
		g_variant_get(parameters, "(&s@a{sv})", &group, &options_variant);
	if (!dbus_options_parse(options_variant, dbus_group_methods[i].options, method, &options,
				&reason)) {
		dbus_names_return_error(invocation, DBUS_NAMES_ERROR_INVALID_ARGS, reason);
		return;
	}
	if (!cfgstring_name_valid(group)) {
		reason = g_strdup_printf(
			"'%.64s' is no name of a group: letters, digits, '-', '_' and '.', at "
			"most %d",
			group, CFGSTRING_NAME_MAX);
		dbus_names_return_error(invocation, DBUS_NAMES_ERROR_INVALID_ARGS, reason);
		return;
	}
	if (strlen(state) >= GROUP_STATE_MAX) {
		reason = g_strdup_printf("a group's state has at most %d characters, this has %zu",
					 GROUP_STATE_MAX - 1, strlen(state));
		dbus_names_return_error(invocation, dbus_names_error(NEXUS_ERROR_BAD_STATE),
					reason);
		return;
	}
	if (!group_call(group, dbus_group_methods[i].method, state, &options, dbus_group_done,
			invocation))
		dbus_names_return_error(invocation, dbus_names_error(NEXUS_ERROR_LUN),
					"no thread could be made for the call");
}

static void dbus_manager_call(GDBusConnection *connection, const char *sender, const char *path,
			      const char *interface, const char *method, GVariant *parameters,
			      GDBusMethodInvocation *invocation, void *user)
{
	const char *name;

	(void)connection, (void)sender, (void)path, (void)interface, (void)user;
	if (strcmp(method, "GetNexus") != 0) {
		dbus_manager_call_group(method, parameters, invocation);
		return;
	}
	g_variant_get_child(parameters, 0, "&s", &name);
	dbus_manager_get_nexus(name, invocation);
}

static GVariant *dbus_manager_get_property(GDBusConnection *connection, const char *sender,
					   const char *path, const char *interface,
					   const char *property, GError **error, void *user)
{
	(void)connection, (void)sender, (void)path, (void)interface, (void)property;
	(void)error, (void)user;
	return g_variant_new_string(PRMIG_VERSION); /* the only one */
}

guint dbus_manager_register(GDBusConnection *connection, GError **error)
{
	static const GDBusInterfaceVTable vtable = {
		.method_call = dbus_manager_call,
		.get_property = dbus_manager_get_property,
	};

	return g_dbus_connection_register_object(
		connection, DBUS_NAMES_ROOT, (GDBusInterfaceInfo *)&org_prmig1_manager_interface,
		&vtable, NULL, NULL, error);
}
