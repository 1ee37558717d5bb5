// SPDX-License-Identifier: GPL-2.0
/* The module's counters by netlink, see dumps.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>

#include "dumps.h"
#include "msrguard.h"

/* A policy that is published all the time must not keep us for ever. */
#define TRIES	20

struct field {
	uint16_t attr;
	enum mnl_attr_data_type type;
	size_t offset;
	size_t size;
	bool optional;
};

struct taking {
	const struct field *fields;
	size_t nr_fields;
	char *to;
	uint64_t has;
};

#define FIELD(set, name, mnl_type, member, opt)					\
	{									\
		.attr = MSRGUARD_A_##name,					\
		.type = mnl_type,						\
		.offset = offsetof(struct set, member),				\
		.size = sizeof(((struct set *)0)->member),			\
		.optional = opt,						\
	}
#define STATS(name, member)	FIELD(mg_nl_stats, STATS_##name, MNL_TYPE_U64, member, false)
#define VM(name, type, member)	FIELD(mg_nl_vm, VM_##name, type, member, false)
#define RULE(name, type, member, opt) FIELD(mg_nl_rule, RULE_##name, type, member, opt)

static const struct field stats_fields[] = {
	STATS(READS,		reads),
	STATS(WRITES,		writes),
	STATS(DENIED,		denied),
	STATS(DROPPED,		dropped),
	STATS(MASKED,		masked),
	STATS(AUDITED,		audited),
	STATS(QUIET,		quiet),
	STATS(SEQ,		sequence),
	STATS(PENDING,		pending),
	STATS(OVERFLOWED,	overflowed),
	STATS(LOST,		lost),
	STATS(EVENTS_SENT,	events_sent),
	STATS(EVENTS_LOST,	events_lost),
	STATS(UNATTRIBUTED,	unattributed),
};

static const struct field vm_fields[] = {
	VM(ID,		MNL_TYPE_U64,	id),
	VM(PID,		MNL_TYPE_U32,	pid),
	VM(VCPUS,	MNL_TYPE_U32,	vcpus),
	VM(READS,	MNL_TYPE_U64,	reads),
	VM(WRITES,	MNL_TYPE_U64,	writes),
	VM(DENIED,	MNL_TYPE_U64,	denied),
	VM(DROPPED,	MNL_TYPE_U64,	dropped),
	VM(MASKED,	MNL_TYPE_U64,	masked),
	VM(AUDITED,	MNL_TYPE_U64,	audited),
	VM(QUIET,	MNL_TYPE_U64,	quiet),
	VM(PENDING,	MNL_TYPE_U64,	pending),
	VM(OVERFLOWED,	MNL_TYPE_U64,	overflowed),
	FIELD(mg_nl_vm, VM_IMAGE_LOOKUPS,	MNL_TYPE_U64,	image_lookups,	true),
	FIELD(mg_nl_vm, VM_IMAGE_HITS,		MNL_TYPE_U64,	image_hits,	true),
	FIELD(mg_nl_vm, VM_IMAGE_PAGES,		MNL_TYPE_U64,	image_pages,	true),
	FIELD(mg_nl_vm, VM_IMAGE_SPENT,		MNL_TYPE_U64,	image_spent,	true),
};

static const struct field rule_fields[] = {
	RULE(FIRST,		MNL_TYPE_U32,	first,		true),
	RULE(LAST,		MNL_TYPE_U32,	last,		true),
	RULE(READ_ACTION,	MNL_TYPE_U8,	read_action,	false),
	RULE(READ_MASK,		MNL_TYPE_U64,	read_mask,	true),
	RULE(WRITE_ACTION,	MNL_TYPE_U8,	write_action,	false),
	RULE(WRITE_MASK,	MNL_TYPE_U64,	write_mask,	true),
	RULE(READS,		MNL_TYPE_U64,	reads,		false),
	RULE(WRITES,		MNL_TYPE_U64,	writes,		false),
	RULE(GENERATION,	MNL_TYPE_U64,	generation,	false),
	{ .attr = MSRGUARD_A_RULE_KEEP, .type = MNL_TYPE_FLAG, .optional = true },
	{ .attr = MSRGUARD_A_RULE_AUDIT, .type = MNL_TYPE_FLAG, .optional = true },
	{ .attr = MSRGUARD_A_RULE_QUIET, .type = MNL_TYPE_FLAG, .optional = true },
};

