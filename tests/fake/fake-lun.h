/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake logical unit: a small disk with persistent reservations, written from SPC-4 and SBC-3 and
 * from nothing of prmig's. It lives wholly in one shared mapping (a file or a memfd), so that
 * several processes can be its initiators; one that is killed stops nobody. Every function may be
 * called on any thread of any process that has it mapped.
 *
 * Tests change how it behaves while it runs: quirks (how it differs from the standard), faults
 * (what happens to the Nth command of a kind), events (power loss, reset). They read what happened
 * from its state, its log and its monitor.
 */
#ifndef PRMIG_TESTS_FAKE_LUN_H
#define PRMIG_TESTS_FAKE_LUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_NEXUS_MAX 16
#define FAKE_ANY (-1)
#define FAKE_SENSE_MAX 96
#define FAKE_CDB_MAX 32	 /* longer ones are cut in the log */
#define FAKE_LIST_MAX 64 /* of a PERSISTENT RESERVE OUT parameter list, in log and hooks */
#define FAKE_LOG_MAX 4096
#define FAKE_FAULT_MAX 32

struct fake_lun;

/* ---- life ---- */

struct fake_lun_config {
	uint32_t block_len_bytes; /* 512 or 4096; 0: 512 */
	uint64_t blocks;	  /* 0: 8 MiB in all */
	uint64_t naa;		  /* designator, an NAA 6 identifier's first half; 0: a fixed one */
};

/*
 * Makes a fresh LUN in the file path (overwritten; NULL: a memfd, shared by fork or by
 * /proc/PID/fd/N). config: NULL for the defaults. NULL and errno on failure.
 */
struct fake_lun *fake_lun_create(const char *path, const struct fake_lun_config *config);
/* Joins a LUN that exists. */
struct fake_lun *fake_lun_attach(const char *path);
/* Unmaps; the LUN goes on for others. NULL is taken. */
void fake_lun_detach(struct fake_lun *lun);
/* The file descriptor of the mapping, the fake's own. */
int fake_lun_fd(const struct fake_lun *lun);
/* "naa.60014050..." as prmig writes it; 40 bytes. */
void fake_lun_designator(const struct fake_lun *lun, char *ret_text);

/* ---- commands ---- */

struct fake_result {
	uint16_t host_status; /* not 0: no answer came; a DID_ code of Linux. Then the rest is 0. */
	uint8_t status;
	uint8_t sense_len;
	uint8_t sense[FAKE_SENSE_MAX];
	size_t data_in_len; /* bytes written to data_in */
};

/* Linux's host status codes that the fake can give. */
enum fake_host_status {
	FAKE_DID_NO_CONNECT = 0x01,
	FAKE_DID_BUS_BUSY = 0x02,
	FAKE_DID_TIME_OUT = 0x03,
	FAKE_DID_ABORT = 0x05,
	FAKE_DID_ERROR = 0x07,
	FAKE_DID_RESET = 0x08,
	FAKE_DID_TRANSPORT_DISRUPTED = 0x0e,
	FAKE_DID_TRANSPORT_FAILFAST = 0x0f,
};

/*
 * One command of an initiator: nexus 0 to FAKE_NEXUS_MAX - 1. Blocks for as long as faults delay
 * it. data_out may be shorter than the CDB asks for (then the command fails), data_in_cap too (then
 * data-in is cut). Atomic against all other commands.
 */
void fake_lun_execute(struct fake_lun *lun, unsigned int nexus, const uint8_t *cdb, size_t cdb_len,
		      const void *data_out, size_t out_len, void *data_in, size_t in_cap,
		      struct fake_result *ret_result);

/*
 * Who a nexus is. Default: iSCSI port "iqn.2026-11.org.example:host<n>" with ISID 00023d0000<n>,
 * relative target port 1. Two nexuses with one name are one host through two target ports.
 */
void fake_lun_set_nexus(struct fake_lun *lun, unsigned int nexus, const char *iscsi_name,
			uint64_t isid, uint16_t relative_target_port);
/* TransportID as READ FULL STATUS shows it; 256 bytes; returns the length. */
size_t fake_lun_transport_id(struct fake_lun *lun, unsigned int nexus, uint8_t *ret_id);

/* ---- quirks ---- */

enum fake_generation {
	FAKE_GENERATION_STANDARD, /* by one with each command that counts */
	FAKE_GENERATION_STILL,
	FAKE_GENERATION_BY_TWO,
};

