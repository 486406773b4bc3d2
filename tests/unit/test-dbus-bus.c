/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The D-Bus edge and the bus itself: the shell lines that people use, who may do what by the real
 * policy file, a bus that comes late or goes away.
 */
#include <string.h>
#include <unistd.h>

#include "../check.h"
#include "dbus-edge.h"
#include "dbus-fixture.h"
#include "dbus-fake-nexus.h"

#define AS_NOBODY "setpriv --reuid=65534 --regid=65534 --clear-groups "
#define NEXUS_ARGUMENTS "org.prmig1 " FIXTURE_VM1 " org.prmig1.Nexus "

static void check_shell(const char *command, int expected_status, const char *expected_text)
{
	int status;
	g_autofree char *text = fixture_shell(command, &status);

	if (!CHECK_INT(status != 0, expected_status) || !CHECK(strstr(text, expected_text)))
		fprintf(stderr, "%s: status %d\n%s\n", command, status, text);
}

/* Design section 4: "this must work as it stands"; the second line on this host. */
static void test_busctl_lines(void)
{
	struct fake_nexus_call call;
	const char *line = "prmig1:lun=naa.6001405aabbccdd,k=0x1,t=5%2C:0a1b2c3d";

	fake_nexus_answer(NEXUS_OK, "", line, 0);
	check_shell("state=$(busctl call org.prmig1 /org/prmig1/nexus/vm1 org.prmig1.Nexus Export "
		    "'a{sv}' 0 | cut -d'\"' -f2)\n"
		    "echo \"<$state>\"\n"
		    "busctl call org.prmig1 /org/prmig1/nexus/vm1 org.prmig1.Nexus Import 'sa{sv}' "
		    "\"$state\" 0",
		    0, "<prmig1:lun=naa.6001405aabbccdd,k=0x1,t=5%2C:0a1b2c3d>");
	fake_nexus_calls(&call);
	CHECK_INT(call.method, NEXUS_IMPORT);
	CHECK_STR(call.state, line);
	check_shell("busctl call " NEXUS_ARGUMENTS "Abort 'a{sv}' 1 force b true", 0, "");
	fake_nexus_calls(&call);
	CHECK(call.force);
	fake_nexus_answer(NEXUS_ERROR_STALE, "the LUN has moved on", "", 0);
	check_shell("busctl call " NEXUS_ARGUMENTS "Import 'sa{sv}' x 0", 1,
		    "the LUN has moved on");
	check_shell("busctl tree org.prmig1", 0, "/org/prmig1/nexus/vm1");
	check_shell("busctl introspect org.prmig1 " FIXTURE_VM1, 0, ".FencedChanged");
}

static void test_unprivileged_looks(void)
{
	check_shell(AS_NOBODY "busctl get-property " NEXUS_ARGUMENTS "State", 0, "s \"active\"");
	check_shell(AS_NOBODY "busctl introspect org.prmig1 " FIXTURE_VM1, 0, ".Export");
	check_shell(AS_NOBODY "busctl tree org.prmig1", 0, "/org/prmig1/nexus/vm1");
	check_shell(AS_NOBODY
		    "busctl call org.prmig1 /org/prmig1 org.freedesktop.DBus.ObjectManager "
		    "GetManagedObjects",
		    0, "\"vm1\"");
	check_shell(AS_NOBODY "busctl call org.prmig1 " FIXTURE_VM1
			      " org.freedesktop.DBus.Properties GetAll s org.prmig1.Nexus",
		    0, "\"HandoverId\"");
}

static void test_unprivileged_calls_nothing(void)
{
	static const char *const calls[] = {
		NEXUS_ARGUMENTS "Export 'a{sv}' 0",
		NEXUS_ARGUMENTS "Import 'sa{sv}' x 0",
		NEXUS_ARGUMENTS "Abort 'a{sv}' 0",
		NEXUS_ARGUMENTS "Release 'a{sv}' 0",
		NEXUS_ARGUMENTS "Check 'sa{sv}' x 0",
		NEXUS_ARGUMENTS "Prepare 'a{sv}' 0",
		NEXUS_ARGUMENTS "Forget 'a{sv}' 0",
		NEXUS_ARGUMENTS "Resync",
		"org.prmig1 /org/prmig1 org.prmig1.Manager GetNexus s vm1",
		"org.prmig1 /org/prmig1 org.prmig1.Manager Export 'sa{sv}' vms 0",
		"org.prmig1 " FIXTURE_VM1
		" org.freedesktop.DBus.Properties Set ssv org.prmig1.Nexus "
		"Fenced b false",
	};
	unsigned int before = fake_nexus_calls(NULL);
	size_t i;

	fake_nexus_answer(NEXUS_OK, "", "", 0);
	for (i = 0; i < G_N_ELEMENTS(calls); i++) {
		g_autofree char *command = g_strconcat(AS_NOBODY "busctl call ", calls[i], NULL);

		check_shell(command, 1, "denied");
	}
	CHECK_INT(fake_nexus_calls(NULL), before);
}

