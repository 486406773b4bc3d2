/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The D-Bus edge: org.prmig1 on the system bus, on a connection and a thread of its own. Calls into
 * nexus.h, and knows nothing below it. (Not on the daemon's shared connection: tcmu-runner's bus
 * policy lets every user send to that one.)
 */
#ifndef PRMIG_DBUS_EDGE_H
#define PRMIG_DBUS_EDGE_H

/*
 * Starts the thread and makes it the observer of nexuses; before the first nexus_open. Again: does
 * nothing. A bus that cannot be reached is logged once and tried again, every second at first and
 * every ten later: guests have their disks without it. 0, or a negative errno when there is no
 * thread to be had.
 */
int dbus_edge_start(void);

#endif
