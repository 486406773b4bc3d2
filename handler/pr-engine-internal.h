/* SPDX-License-Identifier: Apache-2.0 */
/* Between the parts of the reservation engine. */
#ifndef PRMIG_PR_ENGINE_INTERNAL_H
#define PRMIG_PR_ENGINE_INTERNAL_H

#include "pr-engine.h"

/* PERSISTENT RESERVE OUT while it is decided: works on change->next. */
struct pr_engine_command {
	struct pr_engine *engine;
	struct pr_engine_change *change;
	unsigned int nexus; /* the sender */
	struct pr_out out;
	const uint8_t *list;
	size_t list_len;
};

static inline struct pr_engine_answer pr_engine_good(void)
{
	return (struct pr_engine_answer){.status = SCSI_GOOD};
}

static inline struct pr_engine_answer pr_engine_conflict(void)
{
	return (struct pr_engine_answer){.status = SCSI_RESERVATION_CONFLICT};
}

static inline struct pr_engine_answer pr_engine_sense(enum scsi_sense_key key, uint16_t asc_ascq)
{
	return (struct pr_engine_answer){
		.status = SCSI_CHECK_CONDITION, .sense_key = (uint8_t)key, .asc_ascq = asc_ascq};
}

static inline struct pr_engine_answer pr_engine_illegal(uint16_t asc_ascq)
{
	return pr_engine_sense(SCSI_ILLEGAL_REQUEST, asc_ascq);
}

/* pr-engine.c */
/* False with reason: a nexus has that name, or one that differs by upper and lower case alone. */
bool pr_engine_name_free(const struct pr_engine *engine, const char *name,
			 uint16_t relative_target_port, char *reason);
/* ret: PR_TRANSPORT_ID_MAX bytes; returns how many there are. */
size_t pr_engine_transport_id(const struct pr_engine_nexus *nexus, uint8_t *ret);
/* -1: no nexus of the table. */
int pr_engine_find_port(const struct pr_engine *engine, const uint8_t *transport_id,
			size_t transport_id_len, uint16_t relative_target_port);

/* pr-engine-attention.c: a place in the list of those that a queue holds; -1: not among them. */
int pr_engine_attention_number(uint16_t asc_ascq);
uint16_t pr_engine_attention(unsigned int number);

/* pr-engine-out.c: a unit attention for a nexus, or each registered one; never for the sender. */
void pr_engine_tell(struct pr_engine_command *command, unsigned int nexus, uint16_t asc_ascq);
void pr_engine_tell_registered(struct pr_engine_command *command, uint16_t asc_ascq);
void pr_engine_count(struct pr_engine_command *command); /* PRGENERATION */
void pr_engine_hold(struct pr_engine *engine, uint8_t type, unsigned int nexus);
void pr_engine_release(struct pr_engine *engine);

/* pr-engine-register.c, pr-engine-preempt.c: after the checks that all have in common. */
struct pr_engine_answer pr_engine_register(struct pr_engine_command *command);
struct pr_engine_answer pr_engine_register_and_move(struct pr_engine_command *command);
struct pr_engine_answer pr_engine_preempt(struct pr_engine_command *command);

#endif
