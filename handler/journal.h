/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the systemd journal that monitoring waits for: each has a message id of its own. Any thread. */
#ifndef PRMIG_JOURNAL_H
#define PRMIG_JOURNAL_H

#include <stdint.h>

/* MESSAGE_ID of a nexus that another initiator has fenced. */
#define JOURNAL_FENCED_ID "4f0e6d1c2b5a4c7f9d3e8a1b6c0d5e72"

/* Fields PRMIG_NEXUS, PRMIG_LUN, PRMIG_KEY (hex). Without a journal nothing happens: the daemon's log has it too. */
void journal_fenced(const char *nexus, const char *lun, uint64_t key);

#endif
