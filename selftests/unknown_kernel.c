// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel that lacks one of the functions the module hooks or calls, that has one of them twice or
 * of another type, or one more than the module hooks: it refuses to load, names the function, and
 * leaves nothing.
 *
 * Such a kernel is simulated from the other side. A copy of the module has the function's name
 * changed to one that no kernel has, or that this one has twice; all else is as on such a kernel.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/host.h"
#include "lib/row.h"

#define NO_TYPES	"this kernel has no BTF of kvm.ko (CONFIG_DEBUG_INFO_BTF_MODULES)"

/* The last letter becomes this one. */
#define STRANGE	'#'
/* A function of every kvm.ko that nobody hooks; its name is not longer than any it replaces. */
#define ANOTHER	"kvm_emulate_cpuid"

struct image {
	char *bytes;
	size_t size;
};

static struct image read_image(const char *path)
{
	struct image image = { NULL, 0 };
	struct stat stat;
	FILE *file = fopen(path, "r");

	if (!file || fstat(fileno(file), &stat))
		return image;
	image.bytes = malloc(stat.st_size);
	if (image.bytes && fread(image.bytes, 1, stat.st_size, file) == (size_t)stat.st_size)
		image.size = stat.st_size;
	fclose(file);
	return image;
}

/*
 * Puts @other, which is not longer, in the place of @name wherever that stands as a whole string in
 * read-only data; returns how often.
 */
static unsigned int replace_string(struct image *image, const char *name, const char *other)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)image->bytes;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(image->bytes + elf->e_shoff);
	const char *names = image->bytes + sections[elf->e_shstrndx].sh_offset;
	size_t len = strlen(name);
	unsigned int found = 0;

	for (unsigned int s = 0; s < elf->e_shnum; s++) {
		char *at = image->bytes + sections[s].sh_offset;
		char *end = at + sections[s].sh_size;

		if (strncmp(names + sections[s].sh_name, ".rodata", strlen(".rodata")))
			continue;
		for (; (at = memmem(at, end - at, name, len + 1)); at += len) {
			if (at != image->bytes + sections[s].sh_offset && at[-1])
				continue;
			memset(at, 0, len);
			memcpy(at, other, strlen(other));
			found++;
		}
	}
	return found;
}

FIXTURE(unknown) {
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr_hooks;
	struct image image;
};

FIXTURE_SETUP(unknown)
{
	const char *path = getenv("MSRGUARD_KO");

	ASSERT_NE(NULL, path);
	if (mg_loaded())
		ASSERT_EQ(0, mg_rmmod());
	/* Its own table says what it hooks on this kernel. */
	ASSERT_EQ(0, mg_insmod(""));
	self->nr_hooks = host_hooks(self->hooks);
	ASSERT_LE(8, self->nr_hooks);
	ASSERT_EQ(0, mg_rmmod());
	self->image = read_image(path);
	ASSERT_NE(0, self->image.size);
	ASSERT_EQ(0, memcmp(self->image.bytes, ELFMAG, SELFMAG));
}

FIXTURE_TEARDOWN(unknown)
{
	if (mg_loaded())
		mg_rmmod();
	free(self->image.bytes);
}

static int load_image(const struct image *image)
{
	return syscall(SYS_init_module, image->bytes, image->size, "") ? -errno : 0;
}

/*
 * The module with @other for @name: loading it gives @err, one message has all of @words, and
 * nothing is left.
 */
static void expect_refusal(struct __test_metadata *_metadata, struct image *image,
			   const char *name, const char *other, int err, const char *words)
{
	struct image copy = { malloc(image->size), image->size };
	struct host_log *log = host_log_open();
	char *functions = host_enabled_functions();
	char why[HOST_REASON_LEN];

	ASSERT_TRUE(copy.bytes && log && functions);
	memcpy(copy.bytes, image->bytes, copy.size);
	ASSERT_LT(0, replace_string(&copy, name, other)) {
		TH_LOG("the module has no string \"%s\"", name);
	}
	EXPECT_EQ(err, load_image(&copy)) {
		TH_LOG("with %s for %s", other, name);
	}
	EXPECT_TRUE(host_log_has(log, "msrguard", words)) {
		TH_LOG("no \"%s\" in: %s", words, host_log_text(log));
	}
	EXPECT_TRUE(host_nothing_left(functions, why)) {
		TH_LOG("with %s for %s: %s", other, name, why);
	}
	free(functions);
	host_log_free(log);
	free(copy.bytes);
}

