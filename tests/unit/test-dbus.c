/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of the D-Bus edge (design section 4), over a bus of the test's own. */
#include <string.h>

#include "../check.h"
#include "dbus-edge.h"
#include "dbus-fixture.h"
#include "dbus-names.h"
#include "dbus-fake-nexus.h"

static void check_reply(const char *method, const char *parameters, const char *expected)
{
	g_autofree char *reply = fixture_call_text(method, parameters);

	CHECK_STR(reply, expected);
}

static char *get_property(const char *name)
{
	return fixture_call(FIXTURE_VM1, "org.freedesktop.DBus.Properties", "Get",
			    g_variant_new("(ss)", "org.prmig1.Nexus", name));
}

static void test_paths(void)
{
	char path[DBUS_NAMES_PATH_MAX], longest[CFGSTRING_NAME_MAX + 1];

	dbus_names_nexus_path("vm1", path);
	CHECK_STR(path, "/org/prmig1/nexus/vm1");
	dbus_names_nexus_path("1-a_b.C", path);
	CHECK_STR(path, "/org/prmig1/nexus/_31_2da_5fb_2eC");
	dbus_names_nexus_path("", path);
	CHECK_STR(path, "/org/prmig1/nexus/_");
	memset(longest, '-', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	dbus_names_nexus_path(longest, path);
	CHECK_INT(strlen(path), strlen("/org/prmig1/nexus/") + (size_t)3 * CFGSTRING_NAME_MAX);
}

/* Written from the design, not from the XML. */
static void test_introspection(void)
{
	static const char *const methods[][3] = {
		{"Export", "a{sv}", "s"}, {"Import", "sa{sv}", ""}, {"Abort", "a{sv}", ""},
		{"Release", "a{sv}", ""}, {"Check", "sa{sv}", ""},  {"Prepare", "a{sv}", "s"},
		{"Forget", "a{sv}", ""},  {"Resync", "", ""},
	};
	static const char *const properties[][2] = {
		{"Name", "s"},	     {"Group", "s"},	  {"Device", "s"},   {"Lun", "s"},
		{"Backend", "s"},    {"State", "s"},	  {"Fenced", "b"},   {"Failure", "s"},
		{"MigratePr", "b"},  {"Emulated", "b"},	  {"Key", "t"},	     {"Holder", "b"},
		{"Type", "y"},	     {"TypeName", "s"},	  {"Ptpl", "b"},     {"HandoverId", "s"},
		{"Paths", "a(sub)"}, {"Generation", "u"}, {"InFlight", "u"},
	};
	g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
		fixture_client(), "org.prmig1", FIXTURE_VM1, "org.freedesktop.DBus.Introspectable",
		"Introspect", NULL, G_VARIANT_TYPE("(s)"), G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL);
	g_autoptr(GDBusNodeInfo) node = NULL;
	GDBusInterfaceInfo *interface;
	const char *xml;
	size_t i, j;

	if (!CHECK(reply))
		return;
	g_variant_get(reply, "(&s)", &xml);
	node = g_dbus_node_info_new_for_xml(xml, NULL);
	interface = node ? g_dbus_node_info_lookup_interface(node, "org.prmig1.Nexus") : NULL;
	if (!CHECK(interface))
		return;
	for (i = 0; i < G_N_ELEMENTS(methods); i++) {
		GDBusMethodInfo *method =
			g_dbus_interface_info_lookup_method(interface, methods[i][0]);
		g_autoptr(GString) in = g_string_new(NULL), out = g_string_new(NULL);

		if (!CHECK(method))
			continue;
		for (j = 0; method->in_args && method->in_args[j]; j++)
			g_string_append(in, method->in_args[j]->signature);
		for (j = 0; method->out_args && method->out_args[j]; j++)
			g_string_append(out, method->out_args[j]->signature);
		CHECK_STR(in->str, methods[i][1]);
		CHECK_STR(out->str, methods[i][2]);
	}
	for (i = 0; i < G_N_ELEMENTS(properties); i++) {
		GDBusPropertyInfo *property =
			g_dbus_interface_info_lookup_property(interface, properties[i][0]);
		g_autofree char *value = get_property(properties[i][0]);

		if (!CHECK(property))
			continue;
		CHECK_STR(property->signature, properties[i][1]);
		CHECK_INT(property->flags, G_DBUS_PROPERTY_INFO_FLAGS_READABLE);
		if (!CHECK(value[0] == '('))
			fprintf(stderr, "%s: %s\n", properties[i][0], value);
	}
	CHECK(g_dbus_interface_info_lookup_signal(interface, "FencedChanged"));
}

