/* SPDX-License-Identifier: Apache-2.0 */
/* prmig.conf. The input: such a file. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cfgstring.h"
#include "dbus-conf.h"
#include "fuzz.h"
#include "log.h"
#include "scratch.h"

static char path[64];

/* PRMIG_ROOT: what the reader puts in front of its path. */
static void make_root(void)
{
	const char *root = scratch_directory();
	char directory[64];

	if (path[0] != '\0')
		return;
	snprintf(directory, sizeof(directory), "%s/etc", root);
	mkdir(directory, 0700);
	snprintf(directory, sizeof(directory), "%s/etc/prmig", root);
	mkdir(directory, 0700);
	snprintf(path, sizeof(path), "%s/etc/prmig/prmig.conf", root);
	if (setenv("PRMIG_ROOT", root, 1) != 0)
		fuzz_fail(__FILE__, __LINE__, "no memory");
}

/* log.h: formatted, so that what is quoted is read, and forgotten. */
static void forget(const char *format, va_list args)
{
	char text[8192];

	FUZZ_CHECK(vsnprintf(text, sizeof(text), format, args) > 0);
}

#define FORGET(name)                                                                               \
	void name(const char *format, ...)                                                         \
	{                                                                                          \
		va_list args;                                                                      \
                                                                                                   \
		va_start(args, format);                                                            \
		forget(format, args);                                                              \
		va_end(args);                                                                      \
	}
FORGET(log_error)
FORGET(log_warning)
FORGET(log_info)

static void check_group(const struct dbus_conf *conf, guint index)
{
	const struct dbus_conf_group *group = conf->groups->pdata[index];

	FUZZ_CHECK(cfgstring_name_valid(group->group));
	FUZZ_CHECK(group->vmstate_bus[0] != '\0' &&
		   g_dbus_is_supported_address(group->vmstate_bus, NULL));
	FUZZ_CHECK(group->vmstate_id[0] != '\0' && strlen(group->vmstate_id) <= 255 &&
		   strchr(group->vmstate_id, ',') == NULL);
	for (guint i = 0; i < index; i++) {
		const struct dbus_conf_group *other = conf->groups->pdata[i];

		FUZZ_CHECK(strcmp(other->group, group->group) != 0);
		FUZZ_CHECK(strcmp(other->vmstate_bus, group->vmstate_bus) != 0);
	}
	fuzz_deep();
}

void fuzz_one(const uint8_t *data, size_t size)
{
	struct dbus_conf *conf;

	make_root();
	scratch_write(path, data, size);
	conf = dbus_conf_read();
	FUZZ_CHECK(conf->resync_interval_s <= 3600);
	for (guint i = 0; i < conf->groups->len; i++)
		check_group(conf, i);
	dbus_conf_free(conf);
}
