/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus-nexus.h"

#include <string.h>

#include "dbus-info.h"
#include "dbus-names.h"
#include "dbus-options.h"
#include "dbus-properties.h"
#include "nexus.h"

struct _PrmigDBusNexus {
	GDBusInterfaceSkeleton parent_instance;
	char name[CFGSTRING_NAME_MAX + 1];
	GHashTable *sent; /* property name (static) -> GVariant: what the bus was told last */
};

G_DEFINE_TYPE(PrmigDBusNexus, prmig_dbus_nexus, G_TYPE_DBUS_INTERFACE_SKELETON)

/* ---- methods ---- */

static const struct {
	const char *name;
	enum nexus_method method;
	unsigned int options; /* enum dbus_option, those that it knows */
	bool takes_state;
} dbus_methods[] = {
	{"Export", NEXUS_EXPORT, DBUS_OPTION_DESTINATION, false},
	{"Import", NEXUS_IMPORT, DBUS_OPTION_FORCE, true},
	{"Abort", NEXUS_ABORT, DBUS_OPTION_ID | DBUS_OPTION_FORCE, false},
	{"Release", NEXUS_RELEASE, DBUS_OPTION_ID | DBUS_OPTION_FORCE, false},
	{"Check", NEXUS_CHECK, 0, true},
	{"Prepare", NEXUS_PREPARE, 0, false},
	{"Forget", NEXUS_FORGET, DBUS_OPTION_FORCE, false},
	{"Resync", NEXUS_RESYNC, 0, false},
};

/* On a thread of the nexus; GDBus sends from any thread. */
static void dbus_method_done(void *user, const struct nexus_reply *reply)
{
	dbus_names_answer(user, reply->error, reply->message, reply->state);
}

static void dbus_method_call(GDBusConnection *connection, const char *sender, const char *path,
			     const char *interface, const char *method_name, GVariant *parameters,
			     GDBusMethodInvocation *invocation, void *user)
{
	PrmigDBusNexus *nexus = PRMIG_DBUS_NEXUS(user);
	struct nexus_options options = {0};
	g_autoptr(GVariant) options_variant = NULL;
	g_autofree char *reason = NULL;
	const char *state = "";
	size_t i;

	(void)connection, (void)sender, (void)path, (void)interface;
	for (i = 0; strcmp(method_name, dbus_methods[i].name) != 0; i++) /* GDBus knows it */
		;
	if (dbus_methods[i].takes_state)
		g_variant_get(parameters, "(&s@a{sv})", &state, &options_variant);
	else if (dbus_methods[i].method != NEXUS_RESYNC)
		g_variant_get(parameters, "(@a{sv})", &options_variant);

	if (options_variant && !dbus_options_parse(options_variant, dbus_methods[i].options,
						   method_name, &options, &reason)) {
		dbus_names_return_error(invocation, DBUS_NAMES_ERROR_INVALID_ARGS, reason);
		return;
	}
	if (strlen(state) >= NEXUS_STATE_LINE_MAX) {
		reason = g_strdup_printf("a state line has at most %d characters, this has %zu",
					 NEXUS_STATE_LINE_MAX - 1, strlen(state));
		dbus_names_return_error(invocation, dbus_names_error(NEXUS_ERROR_BAD_STATE),
					reason);
		return;
	}
	if (!nexus_call(nexus->name, dbus_methods[i].method, state, &options, dbus_method_done,
			invocation)) {
		reason = g_strdup_printf("nexus '%s' has just been removed", nexus->name);
		dbus_names_return_error(invocation, DBUS_NAMES_ERROR_UNKNOWN_OBJECT, reason);
	}
}

/* ---- properties ---- */

static GVariant *dbus_property_get(GDBusConnection *connection, const char *sender,
				   const char *path, const char *interface, const char *property,
				   GError **error, void *user)
{
	PrmigDBusNexus *nexus = PRMIG_DBUS_NEXUS(user);
	struct nexus_info info;
	GVariant *sent;

	(void)connection, (void)sender, (void)path, (void)interface;
	if (nexus_get_info(nexus->name, &info))
		return g_variant_take_ref(dbus_properties_get(&info, property));
	sent = g_hash_table_lookup(nexus->sent, property);
	if (!sent)
		g_set_error(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_OBJECT,
			    "nexus '%s' has just been removed", nexus->name);
	return sent ? g_variant_ref(sent) : NULL;
}

static bool dbus_property_emits_changed(const GDBusPropertyInfo *property)
{
	const char *emits = g_dbus_annotation_info_lookup(
		property->annotations, "org.freedesktop.DBus.Property.EmitsChangedSignal");

	return !emits || strcmp(emits, "true") == 0;
}

/* Compares with what was sent last, and remembers; the changed ones. Floating, a{sv}. */
static GVariant *dbus_properties_changed(PrmigDBusNexus *nexus, const struct nexus_info *info,
					 bool *ret_any)
{
	GDBusPropertyInfo *const *property;
	GVariantBuilder changed;

	*ret_any = false;
	g_variant_builder_init(&changed, G_VARIANT_TYPE_VARDICT);
	for (property = org_prmig1_nexus_interface.properties; *property; property++) {
		GVariant *value = g_variant_take_ref(dbus_properties_get(info, (*property)->name));
		GVariant *sent = g_hash_table_lookup(nexus->sent, (*property)->name);

		if (sent && g_variant_equal(sent, value)) {
			g_variant_unref(value);
			continue;
		}
		if (dbus_property_emits_changed(*property)) {
			g_variant_builder_add(&changed, "{sv}", (*property)->name, value);
			*ret_any = true;
		}
		g_hash_table_replace(nexus->sent, (*property)->name, value);
	}
	return g_variant_builder_end(&changed);
}

