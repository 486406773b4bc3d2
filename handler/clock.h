/* SPDX-License-Identifier: Apache-2.0 */
/* One thread for all that has to happen without a command or a call: calls nexus_tick_all about every 100 ms. */
#ifndef PRMIG_CLOCK_H
#define PRMIG_CLOCK_H

#include <stdbool.h>

/* Makes the thread unless it runs. False: it could not be made. It lives as long as the process: the handler is never unloaded. */
bool clock_start(void);

#endif
