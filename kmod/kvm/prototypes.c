// SPDX-License-Identifier: GPL-2.0
/*
 * Comparing KVM's functions and structures with what this build takes them for, by the BTF of the
 * kvm.ko that is loaded. CONFIG_MODVERSIONS does the same for struct kvm and struct kvm_vcpu (see
 * kvm_layout_witness), but not for functions that are exported to nobody, and not for private
 * structures.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/kvm_host.h>
#include <linux/seq_buf.h>
#include <linux/string.h>

#include "compat.h"
#include "guest_memory.h"
#include "prototypes.h"
#include "symbols.h"

/* More typedefs, pointers and qualifiers than any argument has; BTF may not contain loops. */
#define MAX_DEPTH	16
#define MAX_TYPE_LEN	160

/* Static, or declared nowhere, until some version. */
typedef s32 find_btf_id_fn(const char *name, u32 kind, struct btf **btf);

/* See symbols.h for why by static calls. */
DEFINE_STATIC_CALL_NULL(find_btf_id, find_btf_id_fn);
DEFINE_STATIC_CALL_NULL(get_vmlinux, bpf_get_btf_vmlinux);
DEFINE_STATIC_CALL_NULL(nr_types, btf_nr_types);
DEFINE_STATIC_CALL_NULL(type_by_id, btf_type_by_id);
DEFINE_STATIC_CALL_NULL(name_by_offset, btf_name_by_offset);
DEFINE_STATIC_CALL_NULL(put_btf, btf_put);

/* kvm.ko's BTF, and the first of the types that it adds to those of the kernel. */
static struct btf *kvm_btf;
static u32 first_type;
static u32 end_type;

/* A member that we use, of a structure that some kernel might lay out in another way. */
struct member {
	const char *name;
	u32 offset;
};

static const struct btf_type *type_of(u32 id)
{
	return static_call(type_by_id)(kvm_btf, id);
}

static const char *name_of(u32 offset)
{
	return static_call(name_by_offset)(kvm_btf, offset) ?: "";
}

/* kvm.ko's own @kind of this name, or NULL. What the kernel has as well is not repeated there. */
static const struct btf_type *find_type(u32 kind, const char *name)
{
	const struct btf_type *type;
	u32 id;

	for (id = first_type; id < end_type; id++) {
		type = type_of(id);
		if (type && BTF_INFO_KIND(type->info) == kind &&
		    !strcmp(name_of(type->name_off), name))
			return type;
	}
	return NULL;
}

static bool is_modifier(u32 kind)
{
	return kind == BTF_KIND_TYPEDEF || kind == BTF_KIND_CONST || kind == BTF_KIND_VOLATILE ||
	       kind == BTF_KIND_RESTRICT || kind == BTF_KIND_TYPE_TAG;
}

/* Integers by sign and width, not by name: compilers call them differently. */
static void write_int(struct seq_buf *out, const struct btf_type *type)
{
	u32 data = *(const u32 *)(type + 1);

	if (BTF_INT_ENCODING(data) & BTF_INT_BOOL)
		seq_buf_printf(out, "bool");
	else
		seq_buf_printf(out, "%c%u", BTF_INT_ENCODING(data) & BTF_INT_SIGNED ? 's' : 'u',
			       BTF_INT_BITS(data));
}

static void write_type(struct seq_buf *out, u32 id)
{
	const struct btf_type *type = NULL;
	int depth, stars = 0;
	u32 kind = BTF_KIND_UNKN;

	for (depth = 0; id && depth < MAX_DEPTH; depth++) {
		type = type_of(id);
		kind = type ? BTF_INFO_KIND(type->info) : BTF_KIND_UNKN;
		if (kind == BTF_KIND_PTR)
			stars++;
		else if (!is_modifier(kind))
			break;
		id = type->type;
	}
	if (!id)
		seq_buf_printf(out, "void");
	else if (kind == BTF_KIND_INT)
		write_int(out, type);
	else if (kind == BTF_KIND_STRUCT)
		seq_buf_printf(out, "struct %s", name_of(type->name_off));
	else if (kind == BTF_KIND_FWD)
		seq_buf_printf(out, "%s %s", btf_type_kflag(type) ? "union" : "struct",
			       name_of(type->name_off));
	else if (kind == BTF_KIND_ENUM || kind == BTF_KIND_ENUM64)
		seq_buf_printf(out, "enum %s", name_of(type->name_off));
	else
		seq_buf_printf(out, "a type of kind %u", kind);
	if (stars)
		seq_buf_printf(out, " ");
	while (stars--)
		seq_buf_printf(out, "*");
}

static void write_prototype(struct seq_buf *out, const struct btf_type *function)
{
	const struct btf_type *proto = type_of(function->type);
	const struct btf_param *params;
	u32 i;

	if (!proto || BTF_INFO_KIND(proto->info) != BTF_KIND_FUNC_PROTO) {
		seq_buf_printf(out, "no function");
		return;
	}
	params = btf_params(proto);
	write_type(out, proto->type);
	seq_buf_printf(out, " (");
	for (i = 0; i < btf_type_vlen(proto); i++) {
		if (i)
			seq_buf_printf(out, ", ");
		write_type(out, params[i].type);
	}
	seq_buf_printf(out, ")");
}

