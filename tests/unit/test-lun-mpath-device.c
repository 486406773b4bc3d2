/* SPDX-License-Identifier: Apache-2.0 */
/* What a multipath map consists of: over a made-up sysfs. */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "check.h"
#include "lun-mpath-internal.h"
#include "paths.h"
#include "sysfs-root.h"

static struct mpath_map map;
static char reason[LUN_REASON_MAX];
static bool missing;

static void put_disk(const char *number, const char *uevent, const char *state)
{
	char path[256];

	snprintf(path, sizeof(path), PATHS_DEV_BLOCK "/%s/uevent", number);
	root_put(uevent, "%s", path);
	snprintf(path, sizeof(path), PATHS_DEV_BLOCK "/%s/device/type", number);
	root_put("0\n", "%s", path);
	snprintf(path, sizeof(path), PATHS_DEV_BLOCK "/%s/device/state", number);
	root_put(state, "%s", path);
}

/* device becomes a link to where a host's devices are. */
static void put_device(const char *number, const char *host)
{
	char link[256], real[256], command[2048];

	snprintf(real, sizeof(real), "/sys/devices/%s/target0/0:0:0:0", host);
	snprintf(link, sizeof(link), PATHS_DEV_BLOCK "/%s/device", number);
	snprintf(command, sizeof(command),
		 "mkdir -p %s$(dirname %s) && mv %s%s %s%s && ln -s %s%s %s%s", root_path(), real,
		 root_path(), link, root_path(), real, root_path(), real, root_path(), link);
	if (system(command) != 0)
		abort();
}

static void make_sysfs(void)
{
	put_disk("8:16", "DEVNAME=sdb\n", "running\n");
	put_disk("65:160", "DEVNAME=sdaa\n", "transport-offline\n");
	root_put("DEVNAME=nvme0n1\n", PATHS_DEV_BLOCK "/259:0/uevent");

	root_put("mpath-360014\n", PATHS_DEV_BLOCK "/253:0/dm/uuid");
	root_put("mpatha\n", PATHS_DEV_BLOCK "/253:0/dm/name");
	root_put("65:160\n", PATHS_DEV_BLOCK "/253:0/slaves/sdaa/dev");
	root_put("8:16\n", PATHS_DEV_BLOCK "/253:0/slaves/sdb/dev");
	/* It went while somebody looked. */
	root_put("8:32\n", PATHS_DEV_BLOCK "/253:0/slaves/sdc/dev");

	root_put("mpath-360015\n", PATHS_DEV_BLOCK "/253:1/dm/uuid");
	root_put("mpathb\n", PATHS_DEV_BLOCK "/253:1/dm/name");
	root_put("LVM-abc\n", PATHS_DEV_BLOCK "/253:2/dm/uuid");
	root_put("part1-mpath-360014\n", PATHS_DEV_BLOCK "/253:3/dm/uuid");
	root_put("mpath-nvme.1\n", PATHS_DEV_BLOCK "/253:4/dm/uuid");
	root_put("259:0\n", PATHS_DEV_BLOCK "/253:4/slaves/nvme0n1/dev");

	put_disk("8:48", "DEVNAME=sdd\n", "running\n");
	put_disk("8:64", "DEVNAME=sde\n", "running\n");
	put_device("8:48", "host3");
	put_device("8:64", "host4");
	root_put("iscsi_tcp\n", PATHS_SCSI_HOST "/host3/proc_name");
	root_put("tcm_loopback\n", PATHS_SCSI_HOST "/host4/proc_name");
	root_put("mpath-360016\n", PATHS_DEV_BLOCK "/253:5/dm/uuid");
	root_put("8:48\n", PATHS_DEV_BLOCK "/253:5/slaves/sdd/dev");
	root_put("mpath-360017\n", PATHS_DEV_BLOCK "/253:6/dm/uuid");
	root_put("8:48\n", PATHS_DEV_BLOCK "/253:6/slaves/sdd/dev");
	root_put("8:64\n", PATHS_DEV_BLOCK "/253:6/slaves/sde/dev");
}

static bool inspect(unsigned int minor)
{
	memset(&map, 0, sizeof(map));
	reason[0] = '\0';
	return mpath_map_inspect("/dev/mapper/x", makedev(253, minor), &map, &missing, reason);
}

static void test_map(void)
{
	CHECK(inspect(0));
	CHECK_STR(map.node, "/dev/mapper/mpatha");
	CHECK_INT(map.path_count, 2);
	CHECK_STR(map.paths[0].node, "/dev/sdb");
	CHECK(map.paths[0].rdev == makedev(8, 16));
	CHECK_STR(map.paths[0].open_path, "/dev/sdb");
	CHECK_STR(map.paths[1].node, "/dev/sdaa");
}

static void test_refused(void)
{
	CHECK(!inspect(1));
	CHECK_CONTAINS(reason, "has no path");
	CHECK(missing);
	for (unsigned int minor = 2; minor <= 3; minor++) {
		CHECK(!inspect(minor));
		CHECK_CONTAINS(reason, "no multipath device");
		CHECK(!missing);
	}
	CHECK(!inspect(4));
	CHECK_CONTAINS(reason, "/dev/nvme0n1");
	CHECK(!missing);
	/* The guest's own disk. */
	CHECK(inspect(5));
	CHECK(!inspect(6));
	CHECK_CONTAINS(reason, "/dev/sde, a disk of tcm_loop");
	CHECK(!missing);
}

static void test_running(void)
{
	CHECK(mpath_path_running(makedev(8, 16)));
	CHECK(!mpath_path_running(makedev(65, 160)));
	CHECK(!mpath_path_running(makedev(8, 32)));
}

/* Of names that are not there, those are maps that nothing else than a map is taken by. */
static void test_names(void)
{
	CHECK(lun_mpath_is("/dev/mapper/prmig-test-absent"));
	CHECK(lun_mpath_is("/dev/dm-9999"));
	CHECK(lun_mpath_is("/dev/disk/by-id/dm-uuid-mpath-prmig-test"));
	CHECK(!lun_mpath_is("/dev/disk/by-id/wwn-0xprmig-test"));
	CHECK(!lun_mpath_is("/dev/prmig-test-absent"));
	CHECK(!lun_mpath_is("/dev/null"));
	CHECK(!lun_mpath_is("/dev"));
}

int main(void)
{
	if (!root_begin())
		return 1;
	make_sysfs();
	CHECK_RUN(test_map);
	CHECK_RUN(test_refused);
	CHECK_RUN(test_running);
	CHECK_RUN(test_names);
	return !root_end() || check_summary();
}
