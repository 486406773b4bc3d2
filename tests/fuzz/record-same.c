/* SPDX-License-Identifier: Apache-2.0 */
#include "record-same.h"

#include <string.h>

bool same_terms(const struct record_terms *a, const struct record_terms *b)
{
	return strcmp(a->id, b->id) == 0 && a->row == b->row && a->key == b->key &&
	       a->type == b->type && a->fenced == b->fenced && a->ptpl == b->ptpl &&
	       a->generation == b->generation && a->count == b->count &&
	       a->siblings == b->siblings && a->led == b->led && a->moved == b->moved &&
	       a->whole == b->whole && a->time_s == b->time_s;
}

bool same_port(const struct record_port *a, const struct record_port *b)
{
	return a->transport_id_len == b->transport_id_len &&
	       memcmp(a->transport_id, b->transport_id, a->transport_id_len) == 0 &&
	       a->relative_target_port == b->relative_target_port;
}