_Static_assert(MSRGUARD_A_STATS_MAX < 64 && MSRGUARD_A_VM_MAX < 64 && MSRGUARD_A_RULE_MAX < 64,
	       "struct taking.has has a bit an attribute");

static int take_field(const struct nlattr *attr, void *data)
{
	struct taking *taking = data;
	const struct field *field = taking->fields, *end = field + taking->nr_fields;

	while (field < end && field->attr != mnl_attr_get_type(attr))
		field++;
	if (field == end)
		return MNL_CB_OK;
	if (mnl_attr_validate(attr, field->type) < 0)
		return MNL_CB_ERROR;
	/* The size has just been checked to be that of the type. */
	memcpy(taking->to + field->offset, mnl_attr_get_payload(attr), field->size);
	taking->has |= 1ull << field->attr;
	return MNL_CB_OK;
}

/* The fields of a message of that command; false if it is another, or not as it is to be. */
static bool take_fields(const struct nlmsghdr *message, uint8_t cmd, struct taking *taking)
{
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(message);
	size_t i;

	if (message->nlmsg_len % MNL_ALIGNTO ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*header) || header->cmd != cmd ||
	    mnl_attr_parse(message, sizeof(*header), take_field, taking) != MNL_CB_OK)
		return false;
	for (i = 0; i < taking->nr_fields; i++)
		if (!taking->fields[i].optional && !(taking->has >> taking->fields[i].attr & 1))
			return false;
	return true;
}

struct stats_answer {
	struct mg_nl_stats *stats;
	bool came;
};

static bool take_stats(void *context, const struct nlmsghdr *message)
{
	struct stats_answer *answer = context;
	struct taking taking = { stats_fields, ARRAY_SIZE(stats_fields), (char *)answer->stats, 0 };

	if (answer->came)
		return false;
	answer->came = true;
	return take_fields(message, MSRGUARD_CMD_STATS_GET, &taking);
}

int mg_nl_stats(struct mg_nl *nl, struct mg_nl_stats *stats, struct mg_nl_refusal *refusal)
{
	struct stats_answer answer = { .stats = stats };
	const struct mg_nl_question question = {
		.cmd = MSRGUARD_CMD_STATS_GET,
		.take = take_stats,
		.context = &answer,
	};
	int err;

	memset(stats, 0, sizeof(*stats));
	err = mg_nl_ask(nl, &question, refusal);
	return !err && !answer.came ? -EBADMSG : err;
}

struct list {
	void *items;
	size_t nr;
};

static void *add_item(struct list *list, size_t size)
{
	list->items = mg_alloc_check(reallocarray(list->items, list->nr + 1, size));
	return memset((char *)list->items + list->nr++ * size, 0, size);
}

static bool take_vm(void *context, const struct nlmsghdr *message)
{
	struct mg_nl_vm *vm = add_item(context, sizeof(*vm));
	struct taking taking = { vm_fields, ARRAY_SIZE(vm_fields), (char *)vm, 0 };

	return take_fields(message, MSRGUARD_CMD_VM_GET, &taking);
}

/* Half a rule, or an action without its mask, would be shown as a wrong one. */
static bool is_whole(const struct mg_nl_rule *rule, uint64_t has)
{
	bool first = has >> MSRGUARD_A_RULE_FIRST & 1, last = has >> MSRGUARD_A_RULE_LAST & 1;
	bool read_mask = has >> MSRGUARD_A_RULE_READ_MASK & 1;
	bool write_mask = has >> MSRGUARD_A_RULE_WRITE_MASK & 1;

	return first == last && rule->first <= rule->last &&
	       read_mask == (rule->read_action == MSRGUARD_ACTION_MASK) &&
	       write_mask == (rule->write_action == MSRGUARD_ACTION_MASK);
}