/* Without @name. */
static void expect_missed(struct __test_metadata *_metadata, struct image *image, const char *name)
{
	char strange[64];

	snprintf(strange, sizeof(strange), "%s", name);
	strange[strlen(strange) - 1] = STRANGE;
	expect_refusal(_metadata, image, name, strange, -ENOENT, strange);
}

TEST_F_TIMEOUT(unknown, every_hook_missing_in_turn, 200)
{
	struct vm *vm = vm_create(1, 0);
	struct vcpu *vcpu = &vm->vcpus[0];

	for (unsigned int i = 0; i < self->nr_hooks; i++) {
		expect_missed(_metadata, &self->image, self->hooks[i].function);
		/* KVM is as it was. */
		EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_A + i).vector);
		EXPECT_EQ(KGS_A + i, guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE).value);
		EXPECT_EQ(VECTOR_GP, guest_rdmsr(vcpu, MSR_UNKNOWN).vector);
	}

	/* And the same bytes unchanged load, by the same way, and guard. */
	ASSERT_EQ(0, load_image(&self->image));
	use_policy(_metadata, "0xc0000102 deny deny");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_A).vector);
	vm_free(vm);
}

/* So with the other symbols that it needs and does not hook, of KVM and of the kernel. */
TEST_F_TIMEOUT(unknown, other_symbols_missing, 120)
{
	static const char *const symbols[] = {
		"vm_list", "kvm_lock", "kvm_x86_ops", "enable_apicv", "kvm_get_linear_rip",
		"kvm_get_running_vcpu", "kvm_make_all_cpus_request", "kvm_read_guest_virt",
		"__module_address", "ftrace_location", "task_work_cancel_match",
		"module_kallsyms_on_each_symbol",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(symbols); i++)
		expect_missed(_metadata, &self->image, symbols[i]);
	expect_missed(_metadata, &self->image,
		      host_kernel_since(6, 18) ? "__kvm_vcpu_kick" : "kvm_vcpu_kick");
	/* Hooked as well where nested lists are read by it. */
	expect_missed(_metadata, &self->image,
		      host_kernel_since(6, 18) ? "__kvm_emulate_msr_read" : "kvm_get_msr");
	expect_refusal(_metadata, &self->image, "kallsyms_lookup_name", "kallsyms_lookup_nam#",
		       -ENOENT, "cannot find kallsyms_lookup_name by a kprobe");
}

/* Its functions are there, but in no module of that name. */
TEST_F(unknown, kvm_is_no_module)
{
	expect_refusal(_metadata, &self->image, "kvm:%s", "kv#:%s", -EOPNOTSUPP,
		       "KVM is built into this kernel");
}

static bool has_types(void)
{
	return !access("/sys/kernel/btf/kvm", R_OK);
}

/* A function of the name that we want, with other arguments or another result. */
TEST_F_TIMEOUT(unknown, functions_of_another_type, 120)
{
	static const struct {
		const char *ours, *other, *words;
	} types[] = {
		{ "s32 (struct kvm_vcpu *)", "s64 (struct kvm_vcpu *)",
		  "is s32 (struct kvm_vcpu *), and msrguard was built for s64" },
		{ "s32 (struct x86_emulate_ctxt *, u32, u64 *)",
		  "s32 (struct x86_emulate_ctxt *, u64, u32 *)", "emulator_get_msr_with_filter" },
		{ "s32 (struct x86_emulate_ctxt *, u32, u64)",
		  "s32 (struct x86_emulate_ctxt *, u64)", "emulator_set_msr_with_filter" },
		{ "enum exit_fastpath_completion (struct kvm_vcpu *)",
		  "s32 (struct kvm_vcpu *)", "is enum exit_fastpath_completion (" },
		{ "bool (struct kvm_vcpu *, u32, u32)", "bool (struct kvm_vcpu *, u32)",
		  "kvm_msr_allowed" },
		{ "void (struct kvm_vcpu *)", "void (struct kvm *)", "kvm_" },
		{ "struct kvm_vcpu * ()", "struct kvm * ()", "kvm_get_running_vcpu" },
		{ "bool (struct kvm *, u32)", "bool (struct kvm *)", "kvm_make_all_cpus_request" },
	};

	if (!has_types())
		SKIP(return, NO_TYPES);
	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++)
		expect_refusal(_metadata, &self->image, types[i].ours, types[i].other, -ENOEXEC,
			       types[i].words);
}

