/* SPDX-License-Identifier: Apache-2.0 */
/* True to the LUN: unit attentions are the guest's, fences are told, resets, power losses, a LUN that goes and comes, or grows. */
#include "check.h"
#include "pair.h"

#include <gio/gio.h>
#include <unistd.h>

#define TEST_UNIT_READY 0x00
#define REQUEST_SENSE 0x03
#define READ_CAPACITY_10 0x25
#define WRITE_10 0x2a
#define PERSISTENT_RESERVE_IN 0x5e
#define MODE_PARAMETERS_CHANGED 0x2a01
#define CAPACITY_CHANGED 0x2a09
#define CONFLICT 0x18
#define SETTLE_MS 15000
#define QUIET_MS 1500

#define S PAIR_SOURCE
#define D PAIR_DESTINATION

static const struct pair_row *const holder = &pair_rows[0];

/* Status, and sense key, ASC and ASCQ. */
static uint8_t test_unit_ready(unsigned int side, uint32_t *ret_sense)
{
	struct machine_io io = {.name = PAIR_NAME, .cdb = {TEST_UNIT_READY}};

	*ret_sense = 0;
	if (!machine_execute(pair.machine[side], &io))
		return PAIR_UNANSWERED;
	*ret_sense = io.sense;
	return io.status;
}

/* The guest is told just this, once. */
static void check_told(unsigned int side, uint16_t asc_ascq)
{
	uint32_t sense = 0;

	/* A fresh nexus was told of the power loss that makes the LUN as new. */
	do {
		CHECK_INT(test_unit_ready(side, &sense), HOST_CHECK_CONDITION);
	} while (sense >> 8 == 0x629);
	CHECK_INT(sense, 0x60000u | asc_ascq);
	CHECK_INT(test_unit_ready(side, &sense), HOST_GOOD);
}

static void call(unsigned int side, const char *method, const char *state,
		 struct bus_reply *ret_reply)
{
	if (!CHECK(pair_call(side, method, state, false, ret_reply)))
		printf("%s: %s: %s\n", method, ret_reply->error, ret_reply->message);
}

static void test_met_by_own_command(void)
{
	struct bus_reply reply;

	CHECK(pair_set_up(holder, NULL, ""));
	fake_lun_add_unit_attention(pair.lun, S, MODE_PARAMETERS_CHANGED);
	call(S, "Resync", NULL, &reply);
	check_told(S, MODE_PARAMETERS_CHANGED);
}

/*
 * The guest's REGISTER waits for prmig's own look at the LUN, which it has asked for by a conflict, and which meets the unit attention. It is
 * answered with that, as the LUN would have answered it.
 */
static void test_met_while_waiting(void)
{
	struct fake_fault conflict = fake_fault(S, WRITE_10, FAKE_ANY);
	struct fake_fault met = fake_fault(S, PERSISTENT_RESERVE_IN, FAKE_ANY);
	struct machine_io io = {.name = PAIR_NAME, .direction = HOST_OUT, .data_len = 24};
	int hit;

	CHECK(pair_set_up(holder, NULL, ""));
	conflict.outcome = FAKE_ANSWER;
	conflict.status = CONFLICT;
	fake_lun_add_fault(pair.lun, &conflict);
	met.unit_attention = MODE_PARAMETERS_CHANGED;
	met.delay_after_ms = 1000;
	hit = fake_lun_add_fault(pair.lun, &met);
	CHECK_INT(pair_write(S, 0), CONFLICT);
	for (unsigned int i = 0; i < SETTLE_MS / 10 && fake_lun_fault_hits(pair.lun, hit) == 0; i++)
		usleep(10000);
	CHECK_INT(fake_lun_fault_hits(pair.lun, hit), 1);
	pair_build(PAIR_REGISTER, 0, PAIR_KEY, PAIR_KEY, io.cdb, io.data);
	CHECK(machine_execute(pair.machine[S], &io));
	CHECK_INT(io.status, HOST_CHECK_CONDITION);
	CHECK_INT(io.sense, 0x60000u | MODE_PARAMETERS_CHANGED);
	CHECK(machine_execute(pair.machine[S], &io));
	CHECK_INT(io.status, HOST_GOOD);
	CHECK(pair_is_at(holder, S));
}

static void test_carried_in_the_line(void)
{
	struct bus_reply exported, reply;

	CHECK(pair_set_up(holder, NULL, ""));
	fake_lun_add_unit_attention(pair.lun, S, MODE_PARAMETERS_CHANGED);
	call(S, "Export", NULL, &exported);
	call(D, "Import", exported.state, &reply);
	check_told(D, MODE_PARAMETERS_CHANGED);
	call(S, "Release", NULL, &reply);
	CHECK(pair_is_at(holder, D));
}

static void test_kept_over_a_kill(void)
{
	struct bus_reply exported, reply;

	CHECK(pair_set_up(holder, NULL, ""));
	fake_lun_add_unit_attention(pair.lun, S, MODE_PARAMETERS_CHANGED);
	call(S, "Export", NULL, &exported);
	CHECK(pair_restart(S));
	call(S, "Abort", NULL, &reply);
	check_told(S, MODE_PARAMETERS_CHANGED);
	CHECK(pair_is_at(holder, S));
}

