/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persistent reservations once more, as small as can be and apart from handler/pr-engine*.c: written from the tables of SPC-4 (PERSISTENT
 * RESERVE OUT, its service actions), to compare the engine with. Where the standard is open it does what pr-engine.h says. A command
 * that fails leaves everything as it was.
 */
#ifndef PRMIG_FUZZ_REFERENCE_MODEL_H
#define PRMIG_FUZZ_REFERENCE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_NEXUSES 40
#define MODEL_REGISTRATIONS 32
#define MODEL_UNIT_ATTENTIONS 16

struct model_nexus {
	char name[64];
	uint16_t port; /* relative target port */
	bool known;    /* a port that REGISTER AND MOVE finds */
	uint64_t key;
	uint16_t attentions[MODEL_UNIT_ATTENTIONS]; /* ASC and ASCQ, oldest first */
	size_t attention_count;
};

struct model {
	bool ptpl_c, aptpl;
	uint32_t generation;
	uint8_t type; /* 0: no reservation */
	int holder;   /* with types 1, 3, 5, 6 */
	int count;
	struct model_nexus nexuses[MODEL_NEXUSES];
};

/* status; with CHECK CONDITION sense key << 16 | ASC << 8 | ASCQ. */
struct model_answer {
	uint8_t status;
	uint32_t sense;
};

/* cdb: 10 bytes; list: what arrived, len bytes. *ret_removed: a bit for each nexus whose registration PREEMPT took. */
struct model_answer model_out(struct model *model, int sender, const uint8_t *cdb,
			      const uint8_t *list, size_t len, uint64_t *ret_removed);

bool model_is_holder(const struct model *model, int nexus);
int model_registrations(const struct model *model);
/* What a command that is none of reservations meets. cdb: at least scsi_cdb_length() bytes. */
bool model_conflicts(const struct model *model, int nexus, const uint8_t *cdb);

/* Once each. */
void model_attention(struct model *model, int nexus, uint16_t asc_ascq);
/* 0: none waits. */
uint16_t model_take_attention(struct model *model, int nexus);

void model_power_loss(struct model *model);

#endif
