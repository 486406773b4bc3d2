/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus-names.h"

#include <stdio.h>

void dbus_names_nexus_path(const char *name, char ret_path[DBUS_NAMES_PATH_MAX])
{
	static const char hex[] = "0123456789abcdef";
	const char *p;
	char *out = ret_path + sprintf(ret_path, "%s", DBUS_NAMES_NEXUS_PREFIX);
	const char *end = ret_path + DBUS_NAMES_PATH_MAX - 4;

	if (*name == '\0')
		*out++ = '_';
	for (p = name; *p && out < end; p++) {
		if (g_ascii_isalpha(*p) || (p > name && g_ascii_isdigit(*p))) {
			*out++ = *p;
		} else {
			*out++ = '_';
			*out++ = hex[(unsigned char)*p >> 4];
			*out++ = hex[(unsigned char)*p & 0xf];
		}
	}
	*out = '\0';
}

const char *dbus_names_error(enum nexus_error error)
{
	static const char *const names[] = {
		[NEXUS_ERROR_FENCED] = DBUS_NAMES_ERROR_PREFIX "Fenced",
		[NEXUS_ERROR_STALE] = DBUS_NAMES_ERROR_PREFIX "Stale",
		[NEXUS_ERROR_WRONG_LUN] = DBUS_NAMES_ERROR_PREFIX "WrongLun",
		[NEXUS_ERROR_KEY_SHARED] = DBUS_NAMES_ERROR_PREFIX "KeyShared",
		[NEXUS_ERROR_WRONG_STATE] = DBUS_NAMES_ERROR_PREFIX "WrongState",
		[NEXUS_ERROR_BAD_STATE] = DBUS_NAMES_ERROR_PREFIX "BadState",
		[NEXUS_ERROR_NOT_REGISTERED] = DBUS_NAMES_ERROR_PREFIX "NotRegistered",
		[NEXUS_ERROR_UNSUPPORTED] = DBUS_NAMES_ERROR_PREFIX "Unsupported",
		[NEXUS_ERROR_TIMEOUT] = DBUS_NAMES_ERROR_PREFIX "Timeout",
		[NEXUS_ERROR_LUN] = DBUS_NAMES_ERROR_PREFIX "Lun",
	};

	if ((size_t)error >= G_N_ELEMENTS(names) || !names[error])
		return "org.freedesktop.DBus.Error.Failed";
	return names[error];
}

GVariant *dbus_names_string(const char *text)
{
	return g_variant_new_take_string(g_utf8_make_valid(text, -1));
}

void dbus_names_return_error(GDBusMethodInvocation *invocation, const char *error,
			     const char *message)
{
	g_autofree char *valid = g_utf8_make_valid(message, -1);

	g_dbus_method_invocation_return_dbus_error(invocation, error, valid);
}

void dbus_names_answer(GDBusMethodInvocation *invocation, enum nexus_error error,
		       const char *message, const char *state)
{
	const GDBusMethodInfo *info = g_dbus_method_invocation_get_method_info(invocation);

	if (error != NEXUS_OK)
		dbus_names_return_error(invocation, dbus_names_error(error), message);
	else if (info->out_args && info->out_args[0])
		g_dbus_method_invocation_return_value(
			invocation, g_variant_new("(@s)", dbus_names_string(state)));
	else
		g_dbus_method_invocation_return_value(invocation, NULL);
}
