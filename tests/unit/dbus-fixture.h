/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bus of the test's own, with the system bus's default policy, tcmu-runner's and prmig's real
 * one, and a client on it. The edge under test runs in this process.
 */
#ifndef PRMIG_TESTS_DBUS_FIXTURE_H
#define PRMIG_TESTS_DBUS_FIXTURE_H

#include <stdbool.h>
#include <gio/gio.h>

#include "nexus.h"

#define FIXTURE_VM1 "/org/prmig1/nexus/vm1"

/* Makes the directory and points DBUS_SYSTEM_BUS_ADDRESS at a bus that is not there yet. */
void fixture_prepare(void);
void fixture_start_bus(void);
void fixture_stop_bus(void);
/* Starts the edge, waits for the name. */
bool fixture_wait_for_name(unsigned int timeout_ms);
/* Bus, files and client away. */
void fixture_end(void);

/* The client's connection, opened at first use; signals arrive on the default main context. */
GDBusConnection *fixture_client(void);

/* A plausible nexus. */
struct nexus_info fixture_nexus(const char *name);

/*
 * Calls, with parameters taken (floating). The reply as printed by g_variant_print, or
 * "ERROR-NAME: message"; the caller's to g_free.
 */
char *fixture_call(const char *path, const char *interface, const char *method,
		   GVariant *parameters);
/* The same of FIXTURE_VM1, org.prmig1.Nexus; parameters as g_variant_parse reads them. */
char *fixture_call_text(const char *method, const char *parameters);

/* Signals of path since the last call of this, "Member(arguments)" one a line, after waiting until
 * there is one or timeout_ms have passed. */
char *fixture_signals(const char *path, unsigned int timeout_ms);

/* A shell command's output, stderr included, and its exit status. */
char *fixture_shell(const char *command, int *ret_status);

#endif
