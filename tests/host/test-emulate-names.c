/* SPDX-License-Identifier: Apache-2.0 */
/* Who can be told from whom on an emulated LUN. */
#include "check.h"
#include "emulated.h"

#define HOST 0

/* Initiators take both for one port: without a place in the registry its commands would be judged by nothing. */
static void names_that_differ_by_case(void)
{
	char reason[HOST_REASON_MAX];
	uint32_t sense;

	CHECK(emulated_add(HOST, "vm1", ""));
	CHECK(!emulated_try(HOST, "VM1", emulated.cfg, reason));
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_REGISTER, 0, 0, 0xa1, &sense), HOST_GOOD);
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_RESERVE, 3, 0xa1, 0, &sense), HOST_GOOD);
	CHECK(!emulated_try(HOST, "Vm1", emulated.cfg, reason));
	/* Another LUN's are another matter. */
	CHECK(emulated_add(HOST, "vm2", ""));
	CHECK_INT(emulated_write(HOST, "vm2", &sense), 0x18);
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
	emulated_start();
	CHECK_RUN(names_that_differ_by_case);
	CHECK(emulated_stop());
	return check_summary();
}
