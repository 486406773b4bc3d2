/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cfgstring of a backstore (design section 3): prmig/<lun>[;option=value]... Pure: does not
 * look whether the LUN is there.
 */
#ifndef PRMIG_CFGSTRING_H
#define PRMIG_CFGSTRING_H

#include <stdbool.h>
#include <stddef.h>

#define CFGSTRING_MAX 255     /* what kernel and rtslib allow */
#define CFGSTRING_NAME_MAX 63 /* names of nexuses, groups and LUN definitions */
#define CFGSTRING_REASON_MAX 512

enum cfgstring_pr { CFGSTRING_PR_AUTO, CFGSTRING_PR_PASSTHROUGH, CFGSTRING_PR_EMULATE };

struct cfgstring {
	char lun[CFGSTRING_MAX + 1]; /* an absolute path, or the bare name of a definition */
	bool lun_is_path;
	bool migrate_pr;		    /* default true */
	enum cfgstring_pr pr;		    /* default auto */
	bool incoming;			    /* default false */
	bool filter;			    /* default true */
	char group[CFGSTRING_NAME_MAX + 1]; /* empty: none */
	unsigned int hold_timeout_s;	    /* 1 to 25, default 20 */
};

/*
 * text: with or without "prmig/" in front, as the daemon gives it. reason: CFGSTRING_REASON_MAX
 * bytes, set on failure to one sentence for the administrator: which word is wrong and what would
 * be right. False leaves *ret_cfg untouched.
 */
bool cfgstring_parse(const char *text, struct cfgstring *ret_cfg, char *reason);

/* Letters, digits, '-', '_', '.', 1 to 63 of them; not "." and not "..". */
bool cfgstring_name_valid(const char *name);

#endif
