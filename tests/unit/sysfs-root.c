/* SPDX-License-Identifier: Apache-2.0 */
#include "sysfs-root.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_LEN_MAX 1024

static char root[64];

const char *root_path(void)
{
	return root;
}

bool root_begin(void)
{
	snprintf(root, sizeof(root), "/tmp/prmig-test-XXXXXX");
	return mkdtemp(root) != NULL && setenv("PRMIG_ROOT", root, 1) == 0;
}

bool root_end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command) == 0;
}

void root_make_directories(const char *path)
{
	char part[PATH_LEN_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + strlen(root) + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(part, 0700);
		*slash = '/';
	}
}

void root_put(const char *text, const char *format, ...)
{
	char relative[PATH_LEN_MAX / 2], path[PATH_LEN_MAX];
	va_list args;
	FILE *file;

	va_start(args, format);
	vsnprintf(relative, sizeof(relative), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%s%s", root, relative);
	root_make_directories(path);
	file = fopen(path, "w");
	if (file == NULL)
		abort();
	fputs(text, file);
	fclose(file);
}