static void test_properties(void)
{
	g_autofree char *all = fixture_call(FIXTURE_VM1, "org.freedesktop.DBus.Properties",
					    "GetAll", g_variant_new("(s)", "org.prmig1.Nexus"));
	g_autofree char *set = NULL, *generation = NULL;
	struct nexus_info info = fixture_nexus("vm1");

	CHECK_STR(all,
		  "({'Name': <'vm1'>, 'Group': <'vms'>, 'Device': <'/dev/sdb'>, "
		  "'Lun': <'naa.6001405aabbccdd'>, 'Backend': <'sg'>, 'State': <'active'>, "
		  "'Fenced': <false>, 'Failure': <''>, 'MigratePr': <true>, "
		  "'Emulated': <false>, 'Key': <uint64 18364758544493064720>, 'Holder': <true>, "
		  "'Type': <byte 0x05>, 'TypeName': <'Write Exclusive, registrants only'>, "
		  "'Ptpl': <true>, 'HandoverId': <'0123456789abcdef'>, "
		  "'Paths': <[('iscsi:iqn.2026-11.org.example:h1', uint32 1, true)]>, "
		  "'Generation': <uint32 7>, 'InFlight': <uint32 3>},)");
	/* Read when asked for, though no signal tells of it. */
	info.generation = 8;
	fake_nexus_put_silently(&info);
	generation = get_property("Generation");
	CHECK_STR(generation, "(<uint32 8>,)");
	set = fixture_call(
		FIXTURE_VM1, "org.freedesktop.DBus.Properties", "Set",
		g_variant_new("(ssv)", "org.prmig1.Nexus", "Fenced", g_variant_new_boolean(TRUE)));
	CHECK(strstr(set, "InvalidArgs") || strstr(set, "PropertyReadOnly"));
	info = fixture_nexus("vm1");
	fake_nexus_put_silently(&info);
}

static void test_changed(void)
{
	struct nexus_info info = fixture_nexus("vm1");
	g_autofree char *both = NULL, *none = NULL, *bad_bytes = NULL;

	g_free(fixture_signals(FIXTURE_VM1, 100));
	info.state = NEXUS_EXPORTED;
	info.key = 1;
	info.generation = 9;
	fake_nexus_put(&info);
	both = fixture_signals(FIXTURE_VM1, 5000);
	CHECK_STR(both, "PropertiesChanged('org.prmig1.Nexus', {'State': <'exported'>, "
			"'Key': <uint64 1>}, [])\n");
	info.generation = 10;
	info.in_flight = 64;
	fake_nexus_put(&info);
	none = fixture_signals(FIXTURE_VM1, 200);
	CHECK_STR(none, "");
	/* What a LUN says of itself need not be UTF-8; the bus would end the connection for it. */
	strcpy(info.failure, "vendor \xff\xfe");
	fake_nexus_put(&info);
	bad_bytes = fixture_signals(FIXTURE_VM1, 5000);
	CHECK_CONTAINS(bad_bytes, "'Failure': <'vendor \xef\xbf\xbd\xef\xbf\xbd'>");
	info = fixture_nexus("vm1");
	fake_nexus_put(&info);
	g_free(fixture_signals(FIXTURE_VM1, 5000));
}

static void test_fenced_changed(void)
{
	g_autofree char *fenced = NULL, *unfenced = NULL;

	fake_nexus_fence("vm1", true, 0x11);
	while (!fenced || !strstr(fenced, "FencedChanged")) {
		g_autofree char *more = fixture_signals(FIXTURE_VM1, 5000);
		char *so_far = g_strconcat(fenced ? fenced : "", more, NULL);

		g_free(fenced);
		fenced = so_far;
		if (!CHECK(*more))
			break;
	}
	CHECK_STR(fenced, "PropertiesChanged('org.prmig1.Nexus', {'Fenced': <true>}, [])\n"
			  "FencedChanged(true, 17)\n");
	fake_nexus_fence("vm1", false, 0x11);
	g_usleep(100000);
	unfenced = fixture_signals(FIXTURE_VM1, 5000);
	CHECK_CONTAINS(unfenced, "FencedChanged(false, 17)");
}

