// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel that lacks one of the functions the module hooks: it refuses to load, names the
 * function, and leaves nothing.
 *
 * Such a kernel is simulated from the other side. A copy of the module has the function's name
 * changed to one that no kernel has; all else is as on a kernel without that function.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "lib/host.h"
#include "lib/row.h"

/* The last letter becomes this one. */
#define STRANGE	'#'

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

/* Changes @name wherever it stands as a whole string in read-only data; returns how often. */
static unsigned int rename_string(struct image *image, const char *name)
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
			at[len - 1] = STRANGE;
			found++;
		}
	}
	return found;
}

FIXTURE(unknown) {
	struct host_log *log;
	char *functions;
	char why[HOST_REASON_LEN];
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
	self->functions = host_enabled_functions();
	ASSERT_NE(NULL, self->functions);
	self->log = host_log_open();
	ASSERT_NE(NULL, self->log);
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
	host_log_free(self->log);
	free(self->functions);
}

static int load_image(const struct image *image)
{
	return syscall(SYS_init_module, image->bytes, image->size, "") ? -errno : 0;
}

TEST_F_TIMEOUT(unknown, every_hook_missing_in_turn, 200)
{
	struct vm *vm = vm_create(1, 0);
	struct vcpu *vcpu = &vm->vcpus[0];
	struct image copy = { malloc(self->image.size), self->image.size };

	ASSERT_NE(NULL, copy.bytes);
	for (unsigned int i = 0; i < self->nr_hooks; i++) {
		const char *function = self->hooks[i].function;
		char strange[sizeof(self->hooks[i].function)];

		memcpy(copy.bytes, self->image.bytes, copy.size);
		ASSERT_LT(0, rename_string(&copy, function)) {
			TH_LOG("the module has no string \"%s\"", function);
		}
		snprintf(strange, sizeof(strange), "%s", function);
		strange[strlen(strange) - 1] = STRANGE;

		EXPECT_EQ(-ENOENT, load_image(&copy)) {
			TH_LOG("without %s", function);
		}
		EXPECT_TRUE(host_log_has(self->log, "msrguard", strange)) {
			TH_LOG("no word of %s in: %s", strange, host_log_text(self->log));
		}
		EXPECT_TRUE(host_nothing_left(self->functions, self->why)) {
			TH_LOG("without %s: %s", function, self->why);
		}
		/* KVM is as it was. */
		EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_A + i).vector);
		EXPECT_EQ(KGS_A + i, guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE).value);
		EXPECT_EQ(VECTOR_GP, guest_rdmsr(vcpu, MSR_UNKNOWN).vector);
	}
	free(copy.bytes);

	/* And the same bytes unchanged load, by the same way, and guard. */
	ASSERT_EQ(0, load_image(&self->image));
	use_policy(_metadata, "0xc0000102 deny deny");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_A).vector);
	vm_free(vm);
}

/* So with the other symbols of KVM that it needs and does not hook. */
TEST_F(unknown, other_symbols_missing)
{
	static const char *const symbols[] = { "vm_list", "kvm_lock", "kvm_x86_ops" };
	struct image copy = { malloc(self->image.size), self->image.size };

	ASSERT_NE(NULL, copy.bytes);
	for (unsigned int i = 0; i < ARRAY_SIZE(symbols); i++) {
		char strange[32];

		memcpy(copy.bytes, self->image.bytes, copy.size);
		ASSERT_LT(0, rename_string(&copy, symbols[i])) {
			TH_LOG("the module has no string \"%s\"", symbols[i]);
		}
		snprintf(strange, sizeof(strange), "%s", symbols[i]);
		strange[strlen(strange) - 1] = STRANGE;
		EXPECT_EQ(-ENOENT, load_image(&copy)) {
			TH_LOG("without %s", symbols[i]);
		}
		EXPECT_TRUE(host_log_has(self->log, "msrguard", strange)) {
			TH_LOG("no word of %s in: %s", strange, host_log_text(self->log));
		}
		EXPECT_TRUE(host_nothing_left(self->functions, self->why)) {
			TH_LOG("without %s: %s", symbols[i], self->why);
		}
	}
	free(copy.bytes);
}

TEST_HARNESS_MAIN