void dbus_nexus_refresh(PrmigDBusNexus *nexus)
{
	GDBusInterfaceSkeleton *skeleton = G_DBUS_INTERFACE_SKELETON(nexus);
	GDBusConnection *connection = g_dbus_interface_skeleton_get_connection(skeleton);
	g_autoptr(GVariant) changed = NULL;
	struct nexus_info info;
	bool any;

	if (!nexus_get_info(nexus->name, &info))
		return;
	changed = g_variant_ref_sink(dbus_properties_changed(nexus, &info, &any));
	if (!any || !connection)
		return;
	g_dbus_connection_emit_signal(
		connection, NULL, g_dbus_interface_skeleton_get_object_path(skeleton),
		"org.freedesktop.DBus.Properties", "PropertiesChanged",
		g_variant_new("(s@a{sv}as)", org_prmig1_nexus_interface.name, changed, NULL), NULL);
}

void dbus_nexus_emit_fenced_changed(PrmigDBusNexus *nexus, bool fenced, uint64_t key)
{
	GDBusInterfaceSkeleton *skeleton = G_DBUS_INTERFACE_SKELETON(nexus);
	GDBusConnection *connection = g_dbus_interface_skeleton_get_connection(skeleton);

	if (connection)
		g_dbus_connection_emit_signal(connection, NULL,
					      g_dbus_interface_skeleton_get_object_path(skeleton),
					      org_prmig1_nexus_interface.name, "FencedChanged",
					      g_variant_new("(bt)", fenced, key), NULL);
}

/* ---- what GDBusInterfaceSkeleton asks for ---- */

static GDBusInterfaceInfo *dbus_nexus_get_info(GDBusInterfaceSkeleton *skeleton)
{
	(void)skeleton;
	return (GDBusInterfaceInfo *)&org_prmig1_nexus_interface;
}

static GDBusInterfaceVTable *dbus_nexus_get_vtable(GDBusInterfaceSkeleton *skeleton)
{
	static const GDBusInterfaceVTable vtable = {
		.method_call = dbus_method_call,
		.get_property = dbus_property_get,
	};

	(void)skeleton;
	return (GDBusInterfaceVTable *)&vtable;
}

/* For GetManagedObjects and InterfacesAdded. */
static GVariant *dbus_nexus_get_properties(GDBusInterfaceSkeleton *skeleton)
{
	PrmigDBusNexus *nexus = PRMIG_DBUS_NEXUS(skeleton);
	GDBusPropertyInfo *const *property;
	GVariantBuilder all;

	g_variant_builder_init(&all, G_VARIANT_TYPE_VARDICT);
	for (property = org_prmig1_nexus_interface.properties; *property; property++) {
		g_autoptr(GVariant) value =
			dbus_property_get(NULL, NULL, NULL, NULL, (*property)->name, NULL, nexus);

		if (value)
			g_variant_builder_add(&all, "{sv}", (*property)->name, value);
	}
	return g_variant_builder_end(&all);
}

static void dbus_nexus_flush(GDBusInterfaceSkeleton *skeleton)
{
	(void)skeleton; /* nothing is held back */
}

static void prmig_dbus_nexus_finalize(GObject *object)
{
	g_hash_table_unref(PRMIG_DBUS_NEXUS(object)->sent);
	G_OBJECT_CLASS(prmig_dbus_nexus_parent_class)->finalize(object);
}

static void prmig_dbus_nexus_class_init(PrmigDBusNexusClass *class)
{
	GDBusInterfaceSkeletonClass *skeleton_class = G_DBUS_INTERFACE_SKELETON_CLASS(class);

	G_OBJECT_CLASS(class)->finalize = prmig_dbus_nexus_finalize;
	skeleton_class->get_info = dbus_nexus_get_info;
	skeleton_class->get_vtable = dbus_nexus_get_vtable;
	skeleton_class->get_properties = dbus_nexus_get_properties;
	skeleton_class->flush = dbus_nexus_flush;
}

static void prmig_dbus_nexus_init(PrmigDBusNexus *nexus)
{
	nexus->sent = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
					    (GDestroyNotify)g_variant_unref);
}

PrmigDBusNexus *dbus_nexus_new(const char *name)
{
	PrmigDBusNexus *nexus;
	struct nexus_info info;
	GVariant *changed;
	bool any;

	if (strlen(name) > CFGSTRING_NAME_MAX || !nexus_get_info(name, &info))
		return NULL;
	nexus = g_object_new(prmig_dbus_nexus_get_type(), NULL);
	g_strlcpy(nexus->name, name, sizeof(nexus->name));
	changed = g_variant_ref_sink(dbus_properties_changed(nexus, &info, &any));
	g_variant_unref(changed);
	return nexus;
}