static void test_request_sense(void)
{
	struct machine_io io = {.name = PAIR_NAME,
				.cdb = {REQUEST_SENSE, [4] = 96},
				.direction = HOST_IN,
				.data_len = 96};
	struct bus_reply reply;
	uint32_t sense = 0;

	CHECK(pair_set_up(holder, NULL, ""));
	fake_lun_add_unit_attention(pair.lun, S, MODE_PARAMETERS_CHANGED);
	call(S, "Resync", NULL, &reply);
	CHECK(machine_execute(pair.machine[S], &io));
	CHECK_INT(io.status, HOST_GOOD);
	CHECK_INT(io.data[2] & 0xf, 6);
	CHECK_INT(io.data[12] << 8 | io.data[13], MODE_PARAMETERS_CHANGED);
	CHECK_INT(test_unit_ready(S, &sense), HOST_GOOD);
}

/* ---- fences ---- */

static unsigned int alarms;
static gboolean alarm_fenced;
static guint64 alarm_key;

static void fenced_changed(GDBusConnection *connection, const gchar *sender, const gchar *path,
			   const gchar *interface, const gchar *signal, GVariant *parameters,
			   gpointer user)
{
	(void)connection, (void)sender, (void)path, (void)interface, (void)signal, (void)user;
	g_variant_get(parameters, "(bt)", &alarm_fenced, &alarm_key);
	alarms++;
}

static GDBusConnection *listen_at(unsigned int side)
{
	GDBusConnection *connection = g_dbus_connection_new_for_address_sync(
		machine_bus(pair.machine[side]),
		G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
			G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
		NULL, NULL, NULL);

	alarms = 0;
	g_dbus_connection_signal_subscribe(connection, NULL, "org.prmig1.Nexus", "FencedChanged",
					   NULL, NULL, G_DBUS_SIGNAL_FLAGS_NONE, fenced_changed,
					   NULL, NULL);
	return connection;
}

static void listen_for(unsigned int want, uint32_t timeout_ms)
{
	uint32_t waited;

	for (waited = 0; waited < timeout_ms && (want == 0 || alarms < want); waited += 10) {
		while (g_main_context_iteration(NULL, FALSE))
			;
		usleep(10000);
	}
}

static void test_fenced(void)
{
	GDBusConnection *connection;
	struct bus_reply exported, reply;

	CHECK(pair_set_up(holder, NULL, ""));
	connection = listen_at(S);
	CHECK_INT(pair_stranger(PAIR_PREEMPT, 5, PAIR_STRANGER_KEY, PAIR_KEY), HOST_GOOD);
	CHECK_INT(pair_write(S, 0), CONFLICT);
	listen_for(1, SETTLE_MS);
	CHECK_INT(alarms, 1);
	CHECK(alarm_fenced);
	CHECK_INT(alarm_key, PAIR_KEY);
	CHECK(pair_property_is(S, "Fenced", "true"));
	CHECK(pair_property_is(S, "Key", "0"));
	/* It goes along, and nothing is registered anywhere. */
	call(S, "Export", NULL, &exported);
	call(D, "Import", exported.state, &reply);
	call(S, "Release", NULL, &reply);
	listen_for(2, SETTLE_MS);
	CHECK_INT(alarms, 2);
	CHECK(!alarm_fenced);
	CHECK(pair_property_is(D, "Fenced", "true"));
	CHECK_INT(fake_lun_count_key(pair.lun, PAIR_KEY), 0);
	/* Its cluster takes it back. */
	CHECK_INT(pair_guest(D, PAIR_REGISTER, 0, 0, PAIR_KEY), HOST_GOOD);
	CHECK(bus_wait_property(machine_bus(pair.machine[D]), PAIR_NAME, "Fenced", "false",
				SETTLE_MS));
	g_object_unref(connection);
}

/* Neither side raises it for what the hand-over itself does. */
static void test_no_false_alarm(void)
{
	GDBusConnection *here, *there;
	struct bus_reply exported, reply;

	CHECK(pair_set_up(holder, NULL, ""));
	here = listen_at(S);
	there = listen_at(D);
	call(S, "Export", NULL, &exported);
	call(D, "Import", exported.state, &reply);
	pair_call(D, "Abort", NULL, false, &reply);
	call(S, "Abort", NULL, &reply);
	call(S, "Resync", NULL, &reply);
	/* What its first command is told there is acted upon at once. */
	call(D, "Resync", NULL, &reply);
	CHECK(pair_property_is(D, "State", "'incoming'"));
	call(S, "Export", NULL, &exported);
	call(D, "Import", exported.state, &reply);
	call(S, "Release", NULL, &reply);
	call(S, "Resync", NULL, &reply);
	CHECK_INT(pair_write(D, 0), HOST_GOOD);
	call(D, "Resync", NULL, &reply);
	listen_for(0, QUIET_MS);
	CHECK_INT(alarms, 0);
	CHECK(pair_is_at(holder, D));
	g_object_unref(here);
	g_object_unref(there);
}

