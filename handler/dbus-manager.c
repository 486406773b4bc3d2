/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus-manager.h"

#include <string.h>

#include "dbus-info.h"
#include "dbus-names.h"
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

static void dbus_manager_call(GDBusConnection *connection, const char *sender, const char *path,
			      const char *interface, const char *method, GVariant *parameters,
			      GDBusMethodInvocation *invocation, void *user)
{
	g_autofree char *message = NULL;
	const char *name;

	(void)connection, (void)sender, (void)path, (void)interface, (void)user;
	g_variant_get_child(parameters, 0, "&s", &name);
	if (strcmp(method, "GetNexus") == 0) {
		dbus_manager_get_nexus(name, invocation);
		return;
	}
	message =
		g_strdup_printf("this version of prmig hands over one nexus at a time: call %s of "
				"each nexus of group '%.64s'",
				method, name);
	dbus_names_return_error(invocation, dbus_names_error(NEXUS_ERROR_UNSUPPORTED), message);
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
