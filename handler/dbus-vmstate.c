/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus-vmstate.h"

#include <string.h>

#include "dbus-names.h"
#include "group.h"
#include "log.h"

#define VMSTATE_NAME "org.qemu.VMState1"
#define VMSTATE_PATH "/org/qemu/VMState1"
#define VMSTATE_RETRY_S 1

struct vmstate {
	char *group;
	char *address;
	char *id;
	GDBusConnection *connection; /* NULL: no bus */
	guint owner_id;
	guint object_id;
	guint saver_watch, loader_watch; /* QEMU, until it leaves the bus */
	char *unreachable;		 /* why the bus cannot be reached, as it was logged */
};

/* A call under way; the group's own thread ends it. */
struct vmstate_call {
	GDBusMethodInvocation *invocation; /* NULL: nobody waits */
	char *what;
};

static GDBusInterfaceInfo *interface_info(void)
{
	static const char xml[] =
		"<node><interface name='" VMSTATE_NAME "'>"
		"<property name='Id' type='s' access='read'/>"
		"<method name='Load'><arg type='ay' name='data' direction='in'/></method>"
		"<method name='Save'><arg type='ay' name='data' direction='out'/></method>"
		"</interface></node>";
	static GDBusNodeInfo *node;

	if (!node)
		node = g_dbus_node_info_new_for_xml(xml, NULL);
	return node->interfaces[0];
}

/* ---- answers ---- */

static void answered(void *user, const struct group_reply *reply)
{
	struct vmstate_call *call = user;
	GDBusMethodInvocation *invocation = call->invocation;

	if (reply->error != NEXUS_OK)
		log_warning("dbus-vmstate: %s: %s", call->what, reply->message);
	else
		log_info("dbus-vmstate: %s: done", call->what);
	if (invocation && reply->error != NEXUS_OK)
		dbus_names_return_error(invocation, dbus_names_error(reply->error), reply->message);
	else if (invocation &&
		 g_str_equal(g_dbus_method_invocation_get_method_name(invocation), "Save"))
		g_dbus_method_invocation_return_value(
			invocation,
			g_variant_new("(@ay)",
				      g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, reply->state,
								strlen(reply->state), 1)));
	else if (invocation)
		g_dbus_method_invocation_return_value(invocation, NULL);
	g_free(call->what);
	g_free(call);
}

static void call_group(struct vmstate *vmstate, enum nexus_method method, const char *what,
		       const char *state, GDBusMethodInvocation *invocation)
{
	struct nexus_options options = {.by_qemu = true};
	struct vmstate_call *call = g_new0(struct vmstate_call, 1);

	call->invocation = invocation;
	call->what = g_strdup_printf("group '%s': %s", vmstate->group, what);
	if (group_call(vmstate->group, method, state, &options, answered, call))
		return;
	if (invocation)
		dbus_names_return_error(invocation, dbus_names_error(NEXUS_ERROR_LUN),
					"no thread could be made for the call");
	g_free(call->what);
	g_free(call);
}

/* ---- QEMU leaves ---- */

static void saver_gone(GDBusConnection *connection, const char *name, void *user)
{
	struct vmstate *vmstate = user;

	(void)connection, (void)name;
	g_bus_unwatch_name(vmstate->saver_watch);
	vmstate->saver_watch = 0;
	call_group(vmstate, NEXUS_SAVER_GONE, "QEMU has ended at the source", NULL, NULL);
}

static void loader_gone(GDBusConnection *connection, const char *name, void *user)
{
	struct vmstate *vmstate = user;

	(void)connection, (void)name;
	g_bus_unwatch_name(vmstate->loader_watch);
	vmstate->loader_watch = 0;
	call_group(vmstate, NEXUS_LOADER_GONE, "QEMU has ended at the destination", NULL, NULL);
}

static void watch(struct vmstate *vmstate, guint *id, const char *sender,
		  GBusNameVanishedCallback vanished)
{
	if (*id)
		g_bus_unwatch_name(*id);
	*id = g_bus_watch_name_on_connection(vmstate->connection, sender,
					     G_BUS_NAME_WATCHER_FLAGS_NONE, NULL, vanished, vmstate,
					     NULL);
}

/* ---- methods ---- */

static void load(struct vmstate *vmstate, GVariant *parameters, GDBusMethodInvocation *invocation)
{
	g_autoptr(GVariant) data = g_variant_get_child_value(parameters, 0);
	g_autofree char *state = NULL;
	gsize len;
	const char *bytes = g_variant_get_fixed_array(data, &len, 1);

	if (len == 0 || len >= GROUP_STATE_MAX || memchr(bytes, '\0', len)) {
		g_autofree char *reason = g_strdup_printf(
			"this is no state of a group: %" G_GSIZE_FORMAT " bytes, 1 to %d of text "
			"would be right",
			len, GROUP_STATE_MAX - 1);

		dbus_names_return_error(invocation, dbus_names_error(NEXUS_ERROR_BAD_STATE),
					reason);
		return;
	}
	state = g_strndup(bytes, len);
	watch(vmstate, &vmstate->loader_watch, g_dbus_method_invocation_get_sender(invocation),
	      loader_gone);
	call_group(vmstate, NEXUS_IMPORT, "Load", state, invocation);
}