static void test_objects_come_and_go(void)
{
	struct nexus_info info = fixture_nexus("db.2");
	g_autofree char *path = NULL, *added = NULL, *managed = NULL, *removed = NULL;
	g_autofree char *unknown = NULL, *gone = NULL;

	g_free(fixture_signals("/org/prmig1", 100));
	fake_nexus_put(&info);
	added = fixture_signals("/org/prmig1", 5000);
	CHECK_CONTAINS(added, "InterfacesAdded('/org/prmig1/nexus/db_2e2', "
			      "{'org.prmig1.Nexus': {'Name': <'db.2'>");
	path = fixture_call("/org/prmig1", "org.prmig1.Manager", "GetNexus",
			    g_variant_new("(s)", "db.2"));
	CHECK_STR(path, "('/org/prmig1/nexus/db_2e2',)");
	managed = fixture_call("/org/prmig1", "org.freedesktop.DBus.ObjectManager",
			       "GetManagedObjects", NULL);
	CHECK_CONTAINS(managed, "/org/prmig1/nexus/db_2e2': {'org.prmig1.Nexus': {'Name'");
	CHECK_CONTAINS(managed, "/org/prmig1/nexus/vm1': {'org.prmig1.Nexus': {'Name'");
	fake_nexus_remove("db.2");
	removed = fixture_signals("/org/prmig1", 5000);
	CHECK_STR(removed, "InterfacesRemoved('/org/prmig1/nexus/db_2e2', "
			   "['org.prmig1.Nexus'])\n");
	unknown = fixture_call("/org/prmig1", "org.prmig1.Manager", "GetNexus",
			       g_variant_new("(s)", "db.2"));
	CHECK_STR(unknown, "org.freedesktop.DBus.Error.UnknownObject: there is no nexus 'db.2' on "
			   "this host (a nexus has the name of its backstore); there are: vm1");
	gone = fixture_call("/org/prmig1/nexus/db_2e2", "org.prmig1.Nexus", "Resync", NULL);
	CHECK(g_str_has_prefix(gone, "org.freedesktop.DBus.Error.Unknown"));
}

static void test_manager(void)
{
	g_autofree char *version =
		fixture_call("/org/prmig1", "org.freedesktop.DBus.Properties", "Get",
			     g_variant_new("(ss)", "org.prmig1.Manager", "Version"));
	g_autofree char *group = fixture_call("/org/prmig1", "org.prmig1.Manager", "Export",
					      g_variant_new_parsed("('nobody', @a{sv} {})"));

	CHECK_STR(version, "(<'" PRMIG_VERSION "'>,)");
	CHECK_CONTAINS(group, "org.prmig1.Error.WrongState: there is no nexus of group 'nobody'");
}

static void check_call(const char *method, const char *parameters, enum nexus_method expected,
		       const char *state, bool force, const char *id, const char *destination)
{
	bool returns = expected == NEXUS_EXPORT || expected == NEXUS_PREPARE;
	struct fake_nexus_call call;

	fake_nexus_answer(NEXUS_OK, "", "prmig1:k=v:c0ffee", 0);
	check_reply(method, parameters, returns ? "('prmig1:k=v:c0ffee',)" : "()");
	fake_nexus_calls(&call);
	CHECK_STR(call.name, "vm1");
	CHECK_INT(call.method, expected);
	CHECK_STR(call.state, state);
	CHECK_INT(call.force, force);
	CHECK_STR(call.id, id);
	CHECK_STR(call.destination, destination);
}

static void test_methods(void)
{
	const char *none = "(none)";

	check_call("Export", "(@a{sv} {},)", NEXUS_EXPORT, "", false, "", none);
	check_call("Export", "({'destination': <'d:1'>},)", NEXUS_EXPORT, "", false, "", "d:1");
	check_call("Import", "('s1', @a{sv} {})", NEXUS_IMPORT, "s1", false, "", none);
	check_call("Import", "('s1', {'force': <true>})", NEXUS_IMPORT, "s1", true, "", none);
	check_call("Abort", "({'id': <'0af'>, 'force': <true>},)", NEXUS_ABORT, "", true, "0af",
		   none);
	check_call("Release", "({'id': <'0af'>},)", NEXUS_RELEASE, "", false, "0af", none);
	check_call("Release", "({'force': <true>},)", NEXUS_RELEASE, "", true, "", none);
	check_call("Check", "('', @a{sv} {})", NEXUS_CHECK, "", false, "", none);
	check_call("Check", "('s2', @a{sv} {})", NEXUS_CHECK, "s2", false, "", none);
	check_call("Prepare", "(@a{sv} {},)", NEXUS_PREPARE, "", false, "", none);
	check_call("Forget", "({'force': <false>},)", NEXUS_FORGET, "", false, "", none);
	check_call("Resync", "()", NEXUS_RESYNC, "", false, "", none);
}

static void test_errors(void)
{
	static const char *const names[] = {
		"Fenced",   "Stale",	     "WrongLun",    "KeyShared", "WrongState",
		"BadState", "NotRegistered", "Unsupported", "Timeout",	 "Lun"};
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *expected =
			g_strdup_printf("org.prmig1.Error.%s: found x, do y", names[i]);

		fake_nexus_answer((enum nexus_error)(NEXUS_ERROR_FENCED + i), "found x, do y", "",
				  0);
		check_reply("Export", "(@a{sv} {},)", expected);
		check_reply("Resync", "()", expected);
	}
	fake_nexus_answer(NEXUS_ERROR_LUN, "said \xff", "", 0);
	check_reply("Resync", "()", "org.prmig1.Error.Lun: said \xef\xbf\xbd");
}

