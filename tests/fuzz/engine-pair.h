/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reservation engine and the reference model side by side, for fuzz-engine.c: both get the same, and after each step agree on everything
 * that a command could show.
 */
#ifndef PRMIG_FUZZ_ENGINE_PAIR_H
#define PRMIG_FUZZ_ENGINE_PAIR_H

#include "fuzz.h"
#include "pr-engine.h"
#include "reference-model.h"

#define PAIR_FEW 4    /* nexuses of which two are one initiator through two target ports */
#define PAIR_CROWD 30 /* and who fills the table */

extern struct pr_engine pair_engine;
extern struct model pair_model;
extern int pair_slots[MODEL_NEXUSES]; /* of open nexuses; -1: closed */

/* Both empty, no nexus open. */
void pair_begin(int count, bool ptpl_c);
/* The slot of a nexus; -1: not in the table. */
int pair_find(int nexus);
void pair_open(int nexus);

/* That both are the same. */
void pair_compare(void);
bool pair_same_model(const struct model *a, const struct model *b);
bool pair_same_engine(const struct pr_engine *a, const struct pr_engine *b);

/* Whether the command goes on, as both have it. cdb: SCSI_CDB_MAX bytes. */
bool pair_admit(int nexus, const uint8_t *cdb);
/* REQUEST SENSE. */
void pair_take_attention(int nexus);

/* engine-out.c: one PERSISTENT RESERVE OUT, made of source. */
void pair_out(struct fuzz_source *source, int sender);
/* engine-in.c: what PERSISTENT RESERVE IN shows. */
void pair_in(struct fuzz_source *source, int nexus);

#endif
