/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT 3260
#define PORT_IPV6_BASE 10000 /* ::1 is one for all */
#define PORTS_IPV6 20000
#define START_MS 20000
#define PAUSE_US 20000
#define COMMAND_MAX 1024

struct target {
	char root[64];
	char portal[TARGET_PORTAL_MAX], portal_ipv6[TARGET_PORTAL_MAX];
	pid_t pid;
};

const char *target_portal(const struct target *target)
{
	return target->portal;
}

const char *target_portal_ipv6(const struct target *target)
{
	return target->portal_ipv6;
}

static bool run_admin(const struct target *target, const char *words)
{
	char command[COMMAND_MAX];

	snprintf(command, sizeof(command),
		 "TGT_IPC_SOCKET=%s/control PATH=$PATH:/usr/sbin tgtadm --lld iscsi %s "
		 ">%s/tgtadm.log 2>&1",
		 target->root, words, target->root);
	return system(command) == 0;
}

bool target_admin(struct target *target, const char *format, ...)
{
	char words[COMMAND_MAX / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	if (run_admin(target, words))
		return true;
	fprintf(stderr, "tgtadm %s: failed\n", words);
	return false;
}

bool target_add(struct target *target, unsigned int number, const char *name)
{
	char disk[128];
	int fd;

	snprintf(disk, sizeof(disk), "%s/disk%u", target->root, number);
	fd = open(disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, TARGET_BYTES) != 0) {
		perror(disk);
		return false;
	}
	close(fd);
	return target_admin(target, "--op new --mode target --tid %u -T %s", number, name) &&
	       target_admin(target, "--op new --mode logicalunit --tid %u --lun %d -b %s", number,
			    TARGET_LUN, disk) &&
	       target_admin(target, "--op bind --mode target --tid %u -I ALL", number);
}

static void exec_tgtd(const struct target *target)
{
	char portals[2 * TARGET_PORTAL_MAX + 32], path[128];
	int log;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "%s/tgtd.log", target->root);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	snprintf(path, sizeof(path), "%s/control", target->root);
	setenv("TGT_IPC_SOCKET", path, 1);
	snprintf(portals, sizeof(portals), "portal=%s,portal=%s", target->portal,
		 target->portal_ipv6);
	execlp("tgtd", "tgtd", "-f", "--iscsi", portals, NULL);
	execl("/usr/sbin/tgtd", "tgtd", "-f", "--iscsi", portals, NULL);
	_exit(127);
}

bool target_restart(struct target *target)
{
	unsigned int waited_us;
	int status;

	target->pid = fork();
	if (target->pid == 0)
		exec_tgtd(target);
	for (waited_us = 0; waited_us < START_MS * 1000; waited_us += PAUSE_US) {
		if (waitpid(target->pid, &status, WNOHANG) == target->pid) {
			target->pid = 0;
			fprintf(stderr,
				"no tgtd: it ended with status %x (is the package tgt "
				"installed?)\n",
				(unsigned int)status);
			return false;
		}
		if (run_admin(target, "--op show --mode target"))
			return target_add(target, 1, TARGET_NAME);
		usleep(PAUSE_US);
	}
	fprintf(stderr, "tgtd does not start: see %s/tgtd.log\n", target->root);
	return false;
}

struct target *target_start(void)
{
	struct target *target = calloc(1, sizeof(*target));
	unsigned int pid = (unsigned int)getpid();

	strcpy(target->root, "/tmp/prmig-target-XXXXXX");
	if (!mkdtemp(target->root)) {
		perror("mkdtemp");
		abort();
	}
	snprintf(target->portal, sizeof(target->portal), "127.%u.%u.%u:%d", 1 + (pid >> 16) % 254,
		 pid >> 8 & 0xff, pid & 0xff, PORT);
	snprintf(target->portal_ipv6, sizeof(target->portal_ipv6), "[::1]:%u",
		 PORT_IPV6_BASE + pid % PORTS_IPV6);
	if (target_restart(target))
		return target;
	target_stop(target);
	return NULL;
}

void target_kill(struct target *target)
{
	if (!target->pid)
		return;
	kill(target->pid, SIGKILL);
	waitpid(target->pid, NULL, 0);
	target->pid = 0;
}

void target_freeze(struct target *target, bool frozen)
{
	kill(target->pid, frozen ? SIGSTOP : SIGCONT);
}

void target_stop(struct target *target)
{
	char command[128];

	target_kill(target);
	snprintf(command, sizeof(command), "rm -rf %s", target->root);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", target->root);
	free(target);
}

/* ---- definitions ---- */

static void define(const char *root, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/etc", root);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/etc/prmig", root);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/etc/prmig/%s.conf", root, name);
	file = fopen(path, "we");
	if (!file) {
		perror(path);
		abort();
	}
	fchmod(fileno(file), 0600);
	fputs(text, file);
	fclose(file);
}

void target_define(const char *root, const char *name, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	define(root, name, text);
}

void target_define_lun(const char *root, const char *name, const char *portal,
		       const char *initiator)
{
	target_define(root, name,
		      "[lun]\nbackend=iscsi\nportal=%s\ntarget=" TARGET_NAME
		      "\nlun=%d\ninitiator=%s\n",
		      portal, TARGET_LUN, initiator);
}
