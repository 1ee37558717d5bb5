// SPDX-License-Identifier: GPL-2.0
/*
 * BPF programs on functions of kvm.ko. Where they go is told to the kernel by a number of its own
 * type information (BTF), so that is read here as far as needed.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf.h"

#define BTF_DIR		"/sys/kernel/btf/"
#define MODULE		"kvm"
#define PAGE_BYTES	4096

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

__attribute__((noreturn)) static void give_up(const char *what)
{
	printf("# BPF: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	abort();
}

const char *bpf_missing(void)
{
	if (access("/proc/sys/kernel/unprivileged_bpf_disabled", F_OK))
		return "this kernel has no bpf(2) (CONFIG_BPF_SYSCALL)";
	if (access(BTF_DIR "vmlinux", R_OK))
		return "this kernel has no type information (CONFIG_DEBUG_INFO_BTF)";
	if (access(BTF_DIR MODULE, R_OK))
		return "this host's kvm.ko has no type information (CONFIG_DEBUG_INFO_BTF_MODULES)";
	return NULL;
}

/* A file of sysfs that tells its size. */
static void *read_btf(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t room = 1 << 23, len;
	char *data = malloc(room);

	if (!file || !data)
		give_up(path);
	len = fread(data, 1, room, file);
	fclose(file);
	if (len < sizeof(struct btf_header) || len == room ||
	    ((struct btf_header *)data)->magic != BTF_MAGIC)
		give_up("type information of an unknown form");
	return data;
}

/* Bytes that follow a type's common part; include/uapi/linux/btf.h. */
static size_t tail_of(const struct btf_type *type)
{
	unsigned int nr = BTF_INFO_VLEN(type->info);

	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_INT:
		return sizeof(__u32);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return nr * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return nr * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return nr * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return nr * sizeof(struct btf_param);
	case BTF_KIND_VAR:
		return sizeof(struct btf_var);
	case BTF_KIND_DATASEC:
		return nr * sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG:
		return sizeof(struct btf_decl_tag);
	default:
		return 0;
	}
}

/*
 * Walks the types of @btf, which begin with number @id and whose names begin at offset @base of
 * the strings. Returns the number of the function called @name, or of the type behind the last one
 * if @name is NULL; 0 if there is no such function.
 */
static uint32_t walk(const void *btf, uint32_t id, uint32_t base, const char *name)
{
	const struct btf_header *header = btf;
	const char *types = (const char *)btf + header->hdr_len + header->type_off;
	const char *strings = (const char *)btf + header->hdr_len + header->str_off;
	const struct btf_type *type;
	uint32_t at;

	for (at = 0; at < header->type_len; at += sizeof(*type) + tail_of(type), id++) {
		type = (const struct btf_type *)(types + at);
		if (name && BTF_INFO_KIND(type->info) == BTF_KIND_FUNC && type->name_off >= base &&
		    !strcmp(strings + type->name_off - base, name))
			return id;
	}
	return name ? 0 : id;
}

/* A module's types and names go on where the kernel's own end. */
static uint32_t find_function(const char *name)
{
	static uint32_t first_id, base;
	static void *module;

	if (!module) {
		void *kernel = read_btf(BTF_DIR "vmlinux");

		first_id = walk(kernel, 1, 0, NULL);
		base = ((struct btf_header *)kernel)->str_len;
		free(kernel);
		module = read_btf(BTF_DIR MODULE);
	}
	return walk(module, first_id, base, name);
}

bool bpf_knows(const char *function)
{
	return find_function(function);
}

/* A descriptor of the module's type information in the kernel. */
static int open_btf(void)
{
	union bpf_attr next = { 0 };

	while (!bpf(BPF_BTF_GET_NEXT_ID, &next)) {
		char name[64] = "";
		struct bpf_btf_info info = {
			.name = (uintptr_t)name, .name_len = sizeof(name),
		};
		union bpf_attr by_id = { .btf_id = next.next_id };
		union bpf_attr ask = { 0 };
		int fd = bpf(BPF_BTF_GET_FD_BY_ID, &by_id);

		next.start_id = next.next_id;
		if (fd < 0)
			continue;
		ask.info.bpf_fd = fd;
		ask.info.info = (uintptr_t)&info;
		ask.info.info_len = sizeof(info);
		if (!bpf(BPF_OBJ_GET_INFO_BY_FD, &ask) && info.kernel_btf && !strcmp(name, MODULE))
			return fd;
		close(fd);
	}
	give_up("no type information of kvm.ko in the kernel");
}

static void make_map(struct bpf_probe *probe)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(uint32_t),
		.value_size = sizeof(uint64_t),
		.max_entries = 1,
		.map_flags = BPF_F_MMAPABLE,
	};

	probe->map = bpf(BPF_MAP_CREATE, &attr);
	if (probe->map < 0)
		give_up("cannot create a map");
	probe->calls = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, probe->map, 0);
	if (probe->calls == MAP_FAILED)
		give_up("cannot map a map");
}

/* (*calls)++; return 0; */
static void load_program(struct bpf_probe *probe, const char *function, bool at_exit)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = probe->map },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 1 },
		{ .code = BPF_STX | BPF_DW | BPF_ATOMIC, .dst_reg = BPF_REG_1,
		  .src_reg = BPF_REG_2, .imm = BPF_ADD },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	static char log[4096];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_TRACING,
		.expected_attach_type = at_exit ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY,
		.insns = (uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(struct bpf_insn),
		.license = (uintptr_t)"GPL",
		.log_level = 1,
		.log_buf = (uintptr_t)log,
		.log_size = sizeof(log),
		.attach_btf_id = find_function(function),
	};

	if (!attr.attach_btf_id) {
		errno = ENOENT;
		give_up(function);
	}
	attr.attach_btf_obj_fd = open_btf();
	probe->prog = bpf(BPF_PROG_LOAD, &attr);
	if (probe->prog < 0) {
		printf("# %s\n", log);
		give_up(function);
	}
	close(attr.attach_btf_obj_fd);
}

int bpf_attach(struct bpf_probe *probe, const char *function, bool at_exit)
{
	union bpf_attr attr = { 0 };
	int err;

	make_map(probe);
	load_program(probe, function, at_exit);
	attr.raw_tracepoint.prog_fd = probe->prog;
	probe->link = bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
	if (probe->link >= 0)
		return 0;
	err = -errno;
	bpf_detach(probe);
	return err;
}

void bpf_detach(struct bpf_probe *probe)
{
	if (!probe->calls)
		return;
	if (probe->link >= 0)
		close(probe->link);
	close(probe->prog);
	munmap(probe->calls, PAGE_BYTES);
	close(probe->map);
	memset(probe, 0, sizeof(*probe));
}

uint64_t bpf_calls(const struct bpf_probe *probe)
{
	return *(volatile uint64_t *)probe->calls;
}