static void test_bad_arguments(void)
{
	unsigned int calls = fake_nexus_calls(NULL);
	g_autofree char *long_state = g_strnfill(NEXUS_STATE_LINE_MAX, 'x'), *too_long = NULL;
	g_autofree char *wrong_signature = NULL, *no_method = NULL;

#define INVALID "org.freedesktop.DBus.Error.InvalidArgs: "
	check_reply("Export", "({'force': <true>},)",
		    INVALID "unknown option 'force': Export knows destination (s)");
	check_reply("Import", "('', {'Force': <true>})",
		    INVALID "unknown option 'Force': Import knows force (b)");
	check_reply("Check", "('', {'force': <true>})",
		    INVALID "unknown option 'force': Check takes no options");
	check_reply("Release", "({'x': <1>},)",
		    INVALID "unknown option 'x': Release knows force (b), id (s)");
	check_reply("Abort", "({'force': <'yes'>},)",
		    INVALID
		    "option 'force' has type s, but is a boolean (b): Abort knows force (b), "
		    "id (s)");
	check_reply("Abort", "({'id': <7>},)",
		    INVALID
		    "option 'id' has type i, but is a string (s): Abort knows force (b), id (s)");
	check_reply("Abort", "({'id': <''>},)",
		    INVALID "option 'id' is a hand-over's id, as the property HandoverId shows it: "
			    "up to 32 hexadecimal digits, not ''");
	check_reply("Abort", "({'id': <'0123456789abcdef0123456789abcdef0'>},)",
		    INVALID "option 'id' is a hand-over's id, as the property HandoverId shows it: "
			    "up to 32 hexadecimal digits, not '0123456789abcdef0123456789abcdef0'");
	wrong_signature = fixture_call_text("Import", "('x',)");
	CHECK(g_str_has_prefix(wrong_signature, INVALID));
	no_method = fixture_call_text("Explode", "()");
	CHECK(g_str_has_prefix(no_method, "org.freedesktop.DBus.Error.UnknownMethod"));
	too_long = fixture_call(
		FIXTURE_VM1, "org.prmig1.Nexus", "Import",
		g_variant_new("(s@a{sv})", long_state, g_variant_new_parsed("@a{sv} {}")));
	CHECK_STR(too_long, "org.prmig1.Error.BadState: a state line has at most 4095 characters, "
			    "this has 4096");
	CHECK_INT(fake_nexus_calls(NULL), calls);
}

/* A caller that goes away cancels nothing, and the answer that nobody waits for does no harm. */
static void test_caller_gone(void)
{
	unsigned int calls = fake_nexus_calls(NULL), answered = fake_nexus_answered();
	g_autofree char *command = g_strdup_printf(
		"timeout 0.2 busctl call org.prmig1 %s org.prmig1.Nexus Resync", FIXTURE_VM1);
	int status, i;

	fake_nexus_answer(NEXUS_OK, "", "", 500);
	g_free(fixture_shell(command, &status));
	CHECK(status != 0);
	CHECK_INT(fake_nexus_calls(NULL), calls + 1);
	for (i = 0; i < 500 && fake_nexus_answered() == answered; i++)
		g_usleep(10000);
	CHECK_INT(fake_nexus_answered(), answered + 1);
	fake_nexus_answer(NEXUS_OK, "", "", 0);
	check_reply("Resync", "()", "()");
}

int main(void)
{
	struct nexus_info info = fixture_nexus("vm1");

	fixture_prepare();
	fixture_start_bus();
	CHECK_INT(dbus_edge_start(), 0);
	CHECK_INT(dbus_edge_start(), 0);
	fake_nexus_put(&info);
	if (!fixture_wait_for_name(10000)) {
		fprintf(stderr, "the edge is not on the bus\n");
		fixture_end();
		return 1;
	}
	CHECK_RUN(test_paths);
	CHECK_RUN(test_introspection);
	CHECK_RUN(test_properties);
	CHECK_RUN(test_changed);
	CHECK_RUN(test_fenced_changed);
	CHECK_RUN(test_objects_come_and_go);
	CHECK_RUN(test_manager);
	CHECK_RUN(test_methods);
	CHECK_RUN(test_errors);
	CHECK_RUN(test_bad_arguments);
	CHECK_RUN(test_caller_gone);
	fixture_end();
	return check_summary();
}
