/* SPDX-License-Identifier: Apache-2.0 */
#include "reference-model.h"

#include <string.h>
#include <strings.h>

#include "reference-class.h"

#define PREEMPTED_RESERVATIONS 0x2a03
#define RELEASED_RESERVATIONS 0x2a04
#define PREEMPTED_REGISTRATIONS 0x2a05
#define POWER_ON 0x2900

static const struct model_answer good = {0x00, 0}, conflict = {0x18, 0}, bad_cdb = {0x02, 0x052400},
				 bad_list = {0x02, 0x052600}, bad_length = {0x02, 0x051a00},
				 bad_release = {0x02, 0x052604}, no_room = {0x02, 0x055504};

enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, IGNORE, MOVE };

struct command {
	int sender;
	uint8_t action, scope, type;
	uint64_t key, new_key;
	bool aptpl, all_tg_pt, spec_i_pt, unregister;
	uint16_t port;
	const uint8_t *transport_id;
	size_t transport_id_len;
};

static uint64_t big_endian(const uint8_t *bytes, int len)
{
	uint64_t value = 0;

	for (int i = 0; i < len; i++)
		value = value << 8 | bytes[i];
	return value;
}

static bool one_holder(uint8_t type)
{
	return type == 1 || type == 3 || type == 5 || type == 6;
}

static bool all_registrants(uint8_t type)
{
	return type == 7 || type == 8;
}

static bool registrants_only(uint8_t type)
{
	return type == 5 || type == 6;
}

bool model_is_holder(const struct model *model, int nexus)
{
	if (all_registrants(model->type))
		return model->nexuses[nexus].key != 0;
	return model->type != 0 && model->holder == nexus;
}

int model_registrations(const struct model *model)
{
	int count = 0;

	for (int i = 0; i < model->count; i++)
		count += model->nexuses[i].key != 0;
	return count;
}

void model_attention(struct model *model, int nexus, uint16_t asc_ascq)
{
	struct model_nexus *at = &model->nexuses[nexus];

	for (size_t i = 0; i < at->attention_count; i++)
		if (at->attentions[i] == asc_ascq)
			return;
	at->attentions[at->attention_count++] = asc_ascq;
}

uint16_t model_take_attention(struct model *model, int nexus)
{
	struct model_nexus *at = &model->nexuses[nexus];
	uint16_t oldest = at->attentions[0];

	if (at->attention_count == 0)
		return 0;
	at->attention_count--;
	memmove(at->attentions, at->attentions + 1, at->attention_count * sizeof(oldest));
	return oldest;
}

bool model_conflicts(const struct model *model, int nexus, const uint8_t *cdb)
{
	enum reference_class class = reference_class(cdb);
	bool single = model->type == 1 || model->type == 3;

	if (class > REFERENCE_W)
		return false;
	if (model->type == 0 || model_is_holder(model, nexus) ||
	    (!single && model->nexuses[nexus].key != 0))
		return false;
	switch (class) {
	case REFERENCE_U:
		return false;
	case REFERENCE_R: /* write exclusive kinds */
		return model->type == 3 || model->type == 6 || model->type == 8;
	default:
		return true;
	}
}

void model_power_loss(struct model *model)
{
	model->generation = 0;
	if (!model->aptpl)
		model->type = 0;
	for (int i = 0; i < model->count; i++) {
		if (!model->aptpl)
			model->nexuses[i].key = 0;
		model->nexuses[i].attention_count = 0;
		model_attention(model, i, POWER_ON);
	}
}

static void tell_registered(struct model *model, int except, uint16_t asc_ascq)
{
	for (int i = 0; i < model->count; i++)
		if (i != except && model->nexuses[i].key != 0)
			model_attention(model, i, asc_ascq);
}