/* Neither by the unique name, nor by tcmu-runner's wide policy; and nobody else takes the name. */
static void test_unprivileged_side_doors(void)
{
	unsigned int before = fake_nexus_calls(NULL);

	check_shell(AS_NOBODY "dbus-send --bus=\"$DBUS_SYSTEM_BUS_ADDRESS\" --print-reply "
			      "--dest=org.prmig1 " FIXTURE_VM1 " org.kernel.TCMUService1.Export",
		    1, "Error");
	check_shell(
		"owner=$(busctl call org.freedesktop.DBus / org.freedesktop.DBus GetNameOwner s "
		"org.prmig1 | cut -d'\"' -f2); " AS_NOBODY "busctl call \"$owner\" " FIXTURE_VM1
		" org.prmig1.Nexus Resync",
		1, "denied");
	check_shell(AS_NOBODY
		    "busctl call org.freedesktop.DBus / org.freedesktop.DBus RequestName su "
		    "org.prmig1 0",
		    1, "denied");
	CHECK_INT(fake_nexus_calls(NULL), before);
}

static void test_bus_goes_and_comes(void)
{
	g_autofree char *reply = NULL;
	struct nexus_info info = fixture_nexus("vm2");

	fixture_stop_bus();
	/* What happens meanwhile is there afterwards. */
	fake_nexus_put(&info);
	fake_nexus_fence("vm2", true, 5);
	g_usleep(200000);
	fixture_start_bus();
	if (!CHECK(fixture_wait_for_name(15000)))
		return;
	reply = fixture_call("/org/prmig1", "org.prmig1.Manager", "GetNexus",
			     g_variant_new("(s)", "vm2"));
	CHECK_STR(reply, "('/org/prmig1/nexus/vm2',)");
	fake_nexus_answer(NEXUS_OK, "", "", 0);
	check_shell("busctl call " NEXUS_ARGUMENTS "Resync", 0, "");
}

/* The bus goes while a call is at the nexus: its answer has nowhere to go. */
static void test_bus_goes_during_a_call(void)
{
	unsigned int answered = fake_nexus_answered(), calls = fake_nexus_calls(NULL);
	int status, i;

	fake_nexus_answer(NEXUS_OK, "", "", 500);
	g_free(fixture_shell("busctl call " NEXUS_ARGUMENTS "Resync >/dev/null 2>&1 &", &status));
	for (i = 0; i < 1500 && fake_nexus_calls(NULL) == calls; i++)
		g_usleep(10000);
	CHECK_INT(fake_nexus_calls(NULL), calls + 1);
	fixture_stop_bus();
	for (i = 0; i < 500 && fake_nexus_answered() == answered; i++)
		g_usleep(10000);
	CHECK_INT(fake_nexus_answered(), answered + 1);
	fixture_start_bus();
	CHECK(fixture_wait_for_name(15000));
}

static void check_privileged(const char *name, void (*test)(void))
{
	if (geteuid() == 0)
		check_run(name, test);
	else
		check_skip(name, test, "needs root, to become another user");
}

int main(void)
{
	struct nexus_info info = fixture_nexus("vm1");

	fixture_prepare();
	CHECK_INT(dbus_edge_start(), 0); /* before there is a bus */
	fake_nexus_put(&info);
	g_usleep(200000);
	fixture_start_bus();
	if (!fixture_wait_for_name(15000)) {
		fprintf(stderr, "the edge is not on the bus\n");
		fixture_end();
		return 1;
	}
	CHECK_RUN(test_busctl_lines);
	check_privileged("test_unprivileged_looks", test_unprivileged_looks);
	check_privileged("test_unprivileged_calls_nothing", test_unprivileged_calls_nothing);
	check_privileged("test_unprivileged_side_doors", test_unprivileged_side_doors);
	CHECK_RUN(test_bus_goes_and_comes);
	CHECK_RUN(test_bus_goes_during_a_call);
	fixture_end();
	return check_summary();
}
