/* SPDX-License-Identifier: Apache-2.0 */
/* The fake LUN's mapping, its lock, events and what there is to see. */
#include "fake-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC 0x66616b656c756e31ULL
#define DEFAULT_BYTES (8 * 1024 * 1024)
#define DEFAULT_NAA 0x6001405000000001ULL

void fake_lock(struct fake_lun *lun)
{
	int error = pthread_mutex_lock(&lun->shared->lock);

	/* Somebody was killed with the lock held; what is behind it is whole (struct fake_pr). */
	if (error == EOWNERDEAD)
		pthread_mutex_consistent(&lun->shared->lock);
	else if (error != 0)
		abort();
}

void fake_unlock(struct fake_lun *lun)
{
	pthread_mutex_unlock(&lun->shared->lock);
}

static struct fake_lun *lun_map(int fd, size_t size)
{
	struct fake_lun *lun = calloc(1, sizeof(*lun));
	void *mapping;

	if (lun == NULL) {
		close(fd);
		return NULL;
	}
	mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapping == MAP_FAILED) {
		close(fd);
		free(lun);
		return NULL;
	}
	lun->fd = fd;
	lun->shared = mapping;
	return lun;
}

static void shared_init(struct fake_shared *shared)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&shared->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	shared->write_cache = true;
	shared->pr[0].holder = -1;
	shared->pr[0].reserve_holder = -1;
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++) {
		struct fake_nexus *nexus = &shared->nexus[i];

		snprintf(nexus->name, sizeof(nexus->name), "iqn.2026-11.org.example:host%u", i);
		nexus->isid = 0x00023d000000ULL + i;
		nexus->port = 1;
	}
}

struct fake_lun *fake_lun_create(const char *path, const struct fake_lun_config *config)
{
	uint32_t block_len = config && config->block_len_bytes ? config->block_len_bytes : 512;
	uint64_t blocks = config && config->blocks ? config->blocks : DEFAULT_BYTES / block_len;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t offset = (sizeof(struct fake_shared) + page - 1) / page * page;
	size_t size = offset + blocks * block_len;
	struct fake_lun *lun;
	int fd;

	if (path != NULL)
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	else
		fd = memfd_create("fake-lun", MFD_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)size) != 0) {
		close(fd);
		return NULL;
	}
	lun = lun_map(fd, size);
	if (lun == NULL)
		return NULL;
	lun->shared->size_bytes = size;
	lun->shared->medium_offset = offset;
	lun->shared->naa = config && config->naa ? config->naa : DEFAULT_NAA;
	lun->shared->block_len = block_len;
	lun->shared->blocks = lun->shared->blocks_max = blocks;
	shared_init(lun->shared);
	__atomic_store_n(&lun->shared->magic, MAGIC, __ATOMIC_RELEASE);
	return lun;
}

struct fake_lun *fake_lun_attach(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct fake_lun *lun;
	off_t size;

	if (fd < 0)
		return NULL;
	size = lseek(fd, 0, SEEK_END);
	if (size < (off_t)sizeof(struct fake_shared)) {
		close(fd);
		errno = EINVAL;
		return NULL;
	}
	lun = lun_map(fd, (size_t)size);
	if (lun == NULL)
		return NULL;
	if (__atomic_load_n(&lun->shared->magic, __ATOMIC_ACQUIRE) != MAGIC ||
	    lun->shared->size_bytes != (uint64_t)size) {
		munmap(lun->shared, (size_t)size);
		close(fd);
		free(lun);
		errno = EINVAL;
		return NULL;
	}
	return lun;
}

void fake_lun_detach(struct fake_lun *lun)
{
	if (lun == NULL)
		return;
	munmap(lun->shared, lun->shared->size_bytes);
	close(lun->fd);
	free(lun);
}

int fake_lun_fd(const struct fake_lun *lun)
{
	return lun->fd;
}

void fake_lun_designator(const struct fake_lun *lun, char *ret_text)
{
	snprintf(ret_text, 40, "naa.%016llx%016llx", (unsigned long long)lun->shared->naa, 1ULL);
}

void fake_lun_set_nexus(struct fake_lun *lun, unsigned int nexus, const char *iscsi_name,
			uint64_t isid, uint16_t relative_target_port)
{
	struct fake_nexus *entry = &lun->shared->nexus[nexus];

	fake_lock(lun);
	snprintf(entry->name, sizeof(entry->name), "%s", iscsi_name);
	entry->isid = isid;
	entry->port = relative_target_port;
	fake_unlock(lun);
}

size_t fake_lun_transport_id(struct fake_lun *lun, unsigned int nexus, uint8_t *ret_id)
{
	size_t len;

	fake_lock(lun);
	len = fake_transport_id_build(&lun->shared->nexus[nexus], ret_id);
	fake_unlock(lun);
	return len;
}

void fake_pr_commit(struct fake_shared *lun, const struct fake_pr *pr)
{
	const struct fake_pr *before = fake_pr(lun);

	if (before->held && !pr->held) {
		lun->monitor.gaps++;
		lun->monitor.gap_sequence = lun->log_end + 1; /* of the command that is under way */
	}
	if (before->held && pr->held && before->holder != pr->holder)
		lun->monitor.holder_changes++;
	lun->pr[!lun->pr_now] = *pr;
	__atomic_store_n(&lun->pr_now, !lun->pr_now, __ATOMIC_RELEASE);
}

