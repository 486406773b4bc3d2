/* SPDX-License-Identifier: Apache-2.0 */
/* Groups (design section 7): which nexuses are called, in which rounds, and what comes of one that fails. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../check.h"
#include "dbus-fake-nexus.h"
#include "group.h"
#include "record.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static bool is_answered;
static struct group_reply reply;
static char calls[4096];

static void ignore_name(void *user, const char *name)
{
	(void)user, (void)name;
}

static void ignore_fenced(void *user, const char *name, bool fenced, uint64_t key)
{
	(void)user, (void)name, (void)fenced, (void)key;
}

static void done(void *user, const struct group_reply *got)
{
	(void)user;
	pthread_mutex_lock(&lock);
	reply = *got;
	is_answered = true;
	pthread_cond_signal(&answered);
	pthread_mutex_unlock(&lock);
}

static void call_with(const char *group, enum nexus_method method, const char *state,
		      const struct nexus_options *options)
{
	is_answered = false;
	CHECK(group_call(group, method, state, options, done, NULL));
	pthread_mutex_lock(&lock);
	while (!is_answered)
		pthread_cond_wait(&answered, &lock);
	pthread_mutex_unlock(&lock);
	fake_nexus_take_log(calls);
}

static void call(const char *group, enum nexus_method method, const char *state)
{
	struct nexus_options options = {0};

	call_with(group, method, state, &options);
}

static void put(const char *name, const char *group, const char *lun)
{
	struct nexus_info info = {0};

	snprintf(info.name, sizeof(info.name), "%s", name);
	snprintf(info.group, sizeof(info.group), "%s", group);
	snprintf(info.lun, sizeof(info.lun), "%s", lun);
	fake_nexus_put(&info);
}

static void line_for(const char *lun, char *ret_line)
{
	struct unit_attentions none = {0};
	struct record record = {.out = {.row = 1}};

	snprintf(record.lun, sizeof(record.lun), "%s", lun);
	snprintf(record.out.id, sizeof(record.out.id), "%032d", 7);
	CHECK(state_line_format(&record, &none, "there", ret_line));
}

static void export_joins_lines(void)
{
	fake_nexus_answer(NEXUS_OK, "", "LINE", 5);
	call("vm", NEXUS_EXPORT, NULL);
	CHECK_INT(reply.error, NEXUS_OK);
	CHECK_STR(reply.state, "LINE+LINE");
	CHECK_STR(calls, "Export one; Export two");
}

static void destinations_are_matched(void)
{
	struct record_port port = {.transport_id = {5}, .transport_id_len = 24};
	char one[NEXUS_STATE_LINE_MAX], two[NEXUS_STATE_LINE_MAX], both[2 * NEXUS_STATE_LINE_MAX];
	struct nexus_options options = {.destination = both};
	struct fake_nexus_call last;

	CHECK(prepare_line_format("naa.1", &port, one));
	CHECK(prepare_line_format("naa.2", &port, two));
	snprintf(both, sizeof(both), "%s+%s", two, one);
	call_with("vm", NEXUS_EXPORT, NULL, &options);
	CHECK_INT(reply.error, NEXUS_OK);
	fake_nexus_calls(&last);
	CHECK_STR(last.destination, strcmp(last.name, "one") == 0 ? one : two);
	snprintf(both, sizeof(both), "%s", one);
	call_with("vm", NEXUS_EXPORT, NULL, &options);
	CHECK_INT(reply.error, NEXUS_ERROR_WRONG_LUN);
	CHECK_STR(calls, "");
}

static void export_that_fails_aborts_the_others(void)
{
	fake_nexus_fail("two", NEXUS_EXPORT, NEXUS_ERROR_TIMEOUT);
	call("vm", NEXUS_EXPORT, NULL);
	CHECK_INT(reply.error, NEXUS_ERROR_TIMEOUT);
	CHECK_CONTAINS(reply.message, "nexus 'two' of group 'vm': it failed");
	CHECK_STR(calls, "Abort one; Export one; Export two");
	fake_nexus_fail("two", NEXUS_EXPORT, NEXUS_OK);
}

static void import_opens_all_gates_or_none(void)
{
	char one[NEXUS_STATE_LINE_MAX], two[NEXUS_STATE_LINE_MAX], state[2 * NEXUS_STATE_LINE_MAX];

	line_for("naa.1", one);
	line_for("naa.2", two);
	snprintf(state, sizeof(state), "%s+%s", two, one);
	call("vm", NEXUS_IMPORT, state);
	CHECK_INT(reply.error, NEXUS_OK);
	CHECK_STR(calls, "Import one; Import one take-only; Import two; Import two take-only");
	fake_nexus_fail("one", NEXUS_IMPORT, NEXUS_ERROR_STALE);
	call("vm", NEXUS_IMPORT, state);
	CHECK_INT(reply.error, NEXUS_ERROR_STALE);
	CHECK_CONTAINS(reply.message, "gates of the group stay closed");
	CHECK_STR(calls, "Import one take-only; Import two take-only");
	fake_nexus_fail("one", NEXUS_IMPORT, NEXUS_OK);
}

static void import_matches_by_lun(void)
{
	char one[NEXUS_STATE_LINE_MAX], other[NEXUS_STATE_LINE_MAX],
		state[2 * NEXUS_STATE_LINE_MAX];

	line_for("naa.1", one);
	line_for("naa.9", other);
	call("vm", NEXUS_IMPORT, one);
	CHECK_INT(reply.error, NEXUS_ERROR_WRONG_LUN);
	CHECK_CONTAINS(reply.message, "no line for LUN naa.2 of nexus 'two'");
	snprintf(state, sizeof(state), "%s+%s", one, other);
	call("vm", NEXUS_IMPORT, state);
	CHECK_INT(reply.error, NEXUS_ERROR_WRONG_LUN);
	CHECK_CONTAINS(reply.message, "no nexus here for LUN naa.9");
	snprintf(state, sizeof(state), "%s+%s", one, one);
	call("vm", NEXUS_IMPORT, state);
	CHECK_INT(reply.error, NEXUS_ERROR_WRONG_LUN);
	snprintf(state, sizeof(state), "%s+x", one);
	call("vm", NEXUS_IMPORT, state);
	CHECK_INT(reply.error, NEXUS_ERROR_BAD_STATE);
	CHECK_CONTAINS(reply.message, "line 2 of the group's state");
	call("vm", NEXUS_CHECK, one);
	CHECK_INT(reply.error, NEXUS_ERROR_WRONG_LUN);
	CHECK_STR(calls, "");
	call("vm", NEXUS_CHECK, "");
	CHECK_STR(calls, "Check one; Check two");
}

static void a_missing_member_fails_the_call(void)
{
	fake_nexus_known("three", "vm");
	call("vm", NEXUS_EXPORT, NULL);
	CHECK_INT(reply.error, NEXUS_ERROR_WRONG_STATE);
	CHECK_CONTAINS(reply.message, "nexus 'three' of group 'vm' is not open");
	CHECK_STR(calls, "");
	/* One that is open says itself where it belongs: it has left. */
	fake_nexus_known("else", "vm");
	call("vm", NEXUS_EXPORT, NULL);
	CHECK_STR(calls, "Export one; Export two");
	fake_nexus_known(NULL, NULL);
	call("nobody", NEXUS_EXPORT, NULL);
	CHECK_INT(reply.error, NEXUS_ERROR_WRONG_STATE);
	CHECK_CONTAINS(reply.message, "no nexus of group 'nobody'");
}

