/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the fake LUN share. Everything here runs with its mutex held. */
#ifndef PRMIG_TESTS_FAKE_INTERNAL_H
#define PRMIG_TESTS_FAKE_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include "fake-lun.h"

#define FAKE_UA_MAX 8
#define FAKE_IN_FLIGHT_MAX 512
#define FAKE_REPLY_MAX 8192
#define FAKE_LIST_BYTES_MAX 8192 /* the longest PERSISTENT RESERVE OUT list it takes */

enum {
	GOOD = 0x00,
	CHECK_CONDITION = 0x02,
	RESERVATION_CONFLICT = 0x18,
	TASK_ABORTED = 0x40,
};

enum {
	KEY_NONE = 0x0,
	KEY_NOT_READY = 0x2,
	KEY_ILLEGAL_REQUEST = 0x5,
	KEY_UNIT_ATTENTION = 0x6,
	KEY_ABORTED_COMMAND = 0xb,
	KEY_MISCOMPARE = 0xe,
};

enum {
	ASC_NOT_READY_COMMUNICATION = 0x0800,
	ASC_LIST_LENGTH = 0x1a00,
	ASC_MISCOMPARE = 0x1d00,
	ASC_INVALID_OPCODE = 0x2000,
	ASC_LBA_RANGE = 0x2100,
	ASC_INVALID_FIELD_IN_CDB = 0x2400,
	ASC_INVALID_FIELD_IN_LIST = 0x2600,
	ASC_INVALID_RELEASE = 0x2604,
	ASC_POWER_ON = 0x2900,
	ASC_LUN_RESET = 0x2903,
	ASC_MODE_CHANGED = 0x2a01,
	ASC_RESERVATIONS_PREEMPTED = 0x2a03,
	ASC_RESERVATIONS_RELEASED = 0x2a04,
	ASC_REGISTRATIONS_PREEMPTED = 0x2a05,
	ASC_CAPACITY_CHANGED = 0x2a09,
	ASC_COMMANDS_CLEARED = 0x2f00,
	ASC_DATA_PHASE = 0x4b00,
	ASC_NO_REGISTRATION_RESOURCES = 0x5504,
};

/* All that reservation commands change. A command works on a copy, which is put in place whole: a
 * process that is killed between leaves the state before or after, and a failed command none. */
struct fake_pr {
	uint32_t generation;
	bool aptpl;
	bool held;
	uint8_t type;
	int8_t holder; /* -1 for types 7 and 8 */
	int8_t reserve_holder;
	uint64_t key[FAKE_NEXUS_MAX];
	uint8_t ua_count[FAKE_NEXUS_MAX];
	uint16_t ua[FAKE_NEXUS_MAX][FAKE_UA_MAX]; /* oldest first */
};

struct fake_nexus {
	bool disconnected;
	uint16_t port;
	uint64_t isid;
	char name[224];
};

enum fake_abort { ABORT_NOT, ABORT_TASK, ABORT_RESET, ABORT_LOST };

struct fake_in_flight {
	pid_t pid; /* 0: free */
	uint8_t nexus;
	uint8_t aborted; /* enum fake_abort */
};

struct fake_fault_slot {
	bool used;
	unsigned int seen, hits;
	struct fake_fault fault;
};

struct fake_shared {
	uint64_t magic; /* written last */
	uint64_t size_bytes;
	uint64_t medium_offset;
	uint64_t naa;
	pthread_mutex_t lock;

	uint64_t blocks, blocks_max;
	uint32_t block_len;
	bool write_cache;
	struct fake_nexus nexus[FAKE_NEXUS_MAX];
	struct fake_quirks quirks;
	struct fake_pr pr[2];
	uint8_t pr_now; /* index of the valid one */

	struct fake_fault_slot faults[FAKE_FAULT_MAX];
	struct fake_in_flight in_flight[FAKE_IN_FLIGHT_MAX];
	struct fake_monitor monitor;
	uint64_t log_end;
	struct fake_log_entry log[FAKE_LOG_MAX];
};

struct fake_lun {
	int fd;
	struct fake_shared *shared;
};

/* A command while it is executed. */
struct fake_exec {
	struct fake_shared *lun;
	unsigned int nexus;
	const uint8_t *cdb;
	size_t cdb_len;
	const uint8_t *out;
	size_t out_len;
	uint8_t *in;
	size_t in_cap;
	struct fake_result *result;
	struct fake_pr pr;  /* the copy */
	bool commit_anyway; /* although the status is not GOOD */
	uint16_t aborts;    /* nexuses whose commands PREEMPT AND ABORT aborts, a bit each */
	bool medium_changed;
};

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static inline uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

