/* SPDX-License-Identifier: Apache-2.0 */
/* The properties of org.prmig1.Nexus, from a snapshot of the nexus. */
#ifndef PRMIG_DBUS_PROPERTIES_H
#define PRMIG_DBUS_PROPERTIES_H

#include <gio/gio.h>

#include "nexus.h"

/* property: one of org.prmig1.xml. Floating, of the type that the XML gives it. */
GVariant *dbus_properties_get(const struct nexus_info *info, const char *property);

#endif