/* KVM's table of operations is not the one of the headers. */
TEST_F(unknown, structure_of_another_layout)
{
	if (!has_types())
		SKIP(return, NO_TYPES);
	expect_refusal(_metadata, &self->image, "get_cs_db_l_bits", "get_idt", -ENOEXEC,
		       "struct kvm_x86_ops of this kernel's kvm.ko has no get_idt at byte ");
	expect_refusal(_metadata, &self->image, "x86_exception", "kvm_x86_ops", -ENOEXEC,
		       "struct kvm_x86_ops of this kernel's kvm.ko has ");
}

/* No type information: a kernel that we know is taken at its version's word, and told of. */
TEST_F(unknown, kernel_without_types)
{
	struct image copy = { malloc(self->image.size), self->image.size };
	struct vm *vm = vm_create(1, 0);
	struct host_log *log = host_log_open();

	ASSERT_TRUE(copy.bytes && log);
	memcpy(copy.bytes, self->image.bytes, copy.size);
	ASSERT_LT(0, replace_string(&copy, "bpf_find_btf_id", "bpf_find_btf_i#"));
	ASSERT_EQ(0, load_image(&copy));
	EXPECT_TRUE(host_log_has(log, "msrguard", "this kernel has no BTF of kvm.ko"));
	use_policy(_metadata, "0xc0000102 deny deny");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(&vm->vcpus[0], MSR_KERNEL_GS_BASE, KGS_A).vector);
	vm_free(vm);
	host_log_free(log);
	free(copy.bytes);
}

/* A function that is called like a way to an MSR, and that no version we know has. */
TEST_F(unknown, entry_of_the_future)
{
	/* "complete_emulated_rdmsr" is found by the name that is looked for then. */
	expect_refusal(_metadata, &self->image, "handle_fastpath_", "complete_emulate", -ENOEXEC,
		       "which msrguard does not know and which may be a way to an MSR");
}

static bool is_hooked(const struct hook_line *hooks, unsigned int nr, const char *function)
{
	for (unsigned int i = 0; i < nr; i++)
		if (!strcmp(hooks[i].function, function))
			return true;
	return false;
}

/* KVM has a way to an MSR that another version is known for, and this build has no hook there. */
TEST_F(unknown, entry_that_is_not_hooked)
{
	static const char *const entries[] = {
		"handle_fastpath_set_msr_irqoff", "handle_fastpath_wrmsr",
		"kvm_get_msr_with_filter", "kvm_set_msr_with_filter",
		"kvm_emulate_msr_read", "kvm_emulate_msr_write",
		"kvm_emulate_rdmsr_imm", "kvm_emulate_wrmsr_imm", "handle_fastpath_wrmsr_imm",
	};
	unsigned int tried = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(entries); i++) {
		if (is_hooked(self->hooks, self->nr_hooks, entries[i]))
			continue;
		expect_refusal(_metadata, &self->image, entries[i], ANOTHER, -ENOEXEC,
			       "has " ANOTHER ", which this build of msrguard does not hook");
		tried++;
	}
	EXPECT_LE(3, tried);
}

#define KVMS_FUNCTIONS	"sed -n 's/^[^ ]* [tT] \\([^\t]*\\)\t\\[kvm]$/\\1/p' /proc/kallsyms"

/* A function's name of at most @max letters that kvm.ko has more than once; returns how often. */
static unsigned int find_twin(char *twin, size_t max)
{
	char last[256] = "", name[256];
	FILE *names = popen(KVMS_FUNCTIONS " | sort", "r");
	unsigned int found = 0;

	while (names && fscanf(names, "%255s", name) == 1) {
		if (!strcmp(name, last) && strlen(name) <= max)
			found = found ? found + 1 : 2;
		else if (found)
			break;
		strcpy(last, name);
	}
	if (names)
		pclose(names);
	if (found)
		strcpy(twin, last);
	return found;
}

/* One hook would reach one of the two, and nobody knows which. */
TEST_F(unknown, function_that_is_there_twice)
{
	static const char name[] = "emulator_set_msr_with_filter";
	char twin[256], words[320];
	unsigned int nr = find_twin(twin, strlen(name));

	if (!nr)
		SKIP(return, "this kvm.ko has no function twice");
	snprintf(words, sizeof(words), "cannot hook %s: this kernel's kvm.ko has %u functions", twin,
		 nr);
	expect_refusal(_metadata, &self->image, name, twin, -EINVAL, words);
}

TEST_HARNESS_MAIN
