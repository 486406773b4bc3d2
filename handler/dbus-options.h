/* SPDX-License-Identifier: Apache-2.0 */
/* The options (a{sv}) of a method: which it knows, and what was given. */
#ifndef PRMIG_DBUS_OPTIONS_H
#define PRMIG_DBUS_OPTIONS_H

#include <stdbool.h>
#include <gio/gio.h>

#include "nexus.h"

/* What a method knows, as a mask. */
enum dbus_option {
	DBUS_OPTION_FORCE = 1 << 0,
	DBUS_OPTION_ID = 1 << 1,
	DBUS_OPTION_DESTINATION = 1 << 2,
};

/*
 * options: a{sv}; outlives *ret_options, which points into it. False: an option that is not known,
 * of the wrong type or without a meaning; *ret_reason, the caller's to g_free, names it and lists
 * what the method knows.
 */
bool dbus_options_parse(GVariant *options, unsigned int known, const char *method,
			struct nexus_options *ret_options, char **ret_reason);

#endif
