/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.qemu.VMState1 for a group, on the bus of its VM: QEMU's dbus-vmstate calls Save when the guest has stopped and Load before it runs on the
 * destination (design section 7, QEMU calls it itself). A bus that is not there is tried again every second: it comes and goes with the VM.
 */
#ifndef PRMIG_DBUS_VMSTATE_H
#define PRMIG_DBUS_VMSTATE_H

#include "dbus-conf.h"

/* On the edge's thread, whose default main context serves it from then on. conf is copied from. */
void dbus_vmstate_start(const struct dbus_conf_group *conf);

#endif
