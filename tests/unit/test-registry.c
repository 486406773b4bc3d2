/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of an emulated LUN as text, and the ticket by which it moves. */
#include "check.h"
#include "registry.h"

#include <stdio.h>

static struct registry made, read_back;
static char text[REGISTRY_TEXT_MAX], ticket[REGISTRY_TICKET_MAX], name[CFGSTRING_NAME_MAX + 1];
static char reason[NEXUS_MESSAGE_MAX];

static void add(const char *nexus, uint64_t key)
{
	int slot = pr_engine_open(&made.engine, nexus, 1, reason);

	CHECK(slot >= 0);
	made.engine.nexuses[slot].key = key;
}

/* vm1 holds, vm2 is registered, vm3 is not; the first two leave. */
static void set_up(void)
{
	made = (struct registry){.mode = REGISTRY_LEFT, .token = 0x1234, .boot = "boot-1"};
	pr_engine_init(&made.engine, true);
	add("vm1", 0xa1);
	add("vm2", 0xb2);
	add("vm3", 0);
	made.engine.type = PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY;
	made.engine.generation = 7;
	CHECK(registry_add_mover(&made, "vm1") != NULL);
	CHECK(registry_add_mover(&made, "vm2") != NULL);
	CHECK_INT(registry_add_mover(&made, "vm1") - made.movers, 0);
}

static void file(void)
{
	set_up();
	snprintf(made.movers[0].id, sizeof(made.movers[0].id), "0123456789abcdef0123456789abcdef");
	snprintf(made.movers[1].here, sizeof(made.movers[1].here), "vm9");
	made.next = 0x99;
	made.next_mode = REGISTRY_HERE;
	made.ticket = 0x77;
	made.touched = made.lost = true;
	CHECK(registry_format(&made, text));
	CHECK(registry_parse(text, &read_back, reason));
	CHECK_INT(read_back.mode, REGISTRY_LEFT);
	CHECK_INT(read_back.token, 0x1234);
	CHECK_INT(read_back.next, 0x99);
	CHECK_INT(read_back.next_mode, REGISTRY_HERE);
	CHECK_INT(read_back.ticket, 0x77);
	CHECK(read_back.touched && read_back.lost);
	CHECK_STR(read_back.boot, "boot-1");
	CHECK_INT(read_back.mover_count, 2);
	CHECK_STR(read_back.movers[0].id, made.movers[0].id);
	CHECK_STR(read_back.movers[1].here, "vm9");
	CHECK(registry_find_arrived(&read_back, "vm9") == &read_back.movers[1]);
	CHECK_INT(pr_engine_registrations(&read_back.engine), 2);
	CHECK_INT(read_back.engine.generation, 7);
}

static void damaged(void)
{
	set_up();
	CHECK(registry_format(&made, text));
	read_back.token = 1;
	text[strlen(text) / 2] ^= 1;
	CHECK(!registry_parse(text, &read_back, reason));
	CHECK_CONTAINS(reason, "damaged");
	CHECK(!registry_parse("", &read_back, reason));
	CHECK_INT(read_back.token, 1);
	CHECK(registry_ticket_format(&made, "vm1", ticket));
	ticket[strlen(ticket) / 2] ^= 1;
	CHECK(!registry_ticket_parse(ticket, &read_back, name, reason));
	/* Each is one thing, and not the other. */
	CHECK(registry_format(&made, text));
	for (char *at = text; *at != '\0'; at++)
		if (*at == '=' || *at == '\n')
			*at = '@';
	CHECK(!registry_ticket_parse(text, &read_back, name, reason));
	CHECK_CONTAINS(reason, "no ticket");
}

static void check_slot(const char *nexus, uint64_t key, bool holder)
{
	int slot = pr_engine_find(&read_back.engine, nexus, 1);

	if (!CHECK(slot >= 0))
		return;
	CHECK_INT(read_back.engine.nexuses[slot].key, key);
	CHECK_INT(pr_engine_is_holder(&read_back.engine, (unsigned int)slot), holder);
}

/* Two that change their names for each other's. */
static void arrives(void)
{
	set_up();
	CHECK(registry_ticket_format(&made, "vm2", ticket));
	CHECK_INT(strspn(ticket,
			 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:/@%"),
		  strlen(ticket));
	CHECK(registry_ticket_parse(ticket, &read_back, name, reason));
	CHECK_STR(name, "vm2");
	CHECK_INT(read_back.ticket, 0x1234);
	CHECK_INT(pr_engine_find(&read_back.engine, "vm1", 1), -1);
	CHECK(registry_arrive(&read_back, registry_find_mover(&read_back, "vm2"), "vm1", reason));
	CHECK(registry_arrive(&read_back, registry_find_mover(&read_back, "vm1"), "vm2", reason));
	check_slot("vm1", 0xb2, false);
	check_slot("vm2", 0xa1, true);
	CHECK(registry_depart(&read_back, registry_find_arrived(&read_back, "vm1"), reason));
	CHECK_INT(pr_engine_find(&read_back.engine, "vm1", 1), -1);
	CHECK(registry_arrive(&read_back, registry_find_mover(&read_back, "vm2"), "vm4", reason));
	check_slot("vm4", 0xb2, false);
}

static void name_taken(void)
{
	set_up();
	made.engine.nexuses[2].key = 0xc3;
	CHECK(registry_ticket_format(&made, "vm1", ticket));
	CHECK(registry_ticket_parse(ticket, &read_back, name, reason));
	CHECK(!registry_arrive(&read_back, registry_find_mover(&read_back, "vm1"), "vm3", reason));
	CHECK_CONTAINS(reason, "a nexus 'vm3' is registered on the LUN already");
	check_slot("vm3", 0xc3, false);
}

static void too_long(void)
{
	set_up();
	for (unsigned int i = 0; i < 30; i++) {
		char long_name[CFGSTRING_NAME_MAX + 1];

		snprintf(long_name, sizeof(long_name), "%061u", i);
		add(long_name, 0x1000 + i);
		registry_add_mover(&made, long_name);
	}
	CHECK(registry_format(&made, text));
	CHECK(!registry_ticket_format(&made, "vm1", ticket));
}

int main(void)
{
	CHECK_RUN(file);
	CHECK_RUN(damaged);
	CHECK_RUN(arrives);
	CHECK_RUN(name_taken);
	CHECK_RUN(too_long);
	return check_summary();
}
