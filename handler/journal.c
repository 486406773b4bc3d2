/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <inttypes.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

void journal_fenced(const char *nexus, const char *lun, uint64_t key)
{
	sd_journal_send("MESSAGE=prmig: nexus '%s' is fenced: another initiator has removed its "
			"key 0x%" PRIx64 " from LUN %s",
			nexus, key, lun, "MESSAGE_ID=" JOURNAL_FENCED_ID, "PRIORITY=%d",
			LOG_WARNING, "PRMIG_NEXUS=%s", nexus, "PRMIG_LUN=%s", lun,
			"PRMIG_KEY=0x%" PRIx64, key, NULL);
}
