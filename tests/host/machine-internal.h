/* SPDX-License-Identifier: Apache-2.0 */
/* Between the test's and the machine's side of a machine. */
#ifndef PRMIG_TESTS_MACHINE_INTERNAL_H
#define PRMIG_TESTS_MACHINE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#define MACHINE_ARGUMENT "--machine"

/* Then len bytes of argument follow; those and the request come back when it is done. */
struct machine_request {
	ptrdiff_t function; /* from machine_main; 0: stop */
	size_t len;
};

/* The whole, or false. */
bool machine_read(int fd, void *data, size_t len);
bool machine_write(int fd, const void *data, size_t len);

#endif