/* ---- the LUN ---- */

static void test_reset(void)
{
	struct bus_reply exported, reply;
	uint32_t sense = 0;

	CHECK(pair_set_up(holder, NULL, ""));
	fake_lun_reset(pair.lun);
	CHECK_INT(test_unit_ready(S, &sense), HOST_CHECK_CONDITION);
	CHECK_INT(sense >> 8, 0x629);
	CHECK(pair_is_at(holder, S));
	call(S, "Export", NULL, &exported);
	fake_lun_reset(pair.lun);
	call(D, "Import", exported.state, &reply);
	call(S, "Release", NULL, &reply);
	CHECK(pair_is_at(holder, D));
}

static void test_power_loss(void)
{
	struct bus_reply reply;
	uint32_t sense = 0;

	CHECK(pair_set_up(holder, NULL, ""));
	fake_lun_power_loss(pair.lun);
	CHECK_INT(test_unit_ready(S, &sense), HOST_CHECK_CONDITION);
	CHECK_INT(sense >> 8, 0x629);
	/* Without APTPL the registration is gone, and who took it cannot be told. */
	call(S, "Resync", NULL, &reply);
	CHECK(pair_property_is(S, "Key", "0"));
	CHECK(pair_property_is(S, "Fenced", "true"));
	CHECK_INT(pair_guest(S, PAIR_REGISTER, 0, 0, PAIR_KEY), HOST_GOOD);
	CHECK_INT(pair_guest(S, PAIR_RESERVE, 5, PAIR_KEY, 0), HOST_GOOD);
	CHECK_INT(pair_stranger(PAIR_REGISTER, 0, 0, PAIR_STRANGER_KEY), HOST_GOOD);
	fake_lun_reset_monitor(pair.lun);
	call(S, "Resync", NULL, &reply);
	CHECK(pair_is_at(holder, S));
}

static void set_present(void *arg)
{
	host_set_lun_present(0, *(bool *)arg);
}

static void test_missing_and_back(void)
{
	struct bus_reply reply;
	bool present = false;

	CHECK(pair_set_up(holder, NULL, ""));
	CHECK(machine_call(pair.machine[S], set_present, &present, sizeof(present)));
	CHECK_INT(pair_write(S, 0), HOST_CHECK_CONDITION);
	pair_call(S, "Resync", NULL, false, &reply);
	CHECK(!pair_call(S, "Export", NULL, false, &reply));
	CHECK_STR(reply.error, "Lun");
	present = true;
	CHECK(machine_call(pair.machine[S], set_present, &present, sizeof(present)));
	CHECK(bus_wait_property(machine_bus(pair.machine[S]), PAIR_NAME, "Failure", "''",
				SETTLE_MS));
	usleep(2500000);
	CHECK(pair_is_at(holder, S));
}

static uint32_t last_block(unsigned int side)
{
	struct machine_io io = {
		.name = PAIR_NAME, .cdb = {READ_CAPACITY_10}, .direction = HOST_IN, .data_len = 8};

	if (!machine_execute(pair.machine[side], &io) || io.status != HOST_GOOD)
		return 0;
	return (uint32_t)io.data[0] << 24 | (uint32_t)io.data[1] << 16 | (uint32_t)io.data[2] << 8 |
	       io.data[3];
}

static void blocks_in_machine(void *arg)
{
	*(uint64_t *)arg = host_num_lbas(host_find_device(PAIR_NAME));
}

/* What the kernel is told, and targetcli shows. */
static bool wait_blocks(unsigned int side, uint64_t want)
{
	uint32_t waited;
	uint64_t blocks = 0;

	for (waited = 0; waited < SETTLE_MS && blocks != want; waited += 10) {
		usleep(10000);
		if (!machine_call(pair.machine[side], blocks_in_machine, &blocks, sizeof(blocks)))
			return false;
	}
	return blocks == want;
}

static void test_grown(void)
{
	struct bus_reply reply;

	CHECK(pair_set_up(holder, NULL, ""));
	fake_lun_set_capacity(pair.lun, 8192);
	check_told(S, CAPACITY_CHANGED);
	CHECK_INT(last_block(S), 8191);
	CHECK(wait_blocks(S, 8192));
	fake_lun_set_capacity(pair.lun, 16384);
	/* Met by prmig first. */
	call(S, "Resync", NULL, &reply);
	check_told(S, CAPACITY_CHANGED);
	CHECK_INT(last_block(S), 16383);
	CHECK(wait_blocks(S, 16384));
	CHECK(pair_is_at(holder, S));
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
	pair_start();
	CHECK_RUN(test_met_by_own_command);
	CHECK_RUN(test_met_while_waiting);
	CHECK_RUN(test_carried_in_the_line);
	CHECK_RUN(test_kept_over_a_kill);
	CHECK_RUN(test_request_sense);
	CHECK_RUN(test_fenced);
	CHECK_RUN(test_no_false_alarm);
	CHECK_RUN(test_reset);
	CHECK_RUN(test_power_loss);
	CHECK_RUN(test_missing_and_back);
	CHECK_RUN(test_grown);
	CHECK(pair_stop());
	return check_summary();
}
