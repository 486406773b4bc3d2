/* SPDX-License-Identifier: Apache-2.0 */
/* An emulated LUN, a file that two hosts share, moves from one to the other with all that is registered on it. */
#include "check.h"
#include "emulated.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SOURCE 0
#define DESTINATION 1
#define WERO 5
#define TIMEOUT_MS 20000

static struct bus_reply reply;
static char line[BUS_STATE_MAX], older[BUS_STATE_MAX];
static char text[256];

static void check_keys(unsigned int host, const char *name, const char *want)
{
	emulated_keys(host, name, text);
	CHECK_STR(text, want);
}

static void check_reservation(unsigned int host, const char *name, const char *want)
{
	emulated_reservation(host, name, text);
	CHECK_STR(text, want);
}

/* vm1 of the source holds; the destination waits for it. */
static void set_up(const char *options)
{
	char incoming[64];

	CHECK(emulated_reset());
	CHECK(emulated_add(SOURCE, "vm1", options));
	snprintf(incoming, sizeof(incoming), ";incoming=on%s", options);
	CHECK(emulated_add(DESTINATION, "vm1", incoming));
	CHECK_INT(emulated_pr(SOURCE, "vm1", EMULATED_REGISTER, 0, 0, 0xa1, NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(SOURCE, "vm1", EMULATED_RESERVE, WERO, 0xa1, 0, NULL), HOST_GOOD);
	CHECK_INT(emulated_write(SOURCE, "vm1", NULL), HOST_GOOD);
}

static void export_line(unsigned int host, char *ret_line)
{
	CHECK(emulated_call(host, "vm1", "Export", NULL, false, NULL, &reply));
	snprintf(ret_line, BUS_STATE_MAX, "%s", reply.state);
}

static void is_at(unsigned int host)
{
	CHECK(emulated_property_is(host, "vm1", "State", "'active'"));
	CHECK(emulated_property_is(host, "vm1", "Key", "161"));
	CHECK(emulated_property_is(host, "vm1", "Holder", "true"));
	CHECK_INT(emulated_write(host, "vm1", NULL), HOST_GOOD);
	check_reservation(host, "vm1", "5 a1");
}

static void moves(void)
{
	set_up("");
	/* Waiting, it reads, and knows of no reservation. */
	CHECK_INT(emulated_read(DESTINATION, "vm1", NULL), HOST_GOOD);
	check_keys(DESTINATION, "vm1", "status 02 sense 020400");
	CHECK(emulated_call(DESTINATION, "vm1", "Check", "", false, NULL, &reply));
	export_line(SOURCE, line);
	CHECK(emulated_call(DESTINATION, "vm1", "Check", line, false, NULL, &reply));
	CHECK(emulated_call(DESTINATION, "vm1", "Import", line, false, NULL, &reply));
	is_at(DESTINATION);
	CHECK(emulated_call(DESTINATION, "vm1", "Check", line, false, NULL, &reply));
	CHECK(emulated_call(SOURCE, "vm1", "Release", NULL, false, NULL, &reply));
	check_keys(SOURCE, "vm1", "status 02 sense 020400");
	/* And back. */
	CHECK(emulated_call(DESTINATION, "vm1", "Export", NULL, false, NULL, &reply));
	snprintf(line, sizeof(line), "%s", reply.state);
	CHECK(emulated_call(SOURCE, "vm1", "Import", line, false, NULL, &reply));
	is_at(SOURCE);
	CHECK(emulated_call(DESTINATION, "vm1", "Release", NULL, false, NULL, &reply));
}

static void aborted(void)
{
	set_up("");
	export_line(SOURCE, line);
	CHECK(emulated_call(SOURCE, "vm1", "Abort", NULL, false, NULL, &reply));
	is_at(SOURCE);
	CHECK(emulated_call(DESTINATION, "vm1", "Import", line, false, "Stale", &reply));
	CHECK_CONTAINS(reply.message, "ticket no more");
	/* A fresh line makes the older one worthless. */
	export_line(SOURCE, older);
	export_line(SOURCE, line);
	CHECK(emulated_call(DESTINATION, "vm1", "Import", older, false, "Stale", &reply));
	CHECK(emulated_call(DESTINATION, "vm1", "Import", line, false, NULL, &reply));
	/* It has arrived: the source waits for the destination's Abort. */
	CHECK(emulated_call(SOURCE, "vm1", "Abort", NULL, false, "WrongState", &reply));
	CHECK(emulated_call(DESTINATION, "vm1", "Abort", NULL, false, NULL, &reply));
	CHECK(emulated_call(SOURCE, "vm1", "Abort", NULL, false, NULL, &reply));
	is_at(SOURCE);
}

static void released_too_early(void)
{
	set_up("");
	export_line(SOURCE, line);
	CHECK(emulated_call(SOURCE, "vm1", "Release", NULL, false, "WrongState", &reply));
	CHECK(emulated_call(SOURCE, "vm1", "Release", NULL, true, "WrongState", &reply));
	CHECK(emulated_call(DESTINATION, "vm1", "Import", line, false, NULL, &reply));
	is_at(DESTINATION);
}

static void not_split(void)
{
	set_up("");
	CHECK(emulated_add(SOURCE, "vm2", ""));
	CHECK(emulated_call(SOURCE, "vm1", "Export", NULL, false, "Unsupported", &reply));
	CHECK_CONTAINS(reply.message, "nexus 'vm2' would stay behind");
	is_at(SOURCE);
	CHECK_INT(emulated_write(SOURCE, "vm2", NULL), 0x18);
}

static void group_moves(void)
{
	set_up(";group=g");
	CHECK(emulated_add(SOURCE, "vm2", ";group=g"));
	CHECK(emulated_add(DESTINATION, "vm2", ";group=g;incoming=on"));
	CHECK_INT(emulated_pr(SOURCE, "vm2", EMULATED_REGISTER, 0, 0, 0xb2, NULL), HOST_GOOD);
	/* One of them alone would leave the other behind. */
	CHECK(emulated_call(SOURCE, "vm1", "Export", NULL, false, "Unsupported", &reply));
	CHECK(emulated_call_group(SOURCE, "g", "Export", NULL, false, NULL, &reply));
	snprintf(line, sizeof(line), "%s", reply.state);
	CHECK(emulated_call_group(DESTINATION, "g", "Import", line, false, NULL, &reply));
	is_at(DESTINATION);
	CHECK(emulated_property_is(DESTINATION, "vm2", "Key", "178"));
	CHECK(emulated_call_group(SOURCE, "g", "Release", NULL, false, NULL, &reply));
	/* And a failure: back. */
	CHECK(emulated_call_group(DESTINATION, "g", "Export", NULL, false, NULL, &reply));
	snprintf(line, sizeof(line), "%s", reply.state);
	CHECK(emulated_call_group(SOURCE, "g", "Import", line, false, NULL, &reply));
	CHECK(emulated_call_group(SOURCE, "g", "Abort", NULL, false, NULL, &reply));
	CHECK(emulated_call_group(DESTINATION, "g", "Abort", NULL, false, NULL, &reply));
	is_at(DESTINATION);
	CHECK(emulated_property_is(DESTINATION, "vm2", "Key", "178"));
}

static void other_host_refused(void)
{
	char reason[HOST_REASON_MAX];

	set_up("");
	CHECK(!emulated_try(DESTINATION, "vm9", emulated.cfg, reason));
	/* Waiting, it can be told that the other host is dead. */
	CHECK(emulated_call(DESTINATION, "vm1", "Abort", NULL, false, "WrongState", &reply));
	CHECK_CONTAINS(reply.message, "is claimed by host '");
	machine_kill(emulated.machine[SOURCE]);
	CHECK(emulated_call(DESTINATION, "vm1", "Abort", NULL, true, NULL, &reply));
	CHECK(emulated_property_is(DESTINATION, "vm1", "State", "'active'"));
	/* Nothing is known of what was registered there. */
	CHECK_INT(emulated_write(DESTINATION, "vm1", NULL), HOST_CHECK_CONDITION);
	CHECK_INT(emulated_write(DESTINATION, "vm1", NULL), HOST_GOOD);
	check_keys(DESTINATION, "vm1", "0:");
	/* The dead one comes back: it has no LUN any more. */
	CHECK(machine_boot(emulated.machine[SOURCE]));
	CHECK(emulated_write(SOURCE, "vm1", NULL) != HOST_GOOD);
	CHECK_INT(emulated_write(DESTINATION, "vm1", NULL), HOST_GOOD);
}

/* A registration follows the line, whatever the nexus is called there. */
static void group_crossed(void)
{
	CHECK(emulated_reset());
	CHECK(emulated_add(SOURCE, "a", ";group=g"));
	CHECK(emulated_add(SOURCE, "b", ";group=g"));
	CHECK(emulated_add(SOURCE, "c", ";group=g"));
	CHECK(emulated_add(DESTINATION, "b", ";group=g;incoming=on"));
	CHECK(emulated_add(DESTINATION, "c", ";group=g;incoming=on"));
	CHECK(emulated_add(DESTINATION, "d", ";group=g;incoming=on"));
	CHECK_INT(emulated_pr(SOURCE, "a", EMULATED_REGISTER, 0, 0, 0xaa, NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(SOURCE, "c", EMULATED_REGISTER, 0, 0, 0xcc, NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(SOURCE, "c", EMULATED_RESERVE, WERO, 0xcc, 0, NULL), HOST_GOOD);
	CHECK(emulated_call_group(SOURCE, "g", "Export", NULL, false, NULL, &reply));
	snprintf(line, sizeof(line), "%s", reply.state);
	CHECK(emulated_call_group(DESTINATION, "g", "Import", line, false, NULL, &reply));
	CHECK(emulated_property_is(DESTINATION, "b", "Key", "170"));
	CHECK(emulated_property_is(DESTINATION, "c", "Key", "0"));
	CHECK(emulated_property_is(DESTINATION, "d", "Key", "204"));
	CHECK(emulated_property_is(DESTINATION, "d", "Holder", "true"));
	CHECK_INT(emulated_write(DESTINATION, "b", NULL), HOST_GOOD);
	CHECK_INT(emulated_write(DESTINATION, "c", NULL), 0x18);
	CHECK_INT(emulated_write(DESTINATION, "d", NULL), HOST_GOOD);
	emulated_keys(DESTINATION, "c", text);
	CHECK_CONTAINS(text, ": aa cc");
	CHECK(emulated_call_group(SOURCE, "g", "Release", NULL, false, NULL, &reply));
}

/* What the guest has done at the destination is not undone by a source that does not know of it. */
static void not_handed_back_changed(void)
{
	set_up("");
	export_line(SOURCE, line);
	CHECK(emulated_call(DESTINATION, "vm1", "Import", line, false, NULL, &reply));
	CHECK_INT(emulated_pr(DESTINATION, "vm1", EMULATED_RELEASE, WERO, 0xa1, 0, NULL),
		  HOST_GOOD);
	CHECK(emulated_call(DESTINATION, "vm1", "Abort", NULL, false, "WrongState", &reply));
	CHECK(emulated_call(DESTINATION, "vm1", "Abort", NULL, true, NULL, &reply));
	CHECK(emulated_call(SOURCE, "vm1", "Abort", NULL, false, "WrongState", &reply));
	emulated_call(SOURCE, "vm1", "Abort", NULL, true, "Fenced", &reply);
	CHECK(emulated_property_is(SOURCE, "vm1", "State", "'active'"));
	CHECK(emulated_property_is(SOURCE, "vm1", "Fenced", "true"));
	/* The guest is told; once or twice. */
	CHECK_INT(emulated_test_unit_ready(SOURCE, "vm1", NULL), HOST_CHECK_CONDITION);
	emulated_test_unit_ready(SOURCE, "vm1", NULL);
	check_reservation(SOURCE, "vm1", "none");
}

/* ---- a SCSI LUN ---- */

#define PR_OUT 0x5f
#define SLOW_MS 2000

static pthread_t importer;

static void *import_run(void *unused)
{
	static struct bus_reply unanswered;

	(void)unused;
	bus_call(machine_bus(emulated.machine[DESTINATION]), "vm1", "Import", line, NULL,
		 &unanswered);
	return NULL;
}

static void import_unanswered_begin(void)
{
	CHECK_INT(pthread_create(&importer, NULL, import_run, NULL), 0);
}

static void import_unanswered_end(void)
{
	pthread_join(importer, NULL);
}

static void set_up_scsi(void)
{
	char reason[HOST_REASON_MAX];

	CHECK(emulated_reset());
	CHECK(emulated_try(SOURCE, "vm1", "prmig//dev/fake/0/0;pr=emulate", reason));
	CHECK(emulated_try(DESTINATION, "vm1", "prmig//dev/fake/0/1;pr=emulate;incoming=on",
			   reason));
	CHECK_INT(emulated_pr(SOURCE, "vm1", EMULATED_REGISTER, 0, 0, 0xa1, NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(SOURCE, "vm1", EMULATED_RESERVE, WERO, 0xa1, 0, NULL), HOST_GOOD);
}

/* The LUN itself shuts out whichever host does not have it, and there is no moment at which nobody has. */
static void claim_is_at(int nexus)
{
	struct fake_monitor monitor;
	struct fake_state state;

	fake_lun_get_state(emulated.lun, &state);
	fake_lun_get_monitor(emulated.lun, &monitor);
	CHECK_INT(state.holder, nexus);
	CHECK_INT(state.registrations, 1);
	CHECK_INT(monitor.gaps, 0);
}

static void scsi_moves(void)
{
	set_up_scsi();
	claim_is_at(0);
	export_line(SOURCE, line);
	claim_is_at(0);
	CHECK(emulated_call(DESTINATION, "vm1", "Import", line, false, NULL, &reply));
	claim_is_at(1);
	is_at(DESTINATION);
	CHECK(emulated_call(DESTINATION, "vm1", "Abort", NULL, true, NULL, &reply));
	CHECK(emulated_call(SOURCE, "vm1", "Abort", NULL, false, NULL, &reply));
	claim_is_at(0);
	is_at(SOURCE);
}

/* The daemon dies while the swap is at the LUN: it is executed, or it is not. */
static void killed_in_swap(bool executed)
{
	struct fake_fault slow = fake_fault(1, PR_OUT, EMULATED_PREEMPT);
	int fault;

	set_up_scsi();
	export_line(SOURCE, line);
	if (executed)
		slow.delay_after_ms = SLOW_MS;
	else
		slow.delay_before_ms = SLOW_MS;
	slow.times = 1;
	fault = fake_lun_add_fault(emulated.lun, &slow);
	import_unanswered_begin();
	for (int i = 0; i < 1000 && fake_lun_fault_hits(emulated.lun, fault) == 0; i++)
		usleep(10000);
	usleep(SLOW_MS / 4 * 1000);
	machine_kill(emulated.machine[DESTINATION]);
	import_unanswered_end();
	CHECK(machine_boot(emulated.machine[DESTINATION]));
	CHECK(emulated_property_is(DESTINATION, "vm1", "Failure", "''"));
	CHECK(emulated_call(DESTINATION, "vm1", "Import", line, false, NULL, &reply));
	claim_is_at(1);
	is_at(DESTINATION);
	CHECK(emulated_call(SOURCE, "vm1", "Release", NULL, false, NULL, &reply));
}

static void killed_before_swap(void)
{
	killed_in_swap(false);
}

static void killed_after_swap(void)
{
	killed_in_swap(true);
}

/* ---- kills ---- */

/* A group of two; a point where one host dies, and what is called of it then. */
struct kill {
	unsigned int host;
	const char *point;
};

/* With PRMIG_FULL all of them. */
static const struct kill kills[] = {
	{SOURCE, "export-leave:answered"},	     {DESTINATION, "import-arrive:answered"},
	{DESTINATION, "abort-hand-back:answered"},   {SOURCE, "abort-come-back:journalled"},
	{SOURCE, "release-left:answered"},	     {SOURCE, "export-leave:journalled"},
	{SOURCE, "export-leave-again:journalled"},   {SOURCE, "export-leave-again:answered"},
	{DESTINATION, "import-arrive:journalled"},   {DESTINATION, "confirm-barrier:answered"},
	{DESTINATION, "abort-hand-back:journalled"}, {SOURCE, "abort-come-back:answered"},
	{SOURCE, "release-left:journalled"},
};
#define KILLS_SHORT 5

static bool call(unsigned int host, const char *method, const char *state)
{
	struct bus_options options = {.force = false};

	return bus_call_group(machine_bus(emulated.machine[host]), "g", method, state, &options,
			      &reply);
}

static bool export_group(void)
{
	bool done = call(SOURCE, "Export", NULL);

	snprintf(line, sizeof(line), "%s", reply.state);
	return done;
}

/* All that a migration that fails and one that does not call; a host that dies ends it. */
static void go_through(void)
{
	if (export_group() && export_group() && call(DESTINATION, "Import", line) &&
	    call(DESTINATION, "Abort", NULL) && call(SOURCE, "Abort", NULL) && export_group() &&
	    call(DESTINATION, "Import", line))
		call(SOURCE, "Release", NULL);
}

static void group_is_at(unsigned int host)
{
	is_at(host);
	CHECK(emulated_property_is(host, "vm2", "Key", "178"));
	CHECK(emulated_property_is(host, "vm2", "State", "'active'"));
	CHECK_INT(emulated_write(host, "vm2", NULL), HOST_GOOD);
}

static void kill_once(const struct kill *kill)
{
	check_note = kill->point;
	set_up(";group=g");
	CHECK(emulated_add(SOURCE, "vm2", ";group=g"));
	CHECK(emulated_add(DESTINATION, "vm2", ";group=g;incoming=on"));
	CHECK_INT(emulated_pr(SOURCE, "vm2", EMULATED_REGISTER, 0, 0, 0xb2, NULL), HOST_GOOD);
	machine_setenv(emulated.machine[kill->host], "PRMIG_POINT", kill->point);
	CHECK(emulated_restart(kill->host));
	CHECK(emulated_property_is(kill->host, "vm2", "Failure", "''"));
	go_through();
	CHECK(machine_wait_death(emulated.machine[kill->host], TIMEOUT_MS));
	machine_setenv(emulated.machine[kill->host], "PRMIG_POINT", NULL);
	CHECK(machine_boot(emulated.machine[kill->host]));
	for (unsigned int host = 0; host < EMULATED_HOSTS; host++) {
		CHECK(emulated_property_is(host, "vm1", "Failure", "''"));
		CHECK(emulated_property_is(host, "vm2", "Failure", "''"));
	}
	/* As prmigctl does after a migration that failed. */
	call(DESTINATION, "Abort", NULL);
	if (!CHECK(call(SOURCE, "Abort", NULL)))
		printf("%s: %s\n", reply.error, reply.message);
	group_is_at(SOURCE);
	CHECK(export_group());
	CHECK(call(DESTINATION, "Import", line));
	group_is_at(DESTINATION);
	CHECK(call(SOURCE, "Release", NULL));
	check_note = "";
}

static void killed(void)
{
	const char *full = getenv("PRMIG_FULL");
	size_t count =
		full != NULL && full[0] == '1' ? sizeof(kills) / sizeof(kills[0]) : KILLS_SHORT;

	for (size_t i = 0; i < count; i++)
		kill_once(&kills[i]);
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
	emulated_start();
	CHECK_RUN(moves);
	CHECK_RUN(aborted);
	CHECK_RUN(released_too_early);
	CHECK_RUN(not_split);
	CHECK_RUN(group_moves);
	CHECK_RUN(group_crossed);
	CHECK_RUN(not_handed_back_changed);
	CHECK_RUN(scsi_moves);
	CHECK_RUN(killed_before_swap);
	CHECK_RUN(killed_after_swap);
	CHECK_RUN(killed);
	CHECK_RUN(other_host_refused);
	CHECK(emulated_stop());
	return check_summary();
}