static void method_call(GDBusConnection *connection, const char *sender, const char *path,
			const char *interface, const char *method, GVariant *parameters,
			GDBusMethodInvocation *invocation, void *user)
{
	struct vmstate *vmstate = user;

	(void)connection, (void)path, (void)interface;
	if (strcmp(method, "Load") == 0) {
		load(vmstate, parameters, invocation);
		return;
	}
	watch(vmstate, &vmstate->saver_watch, sender, saver_gone);
	call_group(vmstate, NEXUS_EXPORT, "Save", NULL, invocation);
}

static GVariant *get_property(GDBusConnection *connection, const char *sender, const char *path,
			      const char *interface, const char *property, GError **error,
			      void *user)
{
	struct vmstate *vmstate = user;

	(void)connection, (void)sender, (void)path, (void)interface, (void)property, (void)error;
	return g_variant_new_string(vmstate->id);
}

/* ---- the bus comes and goes with the VM ---- */

static gboolean try_connect(void *user);

static void retry_later(struct vmstate *vmstate)
{
	GSource *source = g_timeout_source_new_seconds(VMSTATE_RETRY_S);

	g_source_set_callback(source, try_connect, vmstate, NULL);
	g_source_attach(source, g_main_context_get_thread_default());
	g_source_unref(source);
}

static void disconnect(struct vmstate *vmstate)
{
	if (vmstate->owner_id)
		g_bus_unown_name(vmstate->owner_id);
	if (vmstate->object_id)
		g_dbus_connection_unregister_object(vmstate->connection, vmstate->object_id);
	vmstate->owner_id = vmstate->object_id = 0;
	g_signal_handlers_disconnect_by_data(vmstate->connection, vmstate);
	g_clear_object(&vmstate->connection);
}

static void closed(GDBusConnection *connection, gboolean remote_peer_vanished, GError *error,
		   void *user)
{
	struct vmstate *vmstate = user;

	(void)connection, (void)remote_peer_vanished, (void)error;
	log_info("dbus-vmstate: group '%s': the bus %s has gone", vmstate->group, vmstate->address);
	/* And with it QEMU: its name vanishes no other way. */
	if (vmstate->saver_watch)
		saver_gone(NULL, NULL, vmstate);
	if (vmstate->loader_watch)
		loader_gone(NULL, NULL, vmstate);
	disconnect(vmstate);
	retry_later(vmstate);
}

/* Once for each reason: a VM that is off has no bus, and that is tried every second. */
static void tell_unreachable(struct vmstate *vmstate, const char *reason)
{
	if (g_strcmp0(vmstate->unreachable, reason) == 0)
		return;
	g_free(vmstate->unreachable);
	vmstate->unreachable = g_strdup(reason);
	log_info("dbus-vmstate: group '%s': the bus %s cannot be reached: %s; tried again every "
		 "%d s (a VM's own bus is there when the VM is)",
		 vmstate->group, vmstate->address, reason, VMSTATE_RETRY_S);
}

static void connected(GObject *source, GAsyncResult *result, void *user)
{
	static const GDBusInterfaceVTable vtable = {.method_call = method_call,
						    .get_property = get_property};
	struct vmstate *vmstate = user;
	g_autoptr(GError) error = NULL;

	(void)source;
	vmstate->connection = g_dbus_connection_new_for_address_finish(result, &error);
	if (!vmstate->connection) {
		tell_unreachable(vmstate, error->message);
		retry_later(vmstate);
		return;
	}
	g_clear_pointer(&vmstate->unreachable, g_free);
	g_dbus_connection_set_exit_on_close(vmstate->connection, FALSE);
	g_signal_connect(vmstate->connection, "closed", G_CALLBACK(closed), vmstate);
	vmstate->object_id = g_dbus_connection_register_object(
		vmstate->connection, VMSTATE_PATH, interface_info(), &vtable, vmstate, NULL, NULL);
	/* Several owners queue for the name; QEMU asks all of them. */
	vmstate->owner_id =
		g_bus_own_name_on_connection(vmstate->connection, VMSTATE_NAME,
					     G_BUS_NAME_OWNER_FLAGS_NONE, NULL, NULL, NULL, NULL);
	log_info("dbus-vmstate: group '%s' is on the bus %s as '%s'", vmstate->group,
		 vmstate->address, vmstate->id);
}

static gboolean try_connect(void *user)
{
	struct vmstate *vmstate = user;

	g_dbus_connection_new_for_address(vmstate->address,
					  G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
						  G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
					  NULL, NULL, connected, vmstate);
	return G_SOURCE_REMOVE;
}

void dbus_vmstate_start(const struct dbus_conf_group *conf)
{
	struct vmstate *vmstate = g_new0(struct vmstate, 1);

	vmstate->group = g_strdup(conf->group);
	vmstate->address = g_strdup(conf->vmstate_bus);
	vmstate->id = g_strdup(conf->vmstate_id);
	try_connect(vmstate);
}
