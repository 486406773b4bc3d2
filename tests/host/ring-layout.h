/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own layout of the ring, beside <sys/uio.h>: both define struct iovec. */
#ifndef PRMIG_TESTS_RING_LAYOUT_H
#define PRMIG_TESTS_RING_LAYOUT_H

#define iovec kernel_iovec
#include <linux/target_core_user.h>
#undef iovec

#endif
