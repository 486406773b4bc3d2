/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real iSCSI target on loopback: Debian's tgtd, without root and without a kernel of its own, on an
 * address that no other process's tests have. And a relay between it and an initiator, in which the test
 * can lose what it likes.
 */
#ifndef PRMIG_TESTS_TARGET_H
#define PRMIG_TESTS_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#define TARGET_NAME "iqn.2026-11.com.example:array"
#define TARGET_LUN 1
#define TARGET_BYTES (8 << 20)
#define TARGET_PORTAL_MAX 64

struct target;

/* One target with LUN 1, open to every initiator. NULL: no tgtd here (install the package tgt), or it
 * does not start; a message is on stderr. */
struct target *target_start(void);
void target_stop(struct target *target);
/* The portals, as a definition has them. */
const char *target_portal(const struct target *target);
const char *target_portal_ipv6(const struct target *target);

/* tgtadm with these words behind "--lld iscsi". False: it failed. */
bool target_admin(struct target *target, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A target as in target_start, with a name and number of its own; LUN 1 is another one. */
bool target_add(struct target *target, unsigned int number, const char *name);

/* SIGKILL; and again, with nothing remembered but the blocks of the LUNs. */
void target_kill(struct target *target);
bool target_restart(struct target *target);
/* SIGSTOP, SIGCONT: TCP goes on, and nobody answers. */
void target_freeze(struct target *target, bool frozen);

/* Writes /etc/prmig/<name>.conf below root, mode 0600. lines: printf for all of it. */
void target_define(const char *root, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same for LUN 1 of TARGET_NAME. */
void target_define_lun(const char *root, const char *name, const char *portal,
		       const char *initiator);

/* ---- relay ---- */

struct relay;

/* Listens beside the target, and passes on. */
struct relay *relay_start(const struct target *target);
void relay_stop(struct relay *relay);
const char *relay_portal(const struct relay *relay);
/* Every connection is reset; new ones are taken. */
void relay_cut(struct relay *relay);
/* What the target says from now on is lost, on the connections that there are. */
void relay_mute(struct relay *relay);
/* Bytes that the initiator has sent since the start. */
uint64_t relay_sent(struct relay *relay);
/* Connections that were taken since the start. */
unsigned int relay_connections(struct relay *relay);

#endif
