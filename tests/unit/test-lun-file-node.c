/* SPDX-License-Identifier: Apache-2.0 */
/* Which block devices can be a disk with emulated reservations, by a made-up sysfs. */
#include <sys/sysmacros.h>

#include "check.h"
#include "lun-file-internal.h"
#include "lun-file.h"
#include "sysfs-root.h"

static char reason[LUN_REASON_MAX];
static struct file_node node;

static void put(unsigned int device_minor, const char *name, const char *text)
{
	root_put(text, "/sys/dev/block/253:%u/%s", device_minor, name);
}

static bool inspect(unsigned int device_minor)
{
	reason[0] = '\0';
	return file_node_inspect("/dev/x", makedev(253, device_minor), &node, reason);
}

static void test_kinds(void)
{
	static const struct {
		const char *attribute, *name;
	} kinds[] = {{"dm/uuid", "LVM-abcdef"},
		     {"md/uuid", "7a1c0f5e-0001-0002-0003-000400050006"},
		     {"wwid", "eui.0025385b71b0f2d1"}};

	for (unsigned int i = 0; i < 3; i++) {
		CHECK(root_begin());
		put(i, kinds[i].attribute, kinds[i].name);
		put(i, "ro", "0\n");
		CHECK(inspect(i));
		CHECK_STR(node.name, kinds[i].name);
		CHECK(!node.thin);
		put(i, "queue/discard_max_bytes", "1048576\n");
		CHECK(inspect(i));
		CHECK(!node.thin);
		put(i, "queue/write_zeroes_max_bytes", "1048576\n");
		CHECK(inspect(i));
		CHECK(node.thin);
		CHECK(root_end());
	}
}

static void test_refused(void)
{
	char name[FILE_NODE_NAME_MAX + 2];

	CHECK(root_begin());
	put(1, "ro", "0\n");
	CHECK(!inspect(1));
	CHECK_CONTAINS(reason, "no name that is the same on every host");
	put(2, "dm/uuid", "\n"); /* dmsetup create without --uuid */
	CHECK(!inspect(2));
	CHECK_CONTAINS(reason, "no name that is the same on every host");
	put(3, "dm/uuid", "part1-LVM-abcdef\n");
	CHECK(!inspect(3));
	CHECK_CONTAINS(reason, "is a partition");
	put(4, "dm/uuid", "LVM-abcdef\n");
	put(4, "ro", "1\n");
	CHECK(!inspect(4));
	CHECK_CONTAINS(reason, "write-protected");
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	put(5, "dm/uuid", name);
	CHECK(!inspect(5));
	name[FILE_NODE_NAME_MAX] = '\0';
	put(6, "dm/uuid", name);
	CHECK(inspect(6));
	CHECK(!lun_file_is_node("/dev/null"));
	CHECK(!lun_file_is_node("/nonexistent"));
	CHECK(root_end());
}

int main(void)
{
	CHECK_RUN(test_kinds);
	CHECK_RUN(test_refused);
	return check_summary();
}
