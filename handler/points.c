/* SPDX-License-Identifier: Apache-2.0 */
#include "points.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POINT_MAX 128

static const char *const moment_names[] = {
	[HANDOVER_BEFORE_JOURNAL] = "before-journal",
	[HANDOVER_JOURNALLED] = "journalled",
	[HANDOVER_ANSWERED] = "answered",
};

/* Any nexus of the process may be the one that gets there. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char armed[POINT_MAX]; /* under lock: PRMIG_POINT as it was last seen */
static unsigned long skip;

static void write_log(const char *name)
{
	const char *path = getenv("PRMIG_POINT_LOG");
	int fd;

	if (path == NULL || path[0] == '\0')
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dprintf(fd, "%s\n", name) < 0)
		fprintf(stderr, "PRMIG_POINT_LOG: %s cannot be written\n", path);
	if (fd >= 0)
		close(fd);
}

/* A test that waits for a point that does not exist would pass by never getting there. */
static void check_name(const char *text, size_t len)
{
	for (int step = RECORD_STEP_NONE + 1; step < RECORD_STEP_COUNT; step++) {
		for (int moment = HANDOVER_BEFORE_JOURNAL; moment <= HANDOVER_ANSWERED; moment++) {
			char name[POINT_MAX];

			snprintf(name, sizeof(name), "%s:%s",
				 record_step_name((enum record_step)step), moment_names[moment]);
			if (strlen(name) == len && memcmp(name, text, len) == 0)
				return;
		}
	}
	fprintf(stderr, "PRMIG_POINT: there is no point '%s'\n", text);
	_exit(2);
}

/* The line of the file that PRMIG_POINT may name, which a test changes while the process runs. */
static bool read_file(const char *path, char *text)
{
	FILE *file = fopen(path, "re");
	bool got = file != NULL && fgets(text, POINT_MAX, file) != NULL;

	if (file != NULL)
		fclose(file);
	return got;
}

static bool is_armed_locked(const char *name)
{
	const char *text = getenv("PRMIG_POINT"), *path = NULL, *end;
	char line[POINT_MAX];
	size_t len;

	if (text != NULL && text[0] == '/') {
		path = text;
		text = read_file(path, line) ? line : NULL;
	}
	if (text == NULL || text[0] == '\0') {
		armed[0] = '\0';
		return false;
	}
	end = strchr(text, ':');
	end = end != NULL ? strchr(end + 1, ':') : NULL;
	len = end != NULL ? (size_t)(end - text) : strlen(text);
	if (strcmp(text, armed) != 0) {
		check_name(text, len);
		snprintf(armed, sizeof(armed), "%s", text);
		skip = end != NULL ? strtoul(end + 1, NULL, 10) : 0;
	}
	if (strlen(name) != len || memcmp(name, text, len) != 0 || skip-- != 0)
		return false;
	/* The file may name the same point again before another one is reached. */
	if (path != NULL) {
		unlink(path);
		armed[0] = '\0';
	}
	return true;
}

void points_reach(enum record_step step, enum handover_moment moment)
{
	const char *stop = getenv("PRMIG_POINT_STOP");
	char name[POINT_MAX];
	bool here;

	snprintf(name, sizeof(name), "%s:%s", record_step_name(step), moment_names[moment]);
	pthread_mutex_lock(&lock);
	write_log(name);
	here = is_armed_locked(name);
	pthread_mutex_unlock(&lock);
	/* To this thread: one that is sent to the process may be taken by another, and this one goes on meanwhile. */
	if (here)
		raise(stop != NULL && stop[0] != '\0' ? SIGSTOP : SIGKILL);
}