static int check_prototype(const struct mg_prototype *expected)
{
	const struct btf_type *function = find_type(BTF_KIND_FUNC, expected->function);
	char text[MAX_TYPE_LEN] = "";
	struct seq_buf out;

	/* pahole leaves a function out whose arguments the compiler has moved. */
	if (!function) {
		pr_err("%s of this kernel's kvm.ko is not in its BTF: what it takes is not known, and msrguard will not guess\n",
		       expected->function);
		return -ENOEXEC;
	}
	seq_buf_init(&out, text, sizeof(text));
	write_prototype(&out, function);
	if (!strcmp(text, expected->prototype))
		return 0;
	pr_err("%s of this kernel's kvm.ko is %s, and msrguard was built for %s: build it for this kernel, or report this\n",
	       expected->function, text, expected->prototype);
	return -ENOEXEC;
}

int mg_prototypes_check(const struct mg_prototype *prototypes, int nr)
{
	int i, err = 0;

	for (i = 0; kvm_btf && i < nr && !err; i++) {
		/* This kernel may not need it. */
		if (prototypes[i].function)
			err = check_prototype(&prototypes[i]);
	}
	return err;
}

static bool has_member(const struct btf_type *type, const struct member *member)
{
	const struct btf_member *members = btf_members(type);
	u32 i;

	for (i = 0; i < btf_type_vlen(type); i++) {
		if (!strcmp(name_of(members[i].name_off), member->name))
			return __btf_member_bit_offset(type, &members[i]) ==
			       member->offset * BITS_PER_BYTE;
	}
	return false;
}

/* KVM writes a private structure into room of ours. */
static int check_room(const char *name, u32 room)
{
	const struct btf_type *type = find_type(BTF_KIND_STRUCT, name);

	if (type && type->size <= room)
		return 0;
	pr_err("struct %s of this kernel's kvm.ko has %u bytes, and msrguard has room for %u: report this\n",
	       name, type ? type->size : 0, room);
	return -ENOEXEC;
}

/* @members: those that must be where they are here; the last one has no name. */
static int check_struct(const char *name, u32 size, const struct member *members)
{
	const struct btf_type *type = find_type(BTF_KIND_STRUCT, name);

	if (!type || type->size != size) {
		pr_err("struct %s of this kernel's kvm.ko has %u bytes, and msrguard was built for %u: build it with the headers of this very kernel\n",
		       name, type ? type->size : 0, size);
		return -ENOEXEC;
	}
	for (; members->name; members++) {
		if (!has_member(type, members)) {
			pr_err("struct %s of this kernel's kvm.ko has no %s at byte %u: build msrguard with the headers of this very kernel\n",
			       name, members->name, members->offset);
			return -ENOEXEC;
		}
	}
	return 0;
}

#define MEMBER(type, name) { #name, offsetof(struct type, name) }

int mg_prototypes_check_layout(void)
{
	static const struct member ops[] = {
		MEMBER(kvm_x86_ops, complete_emulated_msr),
		MEMBER(kvm_x86_ops, get_cpl),
		MEMBER(kvm_x86_ops, get_cs_db_l_bits),
		MEMBER(kvm_x86_ops, cache_reg),
		{}
	};

	if (!kvm_btf)
		return 0;
	return check_struct("kvm_x86_ops", sizeof(struct kvm_x86_ops), ops) ?:
	       check_room("x86_exception", sizeof(struct mg_exception_room));
}

/* By the function that no other module has. */
static bool find_btf(void)
{
	struct btf *vmlinux, *btf = NULL;

	vmlinux = static_call(get_vmlinux)();
	if (IS_ERR_OR_NULL(vmlinux) ||
	    static_call(find_btf_id)("kvm_arch_vcpu_postcreate", BTF_KIND_FUNC, &btf) <= 0)
		return false;
	kvm_btf = btf;
	first_type = static_call(nr_types)(vmlinux);
	end_type = static_call(nr_types)(btf);
	return true;
}

static bool find_kernels_functions(void)
{
	unsigned long find = mg_symbol("bpf_find_btf_id");
	unsigned long vmlinux = mg_symbol("bpf_get_btf_vmlinux");
	unsigned long nr = mg_symbol("btf_nr_types");
	unsigned long by_id = mg_symbol("btf_type_by_id");
	unsigned long by_offset = mg_symbol("btf_name_by_offset");
	unsigned long put = mg_symbol("btf_put");

	if (!find || !vmlinux || !nr || !by_id || !by_offset || !put)
		return false;
	mg_static_call_set(find_btf_id, find);
	mg_static_call_set(get_vmlinux, vmlinux);
	mg_static_call_set(nr_types, nr);
	mg_static_call_set(type_by_id, by_id);
	mg_static_call_set(name_by_offset, by_offset);
	mg_static_call_set(put_btf, put);
	return true;
}

int mg_prototypes_open(void)
{
	if (find_kernels_functions() && find_btf())
		return 0;
	if (LINUX_VERSION_CODE < MG_FIRST_UNKNOWN_VERSION) {
		pr_notice("this kernel has no BTF of kvm.ko: the types of its functions are taken to be those of Linux %u.%u\n",
			  LINUX_VERSION_CODE >> 16, LINUX_VERSION_CODE >> 8 & 0xff);
		return 0;
	}
	pr_err("this kernel is newer than those that msrguard was tried on, and has no BTF of kvm.ko by which to see what has changed: use one with CONFIG_DEBUG_INFO_BTF_MODULES\n");
	return -EOPNOTSUPP;
}

void mg_prototypes_close(void)
{
	if (kvm_btf)
		static_call(put_btf)(kvm_btf);
	kvm_btf = NULL;
}