/* All zero: the standard, with everything optional but REPLACE LOST RESERVATION. */
struct fake_quirks {
	bool no_persistent_reserve; /* PERSISTENT RESERVE IN and OUT: INVALID OPERATION CODE */
	bool no_read_full_status;
	bool no_register_and_move;
	bool no_preempt_and_abort;
	bool no_spec_i_pt; /* SIP_C 0 */
	bool no_all_tg_pt; /* ATP_C 0 */
	bool no_aptpl;	   /* PTPL_C 0 */
	bool no_crh;
	bool no_reserve_release; /* RESERVE and RELEASE: INVALID OPERATION CODE; implies no_crh */
	/* LIO without its APTPL folder: REGISTER and REGISTER AND IGNORE take effect, and answer
	 * NOT READY, 2/08/00. */
	bool register_not_ready;
	/* A server that does it right: REGISTER with APTPL 1 fails with 5/55/04, nothing changed. */
	bool aptpl_store_fails;
	enum fake_generation generation;
	bool generation_still_at_no_op;	  /* REGISTER (0 -> 0) does not count: LIO, SPDK */
	bool generation_kept_at_power_on; /* with the registrations */
	bool unit_attention_first;	  /* before a RESERVATION CONFLICT: LIO, tgt */
	bool capacity_conflicts;	  /* READ CAPACITY(16) under exclusive access: LIO */
	bool short_allocation_refused;	  /* PERSISTENT RESERVE IN below 8 bytes: LIO, tgt, SPDK */
	bool unregistered_not_ready;	/* RESERVE, RELEASE, CLEAR, no reservation: 2/08/00: LIO */
	bool release_type_conflicts;	/* RELEASE of another type: RESERVATION CONFLICT: LIO */
	bool preempt_none_ignored;	/* PREEMPT of a key that nobody has: GOOD: SPDK */
	bool preempt_says_preempted;	/* 2A/03 in place of 2A/05: tgt */
	bool no_unit_attentions;	/* from reservations: SPDK */
	bool task_aborted_status;	/* TAS: TASK ABORTED, and not silence */
	unsigned int registrations_max; /* 0: FAKE_NEXUS_MAX */
};

void fake_lun_set_quirks(struct fake_lun *lun, const struct fake_quirks *quirks);
void fake_lun_get_quirks(struct fake_lun *lun, struct fake_quirks *ret_quirks);
/* As LIO and tgt are where nothing is broken. */
void fake_quirks_lio(struct fake_quirks *ret_quirks);
void fake_quirks_tgt(struct fake_quirks *ret_quirks);

/* ---- faults ---- */

/* A command that a hook sends for another nexus. */
struct fake_command {
	unsigned int nexus;
	size_t cdb_len;
	uint8_t cdb[16];
	size_t list_len;
	uint8_t list[FAKE_LIST_MAX];
};

enum fake_event { FAKE_EVENT_NONE, FAKE_EVENT_POWER_LOSS, FAKE_EVENT_LUN_RESET };

/* What happens in the same instant as the command, just before or after: nothing comes between. */
struct fake_hook {
	unsigned int count;
	struct fake_command commands[4];
	enum fake_event event; /* after the commands */
};

enum fake_outcome {
	FAKE_EXECUTE,	   /* as it is */
	FAKE_ANSWER,	   /* status and sense data, not executed */
	FAKE_LOSE_ANSWER,  /* executed, and host_status in place of the answer */
	FAKE_LOSE_COMMAND, /* host_status, not executed */
};

struct fake_fault {
	/* Which commands: */
	int nexus;	    /* or FAKE_ANY */
	int opcode;	    /* or FAKE_ANY */
	int service_action; /* CDB byte 1 bits 4-0 (7Fh: bytes 8, 9), or FAKE_ANY */
	unsigned int skip;  /* so many that match go unharmed first */
	unsigned int times; /* then so many are hit; 0: all from then on */
	/* What happens to them, in this order: */
	uint32_t delay_before_ms; /* in flight meanwhile: PREEMPT AND ABORT and resets abort it */
	uint16_t unit_attention;  /* ASC and ASCQ; 0: none. For the nexus of the command */
	struct fake_hook before;
	enum fake_outcome outcome;
	uint8_t status; /* FAKE_ANSWER */
	uint8_t sense_key;
	uint16_t asc_ascq;
	uint16_t host_status; /* FAKE_LOSE_* */
	struct fake_hook after;
	uint32_t delay_after_ms;
};

