/* SPDX-License-Identifier: Apache-2.0 */
/* Every name and path of prmig's on the bus, and every error. The contract is org.prmig1.xml. */
#ifndef PRMIG_DBUS_NAMES_H
#define PRMIG_DBUS_NAMES_H

#include <stddef.h>
#include <gio/gio.h>

#include "cfgstring.h"
#include "nexus-types.h"

#define DBUS_NAMES_BUS_NAME "org.prmig1"
#define DBUS_NAMES_ROOT "/org/prmig1"
#define DBUS_NAMES_NEXUS_PREFIX DBUS_NAMES_ROOT "/nexus/"
#define DBUS_NAMES_ERROR_PREFIX "org.prmig1.Error."

#define DBUS_NAMES_ERROR_INVALID_ARGS "org.freedesktop.DBus.Error.InvalidArgs"
#define DBUS_NAMES_ERROR_UNKNOWN_OBJECT "org.freedesktop.DBus.Error.UnknownObject"

/* Each byte of a name may become "_xx". */
#define DBUS_NAMES_PATH_MAX (sizeof(DBUS_NAMES_NEXUS_PREFIX) + (size_t)3 * CFGSTRING_NAME_MAX + 1)

/* The object of a nexus: name escaped as systemd's bus_label_escape() does. */
void dbus_names_nexus_path(const char *name, char ret_path[DBUS_NAMES_PATH_MAX]);

/* "org.prmig1.Error.Fenced"; error is not NEXUS_OK. */
const char *dbus_names_error(enum nexus_error error);

/* text as a D-Bus string: bytes that are no UTF-8 are replaced, which the bus would end the
 * connection for. Floating. */
GVariant *dbus_names_string(const char *text);

/* Answers a call with an error, takes the invocation. message: as dbus_names_string. */
void dbus_names_return_error(GDBusMethodInvocation *invocation, const char *error,
			     const char *message);

/* The reply of a method of nexus.h or group.h: the error by name, or state where the method returns one. Any thread. */
void dbus_names_answer(GDBusMethodInvocation *invocation, enum nexus_error error,
		       const char *message, const char *state);

#endif
