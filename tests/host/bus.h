/* SPDX-License-Identifier: Apache-2.0 */
/* A "system bus" of the test's own, with an open policy, and calls to org.prmig1 on it. */
#ifndef PRMIG_TESTS_BUS_H
#define PRMIG_TESTS_BUS_H

#include <stdbool.h>
#include <stdint.h>

#define BUS_STATE_MAX 4096
#define BUS_TEXT_MAX 1024

struct bus;

/* Starts a dbus-daemon whose socket is in root. NULL: a message is on stderr. It ends with its
 * parent. */
struct bus *bus_start(const char *root);
void bus_stop(struct bus *bus);
const char *bus_address(const struct bus *bus);

struct bus_options {
	bool force;
	const char *id;		 /* NULL: none */
	const char *destination; /* likewise */
};

struct bus_reply {
	bool ok;
	char error[64]; /* "Fenced" for org.prmig1.Error.Fenced; a foreign name as it is */
	char message[BUS_TEXT_MAX];
	char state[BUS_STATE_MAX]; /* Export, Prepare */
};

/*
 * Calls a method of a nexus: "Export", "Import", "Abort", "Release", "Check", "Prepare", "Forget",
 * "Resync". state: for Import and Check. options: NULL for none. True: it succeeded.
 */
bool bus_call(const char *address, const char *nexus, const char *method, const char *state,
	      const struct bus_options *options, struct bus_reply *ret_reply);
/* The same of a group: "Export", "Import", "Abort", "Release", "Check", "Prepare". */
bool bus_call_group(const char *address, const char *group, const char *method, const char *state,
		    const struct bus_options *options, struct bus_reply *ret_reply);
/* A property as GVariant's text prints it without types ("'active'", "true", "4660"). text:
 * BUS_TEXT_MAX. */
bool bus_property(const char *address, const char *nexus, const char *property, char *ret_text);
/* Waits until a property prints like this. */
bool bus_wait_property(const char *address, const char *nexus, const char *property,
		       const char *text, uint32_t timeout_ms);

#endif