/* REGISTER, REGISTER AND IGNORE EXISTING KEY with 0; REGISTER AND MOVE with UNREG has moved the reservation before. */
static void unregister(struct model *model, int nexus)
{
	bool held = model_is_holder(model, nexus);

	model->nexuses[nexus].key = 0;
	if (!held)
		return;
	if (all_registrants(model->type)) {
		if (model_registrations(model) == 0)
			model->type = 0;
		return;
	}
	if (registrants_only(model->type))
		tell_registered(model, nexus, RELEASED_RESERVATIONS);
	model->type = 0;
}

static struct model_answer do_register(struct model *model, const struct command *command)
{
	uint64_t *key = &model->nexuses[command->sender].key;

	if (command->action == REGISTER && command->key != *key)
		return conflict;
	if (*key == 0 && command->new_key != 0 && model_registrations(model) == MODEL_REGISTRATIONS)
		return no_room;
	if (command->new_key != 0)
		*key = command->new_key;
	else if (*key != 0)
		unregister(model, command->sender);
	model->aptpl = command->aptpl;
	model->generation++;
	return good;
}

static bool type_and_scope_good(const struct command *command)
{
	return command->scope == 0 && (one_holder(command->type) || all_registrants(command->type));
}

static struct model_answer do_reserve(struct model *model, const struct command *command)
{
	if (!type_and_scope_good(command))
		return bad_cdb;
	if (model->type == 0) {
		model->type = command->type;
		model->holder = command->sender;
		return good;
	}
	if (model_is_holder(model, command->sender) && model->type == command->type)
		return good;
	return conflict;
}

static struct model_answer do_release(struct model *model, const struct command *command)
{
	if (!model_is_holder(model, command->sender))
		return good;
	if (command->type != model->type || command->scope != 0)
		return bad_release;
	if (registrants_only(model->type) || all_registrants(model->type))
		tell_registered(model, command->sender, RELEASED_RESERVATIONS);
	model->type = 0;
	return good;
}

static struct model_answer do_clear(struct model *model, const struct command *command)
{
	tell_registered(model, command->sender, PREEMPTED_RESERVATIONS);
	for (int i = 0; i < model->count; i++)
		model->nexuses[i].key = 0;
	model->type = 0;
	model->generation++;
	return good;
}

/* Of those with the key; all: of everybody. spared: a nexus, or -1. */
static uint64_t remove_registrations(struct model *model, int sender, uint64_t key, bool all,
				     int spared)
{
	uint64_t removed = 0;

	for (int i = 0; i < model->count; i++) {
		if (i == spared || model->nexuses[i].key == 0 ||
		    (!all && model->nexuses[i].key != key))
			continue;
		model->nexuses[i].key = 0;
		removed |= UINT64_C(1) << i;
		if (i != sender)
			model_attention(model, i, PREEMPTED_REGISTRATIONS);
	}
	return removed;
}

static bool key_there(const struct model *model, uint64_t key)
{
	for (int i = 0; i < model->count; i++)
		if (key != 0 && model->nexuses[i].key == key)
			return true;
	return false;
}

static struct model_answer do_preempt(struct model *model, const struct command *command,
				      uint64_t *ret_removed)
{
	bool all = all_registrants(model->type) && command->new_key == 0, takes;

	if (one_holder(model->type) && command->new_key == 0)
		return bad_list;
	if (!all && !key_there(model, command->new_key))
		return conflict;
	takes = all ||
		(one_holder(model->type) && model->nexuses[model->holder].key == command->new_key);
	if (takes && !type_and_scope_good(command))
		return bad_cdb;
	*ret_removed = remove_registrations(model, command->sender, command->new_key, all,
					    takes ? command->sender : -1);
	if (takes) {
		if (command->type != model->type)
			tell_registered(model, command->sender, RELEASED_RESERVATIONS);
		model->type = command->type;
		model->holder = command->sender;
	} else if (all_registrants(model->type) && model_registrations(model) == 0) {
		model->type = 0;
	}
	model->generation++;
	return good;
}

