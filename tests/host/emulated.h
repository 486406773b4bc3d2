/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hosts that share a directory with a file that is a disk, and a fake LUN; several backstores with emulated reservations on each. main()
 * calls machine_main() first.
 */
#ifndef PRMIG_TESTS_EMULATED_H
#define PRMIG_TESTS_EMULATED_H

#include "fake-lun.h"
#include "machine.h"

#define EMULATED_HOSTS 2
#define EMULATED_UNANSWERED 0xff
#define EMULATED_FILE_BYTES 1048576

enum emulated_action {
	EMULATED_REGISTER,
	EMULATED_RESERVE,
	EMULATED_RELEASE,
	EMULATED_CLEAR,
	EMULATED_PREEMPT,
	EMULATED_PREEMPT_AND_ABORT,
	EMULATED_REGISTER_AND_IGNORE,
};

struct emulated {
	char directory[64];
	char file[96]; /* the shared disk */
	char cfg[128]; /* its cfgstring, to which options are added */
	struct fake_lun *lun;
	char lun_path[96];
	struct machine *machine[EMULATED_HOSTS];
};
extern struct emulated emulated;

/* Machines that run, with nothing on them; exits the test when that fails. */
void emulated_start(void);
/* Whether the machines that ran stopped in order; removes all. */
bool emulated_stop(void);
/* A disk that nobody has used yet, and machines that know nothing; they run. */
bool emulated_reset(void);
/* The host boots: its daemon is killed, and the kernel's boot id is another one. Its backstores are opened again. */
bool emulated_reboot(unsigned int host);
/* kill -9, and again. */
bool emulated_restart(unsigned int host);

/* A backstore on the file; options: ";incoming=on". */
bool emulated_add(unsigned int host, const char *name, const char *options);
/* The same with a cfgstring of its own. False: reason (HOST_REASON_MAX). */
bool emulated_try(unsigned int host, const char *name, const char *cfgstring, char *reason);

/* Status; *ret_sense (may be NULL): host_sense of a CHECK CONDITION, else 0. No unit attention is taken on the way. */
uint8_t emulated_pr(unsigned int host, const char *name, enum emulated_action action, uint8_t type,
		    uint64_t key, uint64_t new_key, uint32_t *ret_sense);
/* REGISTER (0 -> key) with APTPL. */
uint8_t emulated_register_aptpl(unsigned int host, const char *name, uint64_t key);
uint8_t emulated_write(unsigned int host, const char *name, uint32_t *ret_sense);
uint8_t emulated_read(unsigned int host, const char *name, uint32_t *ret_sense);
uint8_t emulated_test_unit_ready(unsigned int host, const char *name, uint32_t *ret_sense);
/* READ KEYS as text: "generation: key key", keys sorted, in hex; what was answered instead otherwise. text: 256 bytes. */
void emulated_keys(unsigned int host, const char *name, char *text);
/* READ RESERVATION as text: "none", or "type key". text: 64 bytes. */
void emulated_reservation(unsigned int host, const char *name, char *text);

/* On the bus; error and message are printed where it fails and none was expected (error NULL). True: as expected. */
bool emulated_call(unsigned int host, const char *nexus, const char *method, const char *state,
		   bool force, const char *error, struct bus_reply *ret_reply);
bool emulated_call_group(unsigned int host, const char *group, const char *method,
			 const char *state, bool force, const char *error,
			 struct bus_reply *ret_reply);
bool emulated_property_is(unsigned int host, const char *nexus, const char *property,
			  const char *text);

#endif