static inline void put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static inline void put32(uint8_t *p, uint32_t value)
{
	put16(p, (uint16_t)(value >> 16));
	put16(p + 2, (uint16_t)value);
}

static inline void put64(uint8_t *p, uint64_t value)
{
	put32(p, (uint32_t)(value >> 32));
	put32(p + 4, (uint32_t)value);
}

/* fake-lun.c */
void fake_lock(struct fake_lun *lun);
void fake_unlock(struct fake_lun *lun);
static inline struct fake_pr *fake_pr(struct fake_shared *lun)
{
	return &lun->pr[lun->pr_now];
}
/* Puts a changed copy in place, and lets the monitor see it. */
void fake_pr_commit(struct fake_shared *lun, const struct fake_pr *pr);
void fake_abort_in_flight(struct fake_shared *lun, uint16_t nexuses, enum fake_abort how,
			  const struct fake_in_flight *but);
void fake_power_loss_locked(struct fake_shared *lun, const struct fake_in_flight *but);
void fake_reset_locked(struct fake_shared *lun, unsigned int nexus,
		       const struct fake_in_flight *but);

/* fake-answer.c */
void fake_sense(struct fake_result *result, uint8_t key, uint16_t asc_ascq);
void fake_illegal(struct fake_exec *exec, uint16_t asc_ascq);
void fake_conflict(struct fake_exec *exec);
/* Data-in: as much of it as allocation length and buffer take. */
void fake_reply(struct fake_exec *exec, const uint8_t *data, size_t len, size_t allocation);
void fake_ua_add(struct fake_pr *pr, unsigned int nexus, uint16_t asc_ascq);
/* False: none waiting. */
bool fake_ua_take(struct fake_pr *pr, unsigned int nexus, uint16_t *ret_asc_ascq);

/* fake-class.c */
bool fake_cdb_conflicts(const struct fake_exec *exec);
void fake_reserve_release(struct fake_exec *exec);

/* fake-commands.c: everything from the UA check on. */
void fake_command_run(struct fake_exec *exec);

/* fake-medium.c, fake-inquiry.c, fake-mode.c, fake-pr-in.c, fake-pr-out.c: one command each. */
void fake_read(struct fake_exec *exec);
void fake_write(struct fake_exec *exec);
void fake_verify(struct fake_exec *exec);
void fake_in_range(struct fake_exec *exec); /* SYNCHRONIZE CACHE, PRE-FETCH */
void fake_compare_and_write(struct fake_exec *exec);
void fake_write_same(struct fake_exec *exec);
void fake_unmap(struct fake_exec *exec);
void fake_get_lba_status(struct fake_exec *exec);
void fake_inquiry(struct fake_exec *exec);
void fake_read_capacity_10(struct fake_exec *exec);
void fake_read_capacity_16(struct fake_exec *exec);
void fake_report_luns(struct fake_exec *exec);
void fake_request_sense(struct fake_exec *exec);
void fake_mode_sense(struct fake_exec *exec);
void fake_mode_select(struct fake_exec *exec);
void fake_log_sense(struct fake_exec *exec);
void fake_report_opcodes(struct fake_exec *exec);
void fake_report_target_port_groups(struct fake_exec *exec);
void fake_pr_in(struct fake_exec *exec);
void fake_pr_out(struct fake_exec *exec);

/* fake-transport-id.c */
size_t fake_transport_id_build(const struct fake_nexus *nexus, uint8_t *ret_id);
/* Length of the TransportID at id, of which len bytes are there; 0: cut or malformed. */
size_t fake_transport_id_length(const uint8_t *id, size_t len);
/* Whether a well-formed TransportID names the initiator port of nexus. */
bool fake_transport_id_names(const uint8_t *id, const struct fake_nexus *nexus);
bool fake_same_initiator_port(const struct fake_nexus *a, const struct fake_nexus *b);

/* fake-pr-out.c helpers, for fake-pr-in.c and fake-class.c too */
static inline bool fake_all_registrants(uint8_t type)
{
	return type == 7 || type == 8;
}

static inline bool fake_is_holder(const struct fake_pr *pr, unsigned int nexus)
{
	if (!pr->held)
		return false;
	return fake_all_registrants(pr->type) ? pr->key[nexus] != 0 : pr->holder == (int)nexus;
}

static inline unsigned int fake_registrations(const struct fake_pr *pr)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++)
		count += pr->key[i] != 0;
	return count;
}

/* fake-fault.c */
/* The fault that hits this command, counted; NULL: none. */
const struct fake_fault *fake_fault_take(struct fake_shared *lun, unsigned int nexus,
					 const uint8_t *cdb, size_t cdb_len);
bool fake_cdb_matches(int nexus, int opcode, int service_action, unsigned int of_nexus,
		      const uint8_t *cdb, size_t cdb_len);

#endif
