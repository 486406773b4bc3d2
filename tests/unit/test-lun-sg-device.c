/* SPDX-License-Identifier: Apache-2.0 */
/* Which nodes are taken as a LUN, and what is said of those that are not: over a made-up sysfs. */
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "check.h"
#include "lun-sg.h"
#include "paths.h"
#include "sysfs-root.h"

#define BLOCK(major, minor) S_IFBLK | 0660, makedev(major, minor)
#define CHAR(major, minor) S_IFCHR | 0660, makedev(major, minor)

static struct lun_sg_device device;
static char reason[LUN_REASON_MAX];
static bool missing;

static bool inspect(const char *path, mode_t mode, dev_t rdev)
{
	memset(&device, 0, sizeof(device));
	reason[0] = '\0';
	return lun_sg_device_inspect(path, mode, rdev, &device, &missing, reason);
}

static void refused(const char *path, mode_t mode, dev_t rdev, const char *want)
{
	CHECK(!inspect(path, mode, rdev));
	CHECK_CONTAINS(reason, path);
	CHECK_CONTAINS(reason, want);
	CHECK(!missing);
}

static void make_sysfs(void)
{
	root_put("8:0\n", PATHS_DEV_BLOCK "/8:0/dev");
	root_put("MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk\n", PATHS_DEV_BLOCK "/8:0/uevent");
	root_put("0\n", PATHS_DEV_BLOCK "/8:0/device/type");
	root_put("0\n", PATHS_DEV_BLOCK "/8:0/ro");
	root_put("16384\n", PATHS_DEV_BLOCK "/8:0/size");
	root_put("512\n", PATHS_DEV_BLOCK "/8:0/queue/logical_block_size");
	root_put("32767\n", PATHS_DEV_BLOCK "/8:0/queue/max_hw_sectors_kb");
	root_put("128\n", PATHS_DEV_BLOCK "/8:0/queue/max_segments");

	/* In the real sysfs 8:1 is a link, and ".." is the disk. */
	root_put("DEVNAME=sda1\n", "/sys/devices/sda/sda1/uevent");
	root_put("1\n", "/sys/devices/sda/sda1/partition");
	root_put("DEVNAME=sda\n", "/sys/devices/sda/uevent");

	root_put("DEVNAME=sdb\n", PATHS_DEV_BLOCK "/8:16/uevent");
	root_put("0\n", PATHS_DEV_BLOCK "/8:16/device/type");
	root_put("1\n", PATHS_DEV_BLOCK "/8:16/ro");
	root_put("DEVNAME=sr0\n", PATHS_DEV_BLOCK "/11:0/uevent");
	root_put("5\n", PATHS_DEV_BLOCK "/11:0/device/type");
	root_put("DEVNAME=mmcblk0\n", PATHS_DEV_BLOCK "/179:0/uevent");
	root_put("SD\n", PATHS_DEV_BLOCK "/179:0/device/type");
	root_put("DEVNAME=nvme0n1\n", PATHS_DEV_BLOCK "/259:0/uevent");
	root_put("DEVNAME=loop3\n", PATHS_DEV_BLOCK "/7:3/uevent");
	root_put("DEVNAME=vda\n", PATHS_DEV_BLOCK "/254:0/uevent");
	root_put("0x0002\n", PATHS_DEV_BLOCK "/254:0/device/device");
	root_put("DEVNAME=md0\n", PATHS_DEV_BLOCK "/9:0/uevent");
	root_put("clean\n", PATHS_DEV_BLOCK "/9:0/md/array_state");
	root_put("mpath-360014\n", PATHS_DEV_BLOCK "/253:0/dm/uuid");
	root_put("mpatha\n", PATHS_DEV_BLOCK "/253:0/dm/name");
	root_put("LVM-abc\n", PATHS_DEV_BLOCK "/253:1/dm/uuid");
	root_put("vg-lv\n", PATHS_DEV_BLOCK "/253:1/dm/name");
	root_put("part1-mpath-360014\n", PATHS_DEV_BLOCK "/253:2/dm/uuid");
	root_put("\n", PATHS_DEV_BLOCK "/253:3/dm/uuid");

	root_put("0\n", PATHS_DEV_CHAR "/21:0/device/type");
	root_put("8:0\n", PATHS_DEV_CHAR "/21:0/device/block/sda/dev");
	root_put("0\n", PATHS_DEV_CHAR "/21:1/device/type");
	root_put("13\n", PATHS_DEV_CHAR "/21:2/device/type");
}

static void test_disk(void)
{
	CHECK(inspect("/dev/disk/by-id/wwn-0x6001", BLOCK(8, 0)));
	CHECK_STR(device.node, "/dev/sda");
	CHECK_STR(device.open_path, "/dev/disk/by-id/wwn-0x6001");
	CHECK(!device.char_device);
	CHECK(device.rdev == makedev(8, 0));
	CHECK_INT(device.max_transfer_bytes, 128 * sysconf(_SC_PAGESIZE));
	CHECK_INT(device.size_bytes, 16384 * 512);
	CHECK_INT(device.block_len_bytes, 512);

	root_put("64\n", PATHS_DEV_BLOCK "/8:0/queue/max_hw_sectors_kb");
	CHECK(inspect("/dev/sda", BLOCK(8, 0)));
	CHECK_INT(device.max_transfer_bytes, 64 * 1024);
	root_put("18446744073709551615\n", PATHS_DEV_BLOCK "/8:0/queue/max_hw_sectors_kb");
	root_put("4294967295\n", PATHS_DEV_BLOCK "/8:0/queue/max_segments");
	CHECK(inspect("/dev/sda", BLOCK(8, 0)));
	CHECK_INT(device.max_transfer_bytes, UINT32_MAX);
}

