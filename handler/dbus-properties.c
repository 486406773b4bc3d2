/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus-properties.h"

#include <string.h>

#include "dbus-names.h"
#include "pr.h"

/* The plain ones: where they stand in the snapshot. */
static const struct {
	const char *name;
	char type; /* as D-Bus writes it */
	size_t offset;
} dbus_plain[] = {
	{"Name", 's', offsetof(struct nexus_info, name)},
	{"Group", 's', offsetof(struct nexus_info, group)},
	{"Device", 's', offsetof(struct nexus_info, device)},
	{"Lun", 's', offsetof(struct nexus_info, lun)},
	{"Backend", 's', offsetof(struct nexus_info, backend)},
	{"Fenced", 'b', offsetof(struct nexus_info, fenced)},
	{"Failure", 's', offsetof(struct nexus_info, failure)},
	{"MigratePr", 'b', offsetof(struct nexus_info, migrate_pr)},
	{"Emulated", 'b', offsetof(struct nexus_info, emulated)},
	{"Key", 't', offsetof(struct nexus_info, key)},
	{"Holder", 'b', offsetof(struct nexus_info, holder)},
	{"Type", 'y', offsetof(struct nexus_info, type)},
	{"Ptpl", 'b', offsetof(struct nexus_info, ptpl)},
	{"HandoverId", 's', offsetof(struct nexus_info, handover_id)},
	{"Generation", 'u', offsetof(struct nexus_info, generation)},
	{"InFlight", 'u', offsetof(struct nexus_info, in_flight)},
};

static GVariant *dbus_plain_value(char type, const void *field)
{
	switch (type) {
	case 'b':
		return g_variant_new_boolean(*(const bool *)field);
	case 't':
		return g_variant_new_uint64(*(const uint64_t *)field);
	case 'u':
		return g_variant_new_uint32(*(const uint32_t *)field);
	case 'y':
		return g_variant_new_byte(*(const uint8_t *)field);
	default:
		return dbus_names_string(field);
	}
}

static GVariant *dbus_paths(const struct nexus_info *info)
{
	GVariantBuilder paths;
	size_t i;

	g_variant_builder_init(&paths, G_VARIANT_TYPE("a(sub)"));
	for (i = 0; i < info->path_count && i < G_N_ELEMENTS(info->paths); i++)
		g_variant_builder_add(&paths, "(@sub)",
				      dbus_names_string(info->paths[i].transport_id),
				      (guint32)info->paths[i].relative_target_port,
				      (gboolean)info->paths[i].registered);
	return g_variant_builder_end(&paths);
}

static const char *dbus_state_name(enum nexus_state state)
{
	switch (state) {
	case NEXUS_ACTIVE:
		return "active";
	case NEXUS_INCOMING:
		return "incoming";
	case NEXUS_EXPORTED:
		return "exported";
	}
	return "";
}

GVariant *dbus_properties_get(const struct nexus_info *info, const char *property)
{
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(dbus_plain); i++) {
		if (strcmp(property, dbus_plain[i].name) == 0)
			return dbus_plain_value(dbus_plain[i].type,
						(const char *)info + dbus_plain[i].offset);
	}
	if (strcmp(property, "State") == 0)
		return g_variant_new_string(dbus_state_name(info->state));
	if (strcmp(property, "TypeName") == 0)
		return g_variant_new_string(pr_type_name(info->type));
	return dbus_paths(info); /* Paths */
}
