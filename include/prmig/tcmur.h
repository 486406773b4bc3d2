/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcmu-runner's plugin ABI, as far as prmig uses it: the same in tcmu-runner 1.5.4 and 1.6.x.
 *
 * There is no development package; the declarations below were written from the behaviour of the
 * daemon and are checked by static assertions. Nothing but the plugin edge (plugin.c, ring.c,
 * log.c) and the test host includes this.
 */
#ifndef PRMIG_TCMUR_H
#define PRMIG_TCMUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <time.h>

struct tcmu_device;

/* What reconfig is called for: somebody wrote the backstore's attribute in configfs. */
enum tcmulib_cfg_type {
	TCMULIB_CFG_DEV_CFGSTR,
	TCMULIB_CFG_DEV_SIZE,
	TCMULIB_CFG_WRITE_CACHE,
};

struct tcmulib_cfg_info {
	enum tcmulib_cfg_type type;
	union {
		uint64_t dev_size; /* bytes */
		char *dev_cfgstring;
		bool write_cache;
	} data;
};

#define TCMULIB_SENSE_BYTES 96

/* What handle_cmd returns when the handler alone completes the command. */
#define TCMU_STS_ASYNC_HANDLED (-2)

/* One command as libtcmu hands it on: one malloc, freed with free() by whoever completes it. */
struct tcmulib_cmd {
	uint16_t cmd_id;
	uint8_t *cdb;
	struct iovec *iovec;
	size_t iov_cnt;
	uint8_t sense_buf[TCMULIB_SENSE_BYTES];
	void *hm_private;
};

struct tcmur_list_node {
	struct tcmur_list_node *next, *prev;
};

/* The daemon's part of a command; lives inside the allocation of lib_cmd. */
struct tcmur_cmd {
	struct tcmulib_cmd *lib_cmd;
	struct iovec *iovec;
	size_t iov_cnt;
	void *iov_base_copy;
	void *cmd_state;
	size_t requested;
	struct tcmur_list_node cmds_list_entry;
	struct timespec start_time;
	bool timed_out;
	void (*done)(struct tcmu_device *dev, struct tcmur_cmd *cmd, int ret);
};

/* The order of the members is the ABI. */
struct tcmur_handler {
	const char *name;
	const char *subtype;
	const char *cfg_desc;
	void *opaque;
	bool (*check_config)(const char *cfgstring, char **reason);
	int (*reconfig)(struct tcmu_device *dev, struct tcmulib_cfg_info *cfg);
	int (*open)(struct tcmu_device *dev, bool reopen);
	void (*close)(struct tcmu_device *dev);
	int nr_threads;
	int (*handle_cmd)(struct tcmu_device *dev, struct tcmur_cmd *cmd);
	int (*read)(struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec,
		    size_t iov_cnt, size_t len, off_t off);
	int (*write)(struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec,
		     size_t iov_cnt, size_t len, off_t off);
	int (*flush)(struct tcmu_device *dev, struct tcmur_cmd *cmd);
	int (*unmap)(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t off, uint64_t len);
	int (*writesame)(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t off, uint64_t len,
			 struct iovec *iovec, size_t iov_cnt);
	int (*caw)(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t off, uint64_t len,
		   struct iovec *iovec, size_t iov_cnt);
	int (*report_event)(struct tcmu_device *dev);
	int (*lock)(struct tcmu_device *dev, uint16_t tag);
	int (*unlock)(struct tcmu_device *dev);
	int (*get_lock_tag)(struct tcmu_device *dev, uint16_t *tag);
	int (*get_lock_state)(struct tcmu_device *dev);
	bool is_dbus_handler;
	bool (*update_logdir)(void);
	int (*init)(void);
	void (*destroy)(void);
};

_Static_assert(sizeof(struct tcmulib_cfg_info) == 16, "libtcmu's struct tcmulib_cfg_info");
_Static_assert(offsetof(struct tcmulib_cmd, hm_private) == 128, "libtcmu's struct tcmulib_cmd");
_Static_assert(offsetof(struct tcmur_cmd, done) == 88, "tcmu-runner's struct tcmur_cmd");
_Static_assert(offsetof(struct tcmur_handler, handle_cmd) == 72,
	       "tcmu-runner's struct tcmur_handler");

/* Exported by the daemon. */
int tcmur_register_handler(struct tcmur_handler *handler);
void tcmur_dev_set_private(struct tcmu_device *dev, void *priv);
void *tcmur_dev_get_private(struct tcmu_device *dev);

/* Exported by libtcmu.so.2. */
int tcmu_dev_get_fd(struct tcmu_device *dev);
const char *tcmu_dev_get_uio_name(struct tcmu_device *dev);
char *tcmu_dev_get_cfgstring(struct tcmu_device *dev);
char *tcmu_dev_get_memory_info(struct tcmu_device *dev, void **base, size_t *len, off_t *offset);
uint64_t tcmu_dev_get_num_lbas(struct tcmu_device *dev);
uint32_t tcmu_dev_get_block_size(struct tcmu_device *dev);
void tcmu_dev_set_num_lbas(struct tcmu_device *dev, uint64_t num_lbas);
void tcmu_dev_set_block_size(struct tcmu_device *dev, uint32_t block_size);
void tcmulib_processing_complete(struct tcmu_device *dev);
void tcmu_err_message(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt,
		      ...) __attribute__((format(printf, 4, 5)));
void tcmu_warn_message(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt,
		       ...) __attribute__((format(printf, 4, 5)));
void tcmu_info_message(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt,
		       ...) __attribute__((format(printf, 4, 5)));
void tcmu_dbg_message(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt,
		      ...) __attribute__((format(printf, 4, 5)));

#endif
