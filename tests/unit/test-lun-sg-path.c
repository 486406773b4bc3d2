/* SPDX-License-Identifier: Apache-2.0 */
/* By which ports a device is reached: over a made-up sysfs, laid out as the kernel's is. */
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "check.h"
#include "lun-sg.h"
#include "paths.h"
#include "sysfs-root.h"

#define INITIATOR "iqn.2026-11.com.example:host1"
#define TARGET "iqn.2026-11.com.example:array"

/* A disk and its sg node: number n of each, at this directory below /sys/devices. */
static void put_disk(unsigned int number, const char *where)
{
	char link[1024], to[512];

	root_put("0\n", "/sys/devices/%s/type", where);
	root_put("", "/sys/devices/%s/block/sd%u/uevent", where, number);
	root_put("", "/sys/devices/%s/scsi_generic/sg%u/uevent", where, number);
	snprintf(link, sizeof(link), "%s" PATHS_DEV_BLOCK "/8:%u/device", root_path(), number * 16);
	root_make_directories(link);
	snprintf(to, sizeof(to), "../../../devices/%s", where);
	CHECK_INT(symlink(to, link), 0);
	snprintf(link, sizeof(link), "%s" PATHS_DEV_CHAR "/21:%u/device", root_path(), number);
	root_make_directories(link);
	CHECK_INT(symlink(to, link), 0);
}

static struct lun_path path_of(unsigned int number)
{
	struct lun_sg_device device = {.rdev = makedev(8, number * 16)};
	struct lun_path path;

	if (!CHECK(lun_sg_path(&device, &path)))
		memset(&path, 0, sizeof(path));
	return path;
}

static bool same(unsigned int one, unsigned int other)
{
	struct lun_path a = path_of(one), b = path_of(other);

	return strcmp(a.initiator_port, b.initiator_port) == 0 &&
	       strcmp(a.target_port, b.target_port) == 0;
}

static void put_session(unsigned int number, const char *initiator, const char *target,
			const char *tag)
{
	char text[512];

	snprintf(text, sizeof(text), "%s\n", initiator);
	root_put(text, PATHS_ISCSI_SESSION "/session%u/initiatorname", number);
	snprintf(text, sizeof(text), "%s\n", target);
	root_put(text, PATHS_ISCSI_SESSION "/session%u/targetname", number);
	snprintf(text, sizeof(text), "%s\n", tag);
	root_put(text, PATHS_ISCSI_SESSION "/session%u/tpgt", number);
}

static void test_iscsi(void)
{
	put_session(1, INITIATOR, TARGET, "1");
	put_disk(0, "platform/host3/session1/target3:0:0/3:0:0:0");
	CHECK_STR(path_of(0).initiator_port, INITIATOR ",session1");
	CHECK_STR(path_of(0).target_port, TARGET ",t,1");

	/* The LUN under a second number is the same logical unit by the same nexus. */
	put_disk(1, "platform/host3/session1/target3:0:0/3:0:0:7");
	CHECK(same(0, 1));

	/* Two sessions of one name to one target: the ISIDs differ. */
	put_session(2, INITIATOR, TARGET, "1");
	put_disk(2, "platform/host4/session2/target4:0:0/4:0:0:0");
	CHECK(!same(0, 2));

	/* Another initiator name, and another target. */
	put_session(3, "iqn.2026-11.com.example:vm1", TARGET, "1");
	put_disk(3, "platform/host5/session3/target5:0:0/5:0:0:0");
	CHECK_STR(path_of(3).initiator_port, "iqn.2026-11.com.example:vm1,session3");
	CHECK(!same(0, 3));

	/* An adapter: one host, a session for each target; and a driver that shows ISIDs. */
	put_session(4, INITIATOR, TARGET, "1");
	put_session(5, INITIATOR, TARGET ":2", "1");
	root_put("400000000001\n", PATHS_ISCSI_SESSION "/session4/isid");
	root_put("400000000001\n", PATHS_ISCSI_SESSION "/session5/isid");
	put_disk(4, "pci/host6/session4/target6:0:0/6:0:0:0");
	put_disk(5, "pci/host6/session5/target6:0:1/6:0:1:0");
	CHECK_STR(path_of(4).initiator_port, INITIATOR ",i,0x400000000001");
	CHECK_STR(path_of(5).initiator_port, INITIATOR ",i,0x400000000001");
	CHECK(!same(4, 5));
}