/* As many lines as nexuses; which of them is whose goes by name. */
static void one_lun_twice_needs_two_lines(void)
{
	char one[NEXUS_STATE_LINE_MAX], two[NEXUS_STATE_LINE_MAX], state[3 * NEXUS_STATE_LINE_MAX];

	put("twin", "vm", "naa.1");
	line_for("naa.1", one);
	line_for("naa.2", two);
	snprintf(state, sizeof(state), "%s+%s", one, two);
	call("vm", NEXUS_IMPORT, state);
	CHECK_INT(reply.error, NEXUS_ERROR_WRONG_LUN);
	CHECK_CONTAINS(reply.message, "no line for LUN naa.1 of nexus 'twin'");
	CHECK_STR(calls, "");
	snprintf(state, sizeof(state), "%s+%s+%s", one, two, one);
	call("vm", NEXUS_IMPORT, state);
	CHECK_INT(reply.error, NEXUS_OK);
	CHECK_STR(calls, "Import one; Import one take-only; Import twin; Import twin take-only; "
			 "Import two; Import two take-only");
	fake_nexus_remove("twin");
	call("vm", NEXUS_IMPORT, state);
	CHECK_INT(reply.error, NEXUS_ERROR_WRONG_LUN);
	CHECK_CONTAINS(reply.message, "or fewer than there");
}

int main(void)
{
	static const struct nexus_observer observer = {
		.added = ignore_name,
		.removed = ignore_name,
		.changed = ignore_name,
		.fenced_changed = ignore_fenced,
	};

	nexus_set_observer(&observer);
	put("one", "vm", "naa.1");
	put("two", "vm", "naa.2");
	put("else", "other", "naa.3");
	CHECK_RUN(export_joins_lines);
	CHECK_RUN(destinations_are_matched);
	CHECK_RUN(export_that_fails_aborts_the_others);
	CHECK_RUN(import_opens_all_gates_or_none);
	CHECK_RUN(import_matches_by_lun);
	CHECK_RUN(a_missing_member_fails_the_call);
	CHECK_RUN(one_lun_twice_needs_two_lines);
	return check_summary();
}
