/* SPDX-License-Identifier: Apache-2.0 */
/* org.prmig1.Manager, at /org/prmig1. */
#ifndef PRMIG_DBUS_MANAGER_H
#define PRMIG_DBUS_MANAGER_H

#include <gio/gio.h>

/* The registration's id, on the calling thread's main context; 0 and *error when it fails. */
guint dbus_manager_register(GDBusConnection *connection, GError **error);

#endif
