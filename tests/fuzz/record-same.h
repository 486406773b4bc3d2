/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two parts of records are the same. */
#ifndef PRMIG_FUZZ_RECORD_SAME_H
#define PRMIG_FUZZ_RECORD_SAME_H

#include "record.h"

bool same_terms(const struct record_terms *a, const struct record_terms *b);
bool same_port(const struct record_port *a, const struct record_port *b);

#endif
