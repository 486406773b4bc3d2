/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The definition of an iSCSI LUN (design section 3), as text. Pure: lun-iscsi-file.c reads the file.
 *
 *     [lun]
 *     backend=iscsi
 *     portal=192.0.2.10:3260      or [2001:db8::10]:3260; the port may be left out
 *     target=iqn.2003-01.com.example:array
 *     lun=7
 *     initiator=iqn.2026-11.com.example:vm1
 *     move=iqn.2026-11.com.example:prmig  may be left out; see lun-iscsi-move.c
 *     [chap]                      only where the target asks for it
 *     user=vm1
 *     password=...
 *
 * Lines that begin with '#' or ';' are comments. Texts about what is wrong never show what [chap] holds.
 */
#ifndef PRMIG_LUN_ISCSI_DEFINITION_H
#define PRMIG_LUN_ISCSI_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cfgstring.h"

#define LUN_ISCSI_NAME_MAX 223 /* RFC 7143, 4.2.7.1 */
#define LUN_ISCSI_PORTAL_MAX 79
#define LUN_ISCSI_CHAP_MAX 255	/* libiscsi's */
#define LUN_ISCSI_LUN_MAX 16383 /* of SAM's flat addressing */
#define LUN_ISCSI_ISID_LEN 6

struct lun_iscsi_definition {
	char portal[LUN_ISCSI_PORTAL_MAX + 1]; /* with its port */
	char target[LUN_ISCSI_NAME_MAX + 1];
	char initiator[LUN_ISCSI_NAME_MAX + 1];
	char user[LUN_ISCSI_CHAP_MAX + 1]; /* empty: no CHAP */
	char password[LUN_ISCSI_CHAP_MAX + 1];
	uint16_t lun;
	/* The nexus moves whole, and this is the name of the sessions beside it; empty: it does not. */
	char move[LUN_ISCSI_NAME_MAX + 1];
};

/*
 * text: of the file that reason calls path. False: reason (CFGSTRING_REASON_MAX bytes) says what is
 * wrong and what would be right, and *ret_definition is untouched.
 */
bool lun_iscsi_definition_parse(const char *text, const char *path,
				struct lun_iscsi_definition *ret_definition, char *reason);

/*
 * The ISID that belongs to initiator, target and LUN, of the random kind: with it the same definition is
 * the same I_T nexus whoever logs in and however often, and two LUNs of one target with one initiator
 * name are two sessions.
 */
void lun_iscsi_definition_isid(const struct lun_iscsi_definition *definition,
			       uint8_t ret_isid[LUN_ISCSI_ISID_LEN]);

/* Of the nexus, by the name that move= gives, that says to every host with this definition where the guest's is (move-marker.h). */
void lun_iscsi_definition_marker_isid(const struct lun_iscsi_definition *definition,
				      uint8_t ret_isid[LUN_ISCSI_ISID_LEN]);

/* Whether both are of the same I_T nexus and LUN. */
bool lun_iscsi_definition_same_nexus(const struct lun_iscsi_definition *a,
				     const struct lun_iscsi_definition *b);

/* lun-iscsi-portal.c: an IPv4 address or an IPv6 address in brackets, with or without a port; ret has one. */
bool lun_iscsi_portal_parse(const char *text, size_t len, char ret[LUN_ISCSI_PORTAL_MAX + 1]);
/* Digits alone. */
bool lun_iscsi_decimal_parse(const char *text, size_t len, unsigned int max, unsigned int *ret);

#endif
