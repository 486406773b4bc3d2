/* SPDX-License-Identifier: Apache-2.0 */
/* nexus.h as the D-Bus edge sees it, with nothing behind it: what a test sets is what it says. */
#ifndef PRMIG_TESTS_DBUS_FAKE_NEXUS_H
#define PRMIG_TESTS_DBUS_FAKE_NEXUS_H

#include <stdbool.h>

#include "nexus.h"

/* A call that arrived. */
struct fake_nexus_call {
	char name[CFGSTRING_NAME_MAX + 1];
	enum nexus_method method;
	char state[NEXUS_STATE_LINE_MAX];
	bool force;
	char id[NEXUS_ID_LEN + 1];
	char destination[1024]; /* "(none)" when there was none */
	bool take_only;
};

/* Adds, or changes what there is, and tells the observer. */
void fake_nexus_put(const struct nexus_info *info);
/* Changes without telling, as Generation and InFlight do. */
void fake_nexus_put_silently(const struct nexus_info *info);
void fake_nexus_remove(const char *name);
void fake_nexus_fence(const char *name, bool fenced, uint64_t key);

/* What the next calls are answered with, on another thread, after delay_ms. */
void fake_nexus_answer(enum nexus_error error, const char *message, const char *state,
		       unsigned int delay_ms);
/* What this one nexus answers to that method from now on, in place of it; NEXUS_OK: as the others again. */
void fake_nexus_fail(const char *name, enum nexus_method method, enum nexus_error error);
/* A nexus that has state on disk and is not open; NULL: none any more. */
void fake_nexus_known(const char *name, const char *group);
/* "Import one take-only force; ..." of the calls since the last time this was asked, sorted; 4,096 bytes. */
void fake_nexus_take_log(char *ret_text);
/* How many calls have arrived, and the last one. */
unsigned int fake_nexus_calls(struct fake_nexus_call *ret_last);
/* How many have been answered. */
unsigned int fake_nexus_answered(void);

#endif