static void test_sg_node(void)
{
	CHECK(inspect("/dev/sg0", CHAR(21, 0)));
	CHECK_STR(device.open_path, "/dev/sda");
	CHECK(!device.char_device);
	CHECK(device.rdev == makedev(8, 0));
	CHECK(inspect("/dev/sg1", CHAR(21, 1)));
	CHECK_STR(device.open_path, "/dev/sg1");
	CHECK(device.char_device);
	CHECK(device.max_transfer_bytes != 0);
	refused("/dev/sg2", CHAR(21, 2), "an enclosure");
	CHECK(!inspect("/dev/sg9", CHAR(21, 9)));
	CHECK(missing);
	refused("/dev/null", CHAR(1, 3), "no sg node");
}

static void test_refused_block(void)
{
	char from[128];

	snprintf(from, sizeof(from), "%s" PATHS_DEV_BLOCK "/8:1", root_path());
	CHECK_INT(symlink("../../devices/sda/sda1", from), 0);
	refused("/dev/sda1", BLOCK(8, 1), "is a partition");
	CHECK_CONTAINS(reason, "give the disk /dev/sda");
	refused("/dev/sdb", BLOCK(8, 16), "write-protected");
	refused("/dev/sr0", BLOCK(11, 0), "CD or DVD");
	refused("/dev/mmcblk0", BLOCK(179, 0), "not SCSI");
	refused("/dev/nvme0n1", BLOCK(259, 0), "NVMe");
	refused("/dev/loop3", BLOCK(7, 3), "a loop device");
	refused("/dev/vda", BLOCK(254, 0), "virtio-blk");
	refused("/dev/md0", BLOCK(9, 0), "an md array");
}

static void test_refused_device_mapper(void)
{
	refused("/dev/mapper/mpatha", BLOCK(253, 0), "multipath device (mpatha)");
	CHECK_CONTAINS(reason, "restart tcmu-runner");
	refused("/dev/vg/lv", BLOCK(253, 1), "LVM logical volume (device-mapper, vg-lv)");
	refused("/dev/mapper/mpatha1", BLOCK(253, 2), "a partition (device-mapper");
	refused("/dev/dm-3", BLOCK(253, 3), "a device-mapper device");
}

static void test_refused_others(void)
{
	refused("/srv/lun.img", S_IFREG | 0600, 0, "regular file");
	refused("/srv", S_IFDIR | 0700, 0, "directory");
	refused("/run/socket", S_IFSOCK | 0600, 0, "no device node");
	CHECK(!inspect("/dev/sdz", BLOCK(65, 144)));
	CHECK(missing);
	CHECK_CONTAINS(reason, "no block device 65:144");
}

/* The longest path, in the longest sentence. */
static void test_long_path(void)
{
	char path[CFGSTRING_MAX + 1];

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	CHECK(!inspect(path, BLOCK(253, 1)));
	CHECK_CONTAINS(reason, "give the SCSI disk itself");
	CHECK(inspect(path, BLOCK(8, 0)));
	CHECK_STR(device.open_path, path);
}

static void test_check(void)
{
	struct cfgstring cfg = {.lun_is_path = true};

	snprintf(cfg.lun, sizeof(cfg.lun), "%s/absent", root_path());
	CHECK(!lun_check(&cfg, &missing, reason));
	CHECK(missing);
	CHECK_CONTAINS(reason, "is not there");
	snprintf(cfg.lun, sizeof(cfg.lun), "%s", root_path());
	CHECK(!lun_check(&cfg, &missing, reason));
	CHECK(!missing);
	CHECK_CONTAINS(reason, "directory");
	snprintf(cfg.lun, sizeof(cfg.lun), "%s/absent", root_path());
	cfg.pr = CFGSTRING_PR_PASSTHROUGH;
	CHECK(!lun_check(&cfg, &missing, reason));
	CHECK(!missing);
	CHECK_CONTAINS(reason, "a file has no persistent reservations");
	CHECK(lun_new(&cfg, "vm1", reason) == NULL);
	cfg = (struct cfgstring){.lun = "array7"};
	CHECK(!lun_check(&cfg, &missing, reason));
	CHECK(!missing);
	CHECK_CONTAINS(reason, "/etc/prmig/array7.conf is not there");
}

int main(void)
{
	if (!root_begin())
		return 1;
	make_sysfs();
	CHECK_RUN(test_disk);
	CHECK_RUN(test_sg_node);
	CHECK_RUN(test_refused_block);
	CHECK_RUN(test_refused_device_mapper);
	CHECK_RUN(test_refused_others);
	CHECK_RUN(test_long_path);
	CHECK_RUN(test_check);
	return !root_end() || check_summary();
}
