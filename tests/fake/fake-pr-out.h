/* SPDX-License-Identifier: Apache-2.0 */
/* Between the two halves of PERSISTENT RESERVE OUT. */
#ifndef PRMIG_TESTS_FAKE_PR_OUT_H
#define PRMIG_TESTS_FAKE_PR_OUT_H

#include "fake-internal.h"

struct pr_out_list {
	uint8_t action, scope, type;
	uint32_t len;
	const uint8_t *list;
	uint64_t key, service_key;
	bool aptpl, all_tg_pt, spec_i_pt;
};

/* fake-pr-out.c; unit attentions never go to the sender. */
void fake_pr_ua(struct fake_exec *exec, unsigned int nexus, uint16_t asc_ascq);
void fake_pr_ua_registered(struct fake_exec *exec, uint16_t asc_ascq);
void fake_pr_count(struct fake_exec *exec); /* PRGENERATION */
void fake_pr_release(struct fake_pr *pr);

/* fake-pr-register.c */
void fake_pr_register(struct fake_exec *exec, const struct pr_out_list *out);
void fake_pr_register_and_move(struct fake_exec *exec, const struct pr_out_list *out);

#endif
