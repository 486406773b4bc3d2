/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One nexus on the bus: org.prmig1.Nexus. Properties come from the nexus when they are read; the
 * ones sent last are kept to know what has changed. Everything on the thread of the D-Bus edge.
 */
#ifndef PRMIG_DBUS_NEXUS_H
#define PRMIG_DBUS_NEXUS_H

#include <stdbool.h>
#include <stdint.h>
#include <gio/gio.h>

G_DECLARE_FINAL_TYPE(PrmigDBusNexus, prmig_dbus_nexus, PRMIG, DBUS_NEXUS, GDBusInterfaceSkeleton)

/* NULL: there is no such nexus (any more). */
PrmigDBusNexus *dbus_nexus_new(const char *name);

/* Sends PropertiesChanged for what is not as sent last. */
void dbus_nexus_refresh(PrmigDBusNexus *nexus);

/* Sends the signal FencedChanged. */
void dbus_nexus_emit_fenced_changed(PrmigDBusNexus *nexus, bool fenced, uint64_t key);

#endif