static void test_fibre_channel(void)
{
	static const struct {
		const char *host, *rport;
	} ports[] = {{"0x2100000000000001", "0x5000000000000001"},
		     {"0x2100000000000001", "0x5000000000000002"},
		     {"0x2100000000000002", "0x5000000000000001"}};

	/* Host 7 sees two ports of the array, host 8 one of them; then host 7 finds the first again. */
	root_put("0x2100000000000001\n", PATHS_FC_HOST "/host7/port_name");
	root_put("0x2100000000000002\n", PATHS_FC_HOST "/host8/port_name");
	root_put("0x5000000000000001\n", PATHS_FC_TARGET "/target7:0:0/port_name");
	root_put("0x5000000000000002\n", PATHS_FC_TARGET "/target7:0:1/port_name");
	root_put("0x5000000000000001\n", PATHS_FC_TARGET "/target8:0:0/port_name");
	root_put("0x5000000000000001\n", PATHS_FC_TARGET "/target7:0:2/port_name");
	put_disk(10, "pci/host7/rport-7:0-0/target7:0:0/7:0:0:1");
	put_disk(11, "pci/host7/rport-7:0-1/target7:0:1/7:0:1:1");
	put_disk(12, "pci/host8/rport-8:0-0/target8:0:0/8:0:0:1");
	put_disk(13, "pci/host7/rport-7:0-2/target7:0:2/7:0:2:1");
	for (unsigned int i = 0; i < 3; i++) {
		CHECK_STR(path_of(10 + i).initiator_port, ports[i].host);
		CHECK_STR(path_of(10 + i).target_port, ports[i].rport);
	}
	CHECK(!same(10, 11));
	CHECK(!same(10, 12));
	CHECK(!same(11, 12));
	CHECK(same(10, 13));
}

/* No names: the host stands for the initiator port. */
static void test_numbers(void)
{
	put_disk(6, "pseudo/tcm_loop/host9/target9:0:1/9:0:1:0");
	put_disk(7, "pseudo/tcm_loop/host9/target9:0:1/9:0:1:4");
	put_disk(8, "pseudo/tcm_loop/host9/target9:0:2/9:0:2:0");
	put_disk(9, "pci/host10/port-10:0/end_device-10:0/target10:0:1/10:0:1:0");
	CHECK_STR(path_of(6).initiator_port, "SCSI host 9 channel 0");
	CHECK_STR(path_of(6).target_port, "target 1");
	CHECK(same(6, 7));
	CHECK(!same(6, 8));
	CHECK(!same(6, 9));
}

/* The disk and its sg node are one device. */
static void test_sg_node(void)
{
	struct lun_sg_device device = {.rdev = makedev(21, 0), .char_device = true};
	struct lun_path disk = path_of(0), sg;

	if (!CHECK(lun_sg_path(&device, &sg)))
		return;
	CHECK_STR(sg.initiator_port, disk.initiator_port);
	CHECK_STR(sg.target_port, disk.target_port);
}

static void test_nothing_known(void)
{
	struct lun_sg_device device = {.rdev = makedev(8, 15 * 16)};
	struct lun_path path;

	CHECK(!lun_sg_path(&device, &path));
	put_disk(14, "pci/host11/virtual");
	device.rdev = makedev(8, 14 * 16);
	CHECK(!lun_sg_path(&device, &path));
}

int main(void)
{
	if (!root_begin())
		return 1;
	CHECK_RUN(test_iscsi);
	CHECK_RUN(test_fibre_channel);
	CHECK_RUN(test_numbers);
	CHECK_RUN(test_sg_node);
	CHECK_RUN(test_nothing_known);
	return !root_end() || check_summary();
}
