/* SPDX-License-Identifier: Apache-2.0 */
/* The files that the kernel shows, below the host's root. */
#include "host-internal.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CORE "sys/kernel/config/target/core/user_0"
#define TEXT_MAX 256

char host_root[PATH_MAX];

static void make_directories(char *path)
{
	char *slash;

	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
}

static bool path_of(char *path, const char *format, va_list args)
{
	int root_len = snprintf(path, PATH_MAX, "%s/", host_root);
	int len = vsnprintf(path + root_len, PATH_MAX - root_len, format, args);

	return len >= 0 && root_len + len < PATH_MAX;
}

void sysfs_write(const char *text, const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	FILE *file;

	va_start(args, format);
	path_of(path, format, args);
	va_end(args);
	make_directories(path);
	file = fopen(path, "we");
	if (!file) {
		perror(path);
		abort();
	}
	fprintf(file, "%s\n", text);
	fclose(file);
}

bool sysfs_read(char *text, const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	FILE *file;

	va_start(args, format);
	path_of(path, format, args);
	va_end(args);
	text[0] = '\0';
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(text, TEXT_MAX, file))
		text[strcspn(text, "\n")] = '\0';
	fclose(file);
	return true;
}

static void write_attribute(const char *name, const char *attribute, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	sysfs_write(text, CORE "/%s/attrib/%s", name, attribute);
}

unsigned int sysfs_add_backstore(const struct host_device_config *config)
{
	size_t data_bytes = config->data_bytes ? config->data_bytes : 8 << 20;
	char text[PATH_MAX];
	unsigned int uio = 0;
	int old = sysfs_find_backstore(config->name, text);

	if (old >= 0)
		return (unsigned int)old;
	while (sysfs_read(text, "sys/class/uio/uio%u/name", uio))
		uio++;
	if (!config->no_pgr_support)
		write_attribute(config->name, "pgr_support", 1);
	write_attribute(config->name, "emulate_pr", 1);
	write_attribute(config->name, "cmd_time_out", 30);
	write_attribute(config->name, "max_data_area_mb", data_bytes >> 20);
	write_attribute(config->name, "data_pages_per_blk", 1);
	write_attribute(config->name, "hw_max_sectors", 128);
	write_attribute(config->name, "hw_block_size", 512);
	write_attribute(config->name, "dev_size", config->dev_size ? config->dev_size : 8 << 20);
	sysfs_write("", CORE "/%s/control", config->name);
	if (config->exported)
		sysfs_write("1", CORE "/%s/exported", config->name);
	snprintf(text, sizeof(text), "tcm-user/0/%s/%s", config->name, config->cfgstring);
	sysfs_write(text, "sys/class/uio/uio%u/name", uio);
	return uio;
}

static bool each_backstore(bool (*visit)(unsigned int uio, char *name, char *cfgstring, void *user),
			   void *user)
{
	char path[PATH_MAX], text[TEXT_MAX + 128], *name, *cfgstring;
	struct dirent *entry;
	bool found = false;
	unsigned int uio;
	DIR *dir;

	snprintf(path, sizeof(path), "%.*s/sys/class/uio", PATH_MAX - 64, host_root);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (sscanf(entry->d_name, "uio%u", &uio) != 1 ||
		    !sysfs_read(text, "sys/class/uio/uio%u/name", uio))
			continue;
		name = strchr(text, '/');
		name = name ? strchr(name + 1, '/') : NULL;
		cfgstring = name ? strchr(name + 1, '/') : NULL;
		if (!cfgstring)
			continue;
		*name++ = *cfgstring++ = '\0';
		found = visit(uio, name, cfgstring, user);
	}
	closedir(dir);
	return found;
}

struct search {
	const char *name;
	char *cfgstring;
	unsigned int uio;
};

static bool is_backstore(unsigned int uio, char *name, char *cfgstring, void *user)
{
	struct search *search = user;

	if (strcmp(name, search->name) != 0)
		return false;
	search->uio = uio;
	strcpy(search->cfgstring, cfgstring);
	return true;
}

int sysfs_find_backstore(const char *name, char *ret_cfgstring)
{
	struct search search = {.name = name, .cfgstring = ret_cfgstring};

	return each_backstore(is_backstore, &search) ? (int)search.uio : -1;
}

static bool visit_one(unsigned int uio, char *name, char *cfgstring, void *user)
{
	(void)uio;
	((void (*)(const char *, const char *))user)(name, cfgstring);
	return false;
}

void sysfs_for_each(void (*visit)(const char *name, const char *cfgstring))
{
	each_backstore(visit_one, (void *)visit);
}

static void remove_tree(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void remove_tree(const char *format, ...)
{
	char path[PATH_MAX], below[PATH_MAX];
	struct dirent *entry;
	va_list args;
	DIR *dir;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(below, sizeof(below), "%.*s/%s", PATH_MAX / 2, path, entry->d_name);
		if (unlink(below) != 0)
			remove_tree("%s", below);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

void sysfs_remove_backstore(const char *name)
{
	char cfgstring[TEXT_MAX];
	int uio = sysfs_find_backstore(name, cfgstring);

	if (uio >= 0)
		remove_tree("%s/sys/class/uio/uio%d", host_root, uio);
	remove_tree("%s/" CORE "/%s", host_root, name);
}

void sysfs_add_lun(unsigned int lun)
{
	unsigned int nexus;

	for (nexus = 0; nexus < HOST_LUN_NEXUSES; nexus++) {
		unsigned int minor = lun * HOST_LUN_NEXUSES + nexus;
		char uevent[64];

		snprintf(uevent, sizeof(uevent), "DEVNAME=fake/%u/%u", lun, nexus);
		sysfs_write(uevent, "sys/dev/block/%u:%u/uevent", HOST_MAJOR, minor);
		sysfs_write("0", "sys/dev/block/%u:%u/device/type", HOST_MAJOR, minor);
		sysfs_write("0", "sys/dev/block/%u:%u/ro", HOST_MAJOR, minor);
		sysfs_write("4096", "sys/dev/block/%u:%u/queue/max_hw_sectors_kb", HOST_MAJOR,
			    minor);
		sysfs_write("1024", "sys/dev/block/%u:%u/queue/max_segments", HOST_MAJOR, minor);
	}
}

void host_read_configfs(const char *name, const char *file, char *text)
{
	sysfs_read(text, CORE "/%s/%s", name, file);
}

void host_write_configfs(const char *name, const char *file, const char *text)
{
	sysfs_write(text, CORE "/%s/%s", name, file);
}

bool sysfs_write_refused(const char *path)
{
	static const char *const refused[] = {"pgr_support", "emulate_pr", "cmd_time_out"};
	const char *attribute = strstr(path, "/attrib/");
	char marker[PATH_MAX];
	size_t i;

	if (!attribute || strncmp(path, host_root, strlen(host_root)) != 0)
		return false;
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (!strcmp(attribute + strlen("/attrib/"), refused[i]))
			break;
	if (i == sizeof(refused) / sizeof(refused[0]))
		return false;
	snprintf(marker, sizeof(marker), "%.*s/exported", (int)(attribute - path), path);
	return access(marker, F_OK) == 0;
}