/* A fault that hits the next command of this kind; the rest is zero, to be filled in. */
struct fake_fault fake_fault(int nexus, int opcode, int service_action);
/* Returns its number, or -1 when all FAKE_FAULT_MAX are in use. */
int fake_lun_add_fault(struct fake_lun *lun, const struct fake_fault *fault);
/* How many commands it has hit; also after it is used up. */
unsigned int fake_lun_fault_hits(struct fake_lun *lun, int fault);
void fake_lun_clear_faults(struct fake_lun *lun);

/* ---- events ---- */

/* APTPL decides what is kept; generation 0; POWER ON for every nexus; commands in flight lost. */
void fake_lun_power_loss(struct fake_lun *lun);
/* Commands in flight are aborted; 29/03 for every nexus. */
void fake_lun_reset(struct fake_lun *lun);
/* Not more than it was made with. 2A/09 CAPACITY DATA HAS CHANGED for every nexus. */
void fake_lun_set_capacity(struct fake_lun *lun, uint64_t blocks);
void fake_lun_add_unit_attention(struct fake_lun *lun, unsigned int nexus, uint16_t asc_ascq);
/* A nexus that is not connected gets host status NO_CONNECT. Losing it ends its SPC-2 reservation
 * and its commands in flight, and nothing else. */
void fake_lun_set_connected(struct fake_lun *lun, unsigned int nexus, bool connected);

/* ---- what there is to see ---- */

struct fake_state {
	uint32_t generation;
	bool aptpl;
	bool held;
	uint8_t type;
	int holder;	    /* nexus; FAKE_ANY for types 7 and 8 and for none */
	int reserve_holder; /* SPC-2 RESERVE: nexus, or FAKE_ANY */
	unsigned int registrations;
	struct {
		uint64_t key;		      /* 0: not registered */
		unsigned int unit_attentions; /* waiting */
		bool connected;
	} nexus[FAKE_NEXUS_MAX];
};

void fake_lun_get_state(struct fake_lun *lun, struct fake_state *ret_state);
/* How many nexuses are registered with key. */
unsigned int fake_lun_count_key(struct fake_lun *lun, uint64_t key);

struct fake_monitor {
	uint64_t gaps;		 /* times that a reservation that was held became free */
	uint64_t gap_sequence;	 /* of the last of them, in the log */
	uint64_t holder_changes; /* from one nexus to another, without a gap */
	uint64_t commands[FAKE_NEXUS_MAX];
	uint64_t writes[FAKE_NEXUS_MAX];	 /* that changed the medium */
	uint64_t write_sequence[FAKE_NEXUS_MAX]; /* of the last of them, in the log */
	uint64_t conflicts[FAKE_NEXUS_MAX];
	uint64_t in_flight_max; /* commands at the LUN at one time */
};

void fake_lun_get_monitor(struct fake_lun *lun, struct fake_monitor *ret_monitor);
void fake_lun_reset_monitor(struct fake_lun *lun);

struct fake_log_entry {
	uint64_t sequence; /* from 1, in order of execution */
	uint64_t time_ns;  /* CLOCK_MONOTONIC */
	uint8_t nexus;
	bool hook;     /* sent by a fault's hook */
	bool executed; /* false: answered by a fault, or never arrived */
	uint8_t status;
	uint8_t sense_key;
	uint16_t asc_ascq;
	uint16_t host_status;
	uint32_t generation; /* after it */
	uint8_t cdb_len;
	uint8_t cdb[FAKE_CDB_MAX];
	uint8_t list_len; /* PERSISTENT RESERVE OUT, cut to FAKE_LIST_MAX */
	uint8_t list[FAKE_LIST_MAX];
};

/* Sequence of the newest entry; 0: none. */
uint64_t fake_lun_log_end(struct fake_lun *lun);
/* False: not written yet, or overwritten since. */
bool fake_lun_log_get(struct fake_lun *lun, uint64_t sequence, struct fake_log_entry *ret_entry);
/* Entries newer than after that match; FAKE_ANY as in faults. */
unsigned int fake_lun_log_count(struct fake_lun *lun, uint64_t after, int nexus, int opcode,
				int service_action);

#endif
