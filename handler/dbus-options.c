/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus-options.h"

#include <string.h>

static const struct {
	enum dbus_option option;
	const char *name;
	const char *type;
	const char *type_name;
} dbus_options[] = {
	{DBUS_OPTION_FORCE, "force", "b", "a boolean"},
	{DBUS_OPTION_ID, "id", "s", "a string"},
	{DBUS_OPTION_DESTINATION, "destination", "s", "a string"},
};

static char *known_text(unsigned int known)
{
	GString *text = g_string_new(NULL);
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(dbus_options); i++) {
		if (known & dbus_options[i].option)
			g_string_append_printf(text, "%s%s (%s)", text->len ? ", " : "",
					       dbus_options[i].name, dbus_options[i].type);
	}
	return g_string_free(text, FALSE);
}

static char *unknown_reason(const char *name, unsigned int known, const char *method)
{
	g_autofree char *text = known_text(known);

	if (!*text)
		return g_strdup_printf("unknown option '%s': %s takes no options", name, method);
	return g_strdup_printf("unknown option '%s': %s knows %s", name, method, text);
}

static bool set_id(const char *id, struct nexus_options *options)
{
	size_t len = strlen(id);

	if (len == 0 || len > NEXUS_ID_LEN || strspn(id, "0123456789abcdef") != len)
		return false;
	memcpy(options->id, id, len + 1);
	return true;
}

static bool set_option(const char *name, GVariant *value, unsigned int known, const char *method,
		       struct nexus_options *options, char **ret_reason)
{
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(dbus_options); i++) {
		if ((known & dbus_options[i].option) && strcmp(name, dbus_options[i].name) == 0)
			break;
	}
	if (i == G_N_ELEMENTS(dbus_options)) {
		*ret_reason = unknown_reason(name, known, method);
		return false;
	}
	if (strcmp(g_variant_get_type_string(value), dbus_options[i].type) != 0) {
		g_autofree char *text = known_text(known);

		*ret_reason = g_strdup_printf(
			"option '%s' has type %s, but is %s (%s): %s knows %s", name,
			g_variant_get_type_string(value), dbus_options[i].type_name,
			dbus_options[i].type, method, text);
		return false;
	}
	switch (dbus_options[i].option) {
	case DBUS_OPTION_FORCE:
		options->force = g_variant_get_boolean(value);
		return true;
	case DBUS_OPTION_DESTINATION:
		options->destination = g_variant_get_string(value, NULL);
		return true;
	case DBUS_OPTION_ID:
		if (set_id(g_variant_get_string(value, NULL), options))
			return true;
		*ret_reason = g_strdup_printf(
			"option 'id' is a hand-over's id, as the property HandoverId shows it: up "
			"to %d hexadecimal digits, not '%.64s'",
			NEXUS_ID_LEN, g_variant_get_string(value, NULL));
		return false;
	}
	return false;
}

bool dbus_options_parse(GVariant *options, unsigned int known, const char *method,
			struct nexus_options *ret_options, char **ret_reason)
{
	struct nexus_options parsed = {0};
	GVariantIter iter;
	const char *name;
	GVariant *value;

	g_variant_iter_init(&iter, options);
	while (g_variant_iter_next(&iter, "{&sv}", &name, &value)) {
		bool good = set_option(name, value, known, method, &parsed, ret_reason);

		g_variant_unref(value);
		if (!good)
			return false;
	}
	*ret_options = parsed;
	return true;
}
