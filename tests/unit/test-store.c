/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "store.h"

static char root[] = "/tmp/prmig-store-XXXXXX";

static void path_of(const char *name, char *ret, size_t size)
{
	snprintf(ret, size, "%s/var/lib/prmig/nexus/%s", root, name);
}

static void nothing_there(void)
{
	char text[64];

	CHECK_INT(store_read(STORE_NEXUS, "vm1", text, sizeof(text)), -ENOENT);
	CHECK_INT(store_for_each(STORE_NEXUS, NULL, NULL), 0);
}

static void written_and_read(void)
{
	char text[64], path[256];
	struct stat status;

	CHECK_INT(store_write(STORE_NEXUS, "vm1", "one\n"), 0);
	CHECK_INT(store_write(STORE_NEXUS, "vm1", "two\n"), 0);
	CHECK_INT(store_read(STORE_NEXUS, "vm1", text, sizeof(text)), 0);
	CHECK_STR(text, "two\n");
	path_of("vm1", path, sizeof(path));
	CHECK_INT(stat(path, &status), 0);
	CHECK_INT(status.st_mode & 07777, 0600);
	path_of("", path, sizeof(path));
	CHECK_INT(stat(path, &status), 0);
	CHECK_INT(status.st_mode & 07777, 0700);
	CHECK_INT(store_read(STORE_NEXUS, "vm1", text, 4), -EFBIG);
	CHECK_INT(store_read(STORE_NEXUS, "vm1", text, 5), 0);
}

/* The rename has not come: the old text stands, the temporary one counts for nothing. */
static void power_lost_before_rename(void)
{
	char text[64], path[256];
	FILE *file;

	path_of(".vm1.new", path, sizeof(path));
	file = fopen(path, "w");
	fputs("half", file);
	fclose(file);
	CHECK_INT(store_read(STORE_NEXUS, "vm1", text, sizeof(text)), 0);
	CHECK_STR(text, "two\n");
	CHECK_INT(store_write(STORE_NEXUS, "vm1", "three\n"), 0);
	CHECK_INT(access(path, F_OK), -1);
}

static void count(void *user, const char *name)
{
	(*(int *)user)++;
	CHECK(name[0] != '.');
}

static void listed(void)
{
	int files = 0;

	CHECK_INT(store_write(STORE_NEXUS, "vm2", "x"), 0);
	CHECK_INT(store_for_each(STORE_NEXUS, count, &files), 0);
	CHECK_INT(files, 2);
}

static void set_aside(void)
{
	char text[64];

	CHECK_INT(store_set_aside(STORE_NEXUS, "vm2"), 0);
	CHECK_INT(store_read(STORE_NEXUS, "vm2", text, sizeof(text)), -ENOENT);
	CHECK_INT(store_read(STORE_NEXUS, "vm2,damaged", text, sizeof(text)), 0);
	CHECK_INT(store_set_aside(STORE_NEXUS, "vm2"), -ENOENT);
}

/* Registries of LUNs are apart from what belongs to nexuses. */
static void of_a_lun(void)
{
	char text[64];
	int files = 0;

	CHECK_INT(store_remove(STORE_LUN, "naa.60"), -ENOENT);
	CHECK_INT(store_write(STORE_LUN, "naa.60", "keys"), 0);
	CHECK_INT(store_read(STORE_NEXUS, "naa.60", text, sizeof(text)), -ENOENT);
	CHECK_INT(store_read(STORE_LUN, "naa.60", text, sizeof(text)), 0);
	CHECK_STR(text, "keys");
	CHECK_INT(store_remove(STORE_LUN, "naa.60"), 0);
	CHECK_INT(store_for_each(STORE_LUN, count, &files), 0);
	CHECK_INT(files, 0);
}

int main(void)
{
	char command[512];

	if (mkdtemp(root) == NULL)
		return 1;
	setenv("PRMIG_ROOT", root, 1);
	snprintf(command, sizeof(command), "mkdir -p '%s/var/lib'", root);
	if (system(command) != 0)
		return 1;
	CHECK_RUN(nothing_there);
	CHECK_RUN(written_and_read);
	CHECK_RUN(power_lost_before_rename);
	CHECK_RUN(listed);
	CHECK_RUN(set_aside);
	CHECK_RUN(of_a_lun);
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command) != 0 ? 1 : check_summary();
}
