/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/prmig/prmig.conf: what is not a backstore's. Read once, when the handler starts.
 *
 *     [prmig]
 *     resync-interval=5        seconds between looks at the LUN while registered; 0: never by the clock
 *
 *     [group vm1]              a group whose hand-over QEMU calls itself (dbus-vmstate)
 *     vmstate-bus=unix:path=/run/vm1/bus
 *     vmstate-id=prmig-vm1
 */
#ifndef PRMIG_DBUS_CONF_H
#define PRMIG_DBUS_CONF_H

#include <gio/gio.h>

struct dbus_conf_group {
	char *group;
	char *vmstate_bus; /* a D-Bus address */
	char *vmstate_id;
};

struct dbus_conf {
	unsigned int resync_interval_s;
	GPtrArray *groups; /* struct dbus_conf_group */
};

/*
 * A file that is not there is an empty one. What is wrong in it is logged, each with what would be right, and left out; the rest counts. Free with
 * dbus_conf_free.
 */
struct dbus_conf *dbus_conf_read(void);
void dbus_conf_free(struct dbus_conf *conf);

#endif