/* An iSCSI port: name, ",i,0x", ISID. Nothing else is a port here. */
static bool same_port_name(const struct command *command, const char *name)
{
	const uint8_t *id = command->transport_id;
	char port_name[128] = "iqn.2026-11.org.prmig:";
	size_t total;

	strcat(port_name, name);
	strcat(port_name, ",i,0x000000000000");
	if (id[0] != 0x45)
		return false;
	total = 4 + (size_t)big_endian(id + 2, 2);
	return total >= 24 && total % 4 == 0 && total <= command->transport_id_len &&
	       strlen(port_name) < total - 4 &&
	       strncasecmp((const char *)id + 4, port_name, strlen(port_name) + 1) == 0;
}

static struct model_answer do_move(struct model *model, const struct command *command)
{
	int to = -1;

	if (model->type == 0)
		return bad_cdb;
	if (!model_is_holder(model, command->sender) || all_registrants(model->type))
		return conflict;
	if (command->new_key == 0 || same_port_name(command, model->nexuses[command->sender].name))
		return bad_list;
	for (int i = 0; i < model->count; i++)
		if (model->nexuses[i].known && model->nexuses[i].port == command->port &&
		    same_port_name(command, model->nexuses[i].name))
			to = i;
	if (to < 0)
		return bad_list;
	if (model->nexuses[to].key == 0 && !command->unregister &&
	    model_registrations(model) == MODEL_REGISTRATIONS)
		return no_room;
	model->nexuses[to].key = command->new_key;
	model->holder = to;
	if (command->unregister)
		model->nexuses[command->sender].key = 0;
	model->aptpl = command->aptpl;
	model->generation++;
	return good;
}

static struct model_answer check_move_list(const struct model *model, const uint8_t *list,
					   size_t len, struct command *command)
{
	command->aptpl = list[17] & 1;
	command->unregister = list[17] & 2;
	command->port = (uint16_t)big_endian(list + 18, 2);
	command->transport_id = list + 24;
	command->transport_id_len = big_endian(list + 20, 4);
	if (command->transport_id_len > len - 24)
		return bad_length;
	if (command->transport_id_len < 24 || command->transport_id_len % 4 != 0)
		return bad_list;
	return command->aptpl && !model->ptpl_c ? bad_list : good;
}

static struct model_answer check_list(const struct model *model, const uint8_t *list, size_t len,
				      struct command *command)
{
	bool registers = command->action == REGISTER || command->action == IGNORE;

	if (len < 24)
		return bad_length;
	command->key = big_endian(list, 8);
	command->new_key = big_endian(list + 8, 8);
	if (command->action == MOVE)
		return check_move_list(model, list, len, command);
	command->aptpl = list[20] & 1;
	command->all_tg_pt = list[20] & 4;
	command->spec_i_pt = list[20] & 8;
	if (command->spec_i_pt)
		return bad_list;
	if (len != 24)
		return bad_length;
	if (registers && (command->all_tg_pt || (command->aptpl && !model->ptpl_c)))
		return bad_list;
	return good;
}

struct model_answer model_out(struct model *model, int sender, const uint8_t *cdb,
			      const uint8_t *list, size_t len, uint64_t *ret_removed)
{
	struct command command = {.sender = sender,
				  .action = cdb[1] & 0x1f,
				  .scope = cdb[2] >> 4,
				  .type = cdb[2] & 0x0f};
	uint64_t list_len = big_endian(cdb + 5, 4);
	struct model_answer answer;

	*ret_removed = 0;
	if (command.action > MOVE)
		return bad_cdb;
	/* What the CDB says is there has to be there. */
	if (list_len > len)
		return bad_length;
	answer = check_list(model, list, list_len, &command);
	if (answer.status != good.status)
		return answer;
	if (command.action == REGISTER || command.action == IGNORE)
		return do_register(model, &command);
	if (model->nexuses[sender].key == 0 || model->nexuses[sender].key != command.key)
		return conflict;
	switch (command.action) {
	case RESERVE:
		return do_reserve(model, &command);
	case RELEASE:
		return do_release(model, &command);
	case CLEAR:
		return do_clear(model, &command);
	case MOVE:
		return do_move(model, &command);
	default:
		return do_preempt(model, &command, ret_removed);
	}
}