/* The default line comes first, and all are of one policy. */
static bool take_rule(void *context, const struct nlmsghdr *message)
{
	struct list *list = context;
	struct mg_nl_rule *rule = add_item(list, sizeof(*rule));
	struct taking taking = { rule_fields, ARRAY_SIZE(rule_fields), (char *)rule, 0 };
	const struct mg_nl_rule *rules = list->items;

	if (!take_fields(message, MSRGUARD_CMD_RULE_GET, &taking) || !is_whole(rule, taking.has))
		return false;
	rule->is_default = !(taking.has >> MSRGUARD_A_RULE_FIRST & 1);
	rule->keep = taking.has >> MSRGUARD_A_RULE_KEEP & 1;
	rule->audit = taking.has >> MSRGUARD_A_RULE_AUDIT & 1;
	rule->quiet = taking.has >> MSRGUARD_A_RULE_QUIET & 1;
	return rule->is_default == (list->nr == 1) && rule->generation == rules->generation;
}

static int ask_list(struct mg_nl *nl, const struct mg_nl_question *question, struct list *list,
		    struct mg_nl_refusal *refusal)
{
	int err = 0, i;

	for (i = 0; i < TRIES; i++) {
		free(list->items);
		*list = (struct list){ 0 };
		err = mg_nl_ask(nl, question, refusal);
		if (err != -EINTR)
			break;
	}
	if (err) {
		free(list->items);
		*list = (struct list){ 0 };
	}
	return err;
}

int mg_nl_vms(struct mg_nl *nl, uint64_t id, struct mg_nl_vm **vms, size_t *nr,
	      struct mg_nl_refusal *refusal)
{
	struct list list = { 0 };
	const struct mg_nl_question question = {
		.cmd = MSRGUARD_CMD_VM_GET,
		.dump = true,
		.attr = id ? MSRGUARD_A_VM_ID : 0,
		.value = id,
		.take = take_vm,
		.context = &list,
	};
	int err = ask_list(nl, &question, &list, refusal);

	*vms = list.items;
	*nr = list.nr;
	return err;
}

int mg_nl_rules(struct mg_nl *nl, struct mg_nl_rule **rules, size_t *nr,
		struct mg_nl_refusal *refusal)
{
	struct list list = { 0 };
	const struct mg_nl_question question = {
		.cmd = MSRGUARD_CMD_RULE_GET,
		.dump = true,
		.take = take_rule,
		.context = &list,
	};
	int err = ask_list(nl, &question, &list, refusal);

	/* There always is a default line. */
	if (!err && !list.nr)
		err = -EBADMSG;
	*rules = list.items;
	*nr = list.nr;
	return err;
}

int mg_nl_refused(const char *what, int err, const struct mg_nl_refusal *refusal)
{
	if (!mg_sysfs_loaded()) {
		mg_complain("the module was unloaded meanwhile");
		return MG_EXIT_NOT_LOADED;
	}
	if (err == -EPERM || err == -EACCES) {
		mg_complain("asking for %s is not permitted", what);
		fputs("  do: run this as root of the host, for example with sudo\n", stderr);
		return MG_EXIT_NO_PERMISSION;
	}
	if (err == -EOPNOTSUPP || err == -EBADMSG) {
		mg_complain(err == -EBADMSG ? "the module's answer about %s is malformed" :
					      "the module cannot tell of %s", what);
		fputs("  do: use the command and the module of the same version\n", stderr);
		return MG_EXIT_WRONG;
	}
	fflush(stdout);
	fprintf(stderr, "msrguard: cannot ask for %s: %s", what,
		err == -EINTR ? "they change faster than they can be read" : strerror(-err));
	if (*refusal->text) {
		fputs(" (", stderr);
		mg_put_visible(stderr, refusal->text, strlen(refusal->text));
		fputc(')', stderr);
	}
	fputc('\n', stderr);
	return MG_EXIT_WRONG;
}