void fake_abort_in_flight(struct fake_shared *lun, uint16_t nexuses, enum fake_abort how,
			  const struct fake_in_flight *but)
{
	for (unsigned int i = 0; i < FAKE_IN_FLIGHT_MAX; i++) {
		struct fake_in_flight *slot = &lun->in_flight[i];

		if (slot->pid != 0 && slot != but && (nexuses >> slot->nexus & 1))
			slot->aborted = how;
	}
}

void fake_power_loss_locked(struct fake_shared *lun, const struct fake_in_flight *but)
{
	struct fake_pr pr = *fake_pr(lun);

	if (!pr.aptpl) {
		memset(pr.key, 0, sizeof(pr.key));
		pr.held = false;
		pr.type = 0;
		pr.holder = -1;
	}
	if (!lun->quirks.generation_kept_at_power_on)
		pr.generation = 0;
	pr.reserve_holder = -1;
	memset(pr.ua_count, 0, sizeof(pr.ua_count));
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++)
		fake_ua_add(&pr, i, ASC_POWER_ON);
	fake_pr_commit(lun, &pr);
	fake_abort_in_flight(lun, UINT16_MAX, ABORT_RESET, but);
}

/* nexus: who asked for the reset and gets no unit attention; FAKE_NEXUS_MAX: nobody. */
void fake_reset_locked(struct fake_shared *lun, unsigned int nexus,
		       const struct fake_in_flight *but)
{
	struct fake_pr pr = *fake_pr(lun);

	pr.reserve_holder = -1;
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++) {
		if (i != nexus)
			fake_ua_add(&pr, i, ASC_LUN_RESET);
	}
	fake_pr_commit(lun, &pr);
	fake_abort_in_flight(lun, UINT16_MAX, ABORT_RESET, but);
}

void fake_lun_power_loss(struct fake_lun *lun)
{
	fake_lock(lun);
	fake_power_loss_locked(lun->shared, NULL);
	fake_unlock(lun);
}

void fake_lun_reset(struct fake_lun *lun)
{
	fake_lock(lun);
	fake_reset_locked(lun->shared, FAKE_NEXUS_MAX, NULL);
	fake_unlock(lun);
}

void fake_lun_set_capacity(struct fake_lun *lun, uint64_t blocks)
{
	struct fake_pr pr;

	fake_lock(lun);
	lun->shared->blocks = blocks < lun->shared->blocks_max ? blocks : lun->shared->blocks_max;
	pr = *fake_pr(lun->shared);
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++)
		fake_ua_add(&pr, i, ASC_CAPACITY_CHANGED);
	fake_pr_commit(lun->shared, &pr);
	fake_unlock(lun);
}

void fake_lun_add_unit_attention(struct fake_lun *lun, unsigned int nexus, uint16_t asc_ascq)
{
	struct fake_pr pr;

	fake_lock(lun);
	pr = *fake_pr(lun->shared);
	fake_ua_add(&pr, nexus, asc_ascq);
	fake_pr_commit(lun->shared, &pr);
	fake_unlock(lun);
}

void fake_lun_set_connected(struct fake_lun *lun, unsigned int nexus, bool connected)
{
	struct fake_pr pr;

	fake_lock(lun);
	lun->shared->nexus[nexus].disconnected = !connected;
	pr = *fake_pr(lun->shared);
	if (!connected && pr.reserve_holder == (int)nexus) {
		pr.reserve_holder = -1;
		fake_pr_commit(lun->shared, &pr);
	}
	if (!connected)
		fake_abort_in_flight(lun->shared, (uint16_t)(1u << nexus), ABORT_LOST, NULL);
	fake_unlock(lun);
}

void fake_lun_get_state(struct fake_lun *lun, struct fake_state *ret_state)
{
	const struct fake_pr *pr;

	fake_lock(lun);
	pr = fake_pr(lun->shared);
	*ret_state = (struct fake_state){
		.generation = pr->generation,
		.aptpl = pr->aptpl,
		.held = pr->held,
		.type = pr->held ? pr->type : 0,
		.holder = pr->held ? pr->holder : FAKE_ANY,
		.reserve_holder = pr->reserve_holder,
		.registrations = fake_registrations(pr),
	};
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++) {
		ret_state->nexus[i].key = pr->key[i];
		ret_state->nexus[i].unit_attentions = pr->ua_count[i];
		ret_state->nexus[i].connected = !lun->shared->nexus[i].disconnected;
	}
	fake_unlock(lun);
}

unsigned int fake_lun_count_key(struct fake_lun *lun, uint64_t key)
{
	unsigned int count = 0;

	fake_lock(lun);
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++)
		count += key != 0 && fake_pr(lun->shared)->key[i] == key;
	fake_unlock(lun);
	return count;
}

void fake_lun_get_monitor(struct fake_lun *lun, struct fake_monitor *ret_monitor)
{
	fake_lock(lun);
	*ret_monitor = lun->shared->monitor;
	fake_unlock(lun);
}

void fake_lun_reset_monitor(struct fake_lun *lun)
{
	fake_lock(lun);
	memset(&lun->shared->monitor, 0, sizeof(lun->shared->monitor));
	fake_unlock(lun);
}
