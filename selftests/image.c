// SPDX-License-Identifier: GPL-2.0
/*
 * Whose code it was: a PE driver in the guest's kernel memory, made by mingw-w64, does a denied
 * WRMSR, and the event says of it what objdump says of the file. Damaged, half there, changing
 * while it is looked at: right or nothing.
 */
#include "kselftest_harness.h"
#include "lib/pe.h"
#include "lib/row.h"

#define BASE		0xfffff80312340000ull
#define MSR		MSR_KERNEL_GS_BASE
#define POLICY		"0xc0000102 allow deny"

/* That nobody was found in a page is believed for a second. */
#define NONE_MS		1100

/* Jumps to @target. */
static size_t jump(uint8_t code[16], uint64_t target)
{
	memcpy(code, (const uint8_t[]){ 0x48, 0xbb }, 2);		/* movabs to RBX */
	memcpy(code + 2, &target, 8);
	memcpy(code + 10, (const uint8_t[]){ 0xff, 0xe3 }, 2);	/* jmp *%rbx */
	return 12;
}

static uint64_t place(const struct pe_image *image, uint64_t base, unsigned int nth)
{
	return base + image->wrmsr + nth * 0x1000;
}

/* One denied access by the image, and what was told of it. */
static void deny(struct __test_metadata *_metadata, struct bench_table *table, struct vcpu *vcpu,
		 uint64_t pc, bool level2, struct mg_event *event)
{
	struct access_result r;
	uint8_t code[16];
	size_t len = jump(code, pc);

	if (level2)
		r = l2_code(vcpu, code, len, (uint32_t)KGS_A, MSR, KGS_A >> 32);
	else
		r = guest_code(vcpu, code, len, (uint32_t)KGS_A, MSR, KGS_A >> 32);
	ASSERT_EQ(VECTOR_GP, r.vector);
	EXPECT_EQ(pc, r.fault_rip);
	ASSERT_TRUE(mg_next_event(table->listener, event, 5000));
	EXPECT_EQ(MSR, event->msr);
	EXPECT_EQ(pc, event->pc);
	EXPECT_EQ(level2, event->nested);
	EXPECT_EQ(MSRGUARD_VERDICT_DENIED, event->verdict);
	EXPECT_EQ(0, event->strange);
}

static void check_image(struct __test_metadata *_metadata, const struct mg_event *event,
			const struct pe_image *image, uint64_t base, const char *name)
{
	ASSERT_TRUE(event->has_image);
	EXPECT_EQ(MSRGUARD_IMAGE_KIND_PE, event->image_kind);
	EXPECT_TRUE(event->has_image_base);
	EXPECT_EQ(base, event->image_base);
	EXPECT_TRUE(event->has_image_size);
	EXPECT_EQ(image->size, event->image_size);
	EXPECT_TRUE(event->has_checksum);
	EXPECT_EQ(image->checksum, event->image_checksum);
	EXPECT_TRUE(event->has_timestamp);
	EXPECT_EQ(image->timestamp, event->image_timestamp);
	EXPECT_STREQ(name, event->image_name);
	EXPECT_EQ(0, event->build_id_len);
}

static void check_nobody(struct __test_metadata *_metadata, const struct mg_event *event)
{
	EXPECT_FALSE(event->has_image);
	EXPECT_FALSE(event->has_image_base);
	EXPECT_FALSE(event->has_image_size);
	EXPECT_FALSE(event->has_checksum);
	EXPECT_FALSE(event->has_timestamp);
	EXPECT_STREQ("", event->image_name);
	EXPECT_EQ(0, event->build_id_len);
}

FIXTURE(image) {
	struct bench_table table;
};

FIXTURE_SETUP(image)
{
	table_up(_metadata, &self->table, 2, 0);
	use_policy(_metadata, POLICY);
}

FIXTURE_TEARDOWN(image)
{
	table_down(&self->table);
}

/* What objdump says, of each image, from several of its pages; the trace says the same. */
TEST_F(image, as_objdump_says)
{
	for (unsigned int i = 0; i < NR_PE_IMAGES; i++) {
		const struct pe_image *image = &pe_images[i];
		struct vm *vm = vm_create(1, 0);
		struct mg_event event;
		char expected[1024];
		const char *line;

		pe_map(vm, image, BASE);
		for (unsigned int n = 0; n < PE_ACCESSES; n += 5) {
			deny(_metadata, &self->table, &vm->vcpus[0], place(image, BASE, n), false,
			     &event);
			check_image(_metadata, &event, image, BASE, image->name);
			mg_trace_text(&event, expected, sizeof(expected));
			line = mg_trace_next(self->table.trace);
			ASSERT_NE(NULL, line);
			EXPECT_STREQ(expected, line);
		}
		vm_free(vm);
	}
	/* The images are not all alike. */
	EXPECT_NE(0, strcmp(pe_images[PE_DRIVER].name, pe_images[PE_DRIVER].exported));
	EXPECT_EQ(0, strcmp(pe_images[PE_EXPORT].name, pe_images[PE_EXPORT].exported));
	EXPECT_LE(16u << 20, pe_images[PE_LARGE].wrmsr);
}

/* A guest of the guest, through its own paging. */
TEST_F(image, of_l2)
{
	const struct pe_image *image = &pe_images[PE_DRIVER];
	struct vm *vm = self->table.vm;
	struct mg_event event;

	if (!nested_works(vm))
		SKIP(return, NESTED_MISSING);
	pe_map(vm, image, BASE);
	deny(_metadata, &self->table, &vm->vcpus[0], place(image, BASE, 0), true, &event);
	check_image(_metadata, &event, image, BASE, image->name);
	deny(_metadata, &self->table, &vm->vcpus[0], place(image, BASE, 1), false, &event);
	check_image(_metadata, &event, image, BASE, image->name);
}

/* Another image where the first one was, then none; then that one again. */
TEST_F(image, replaced)
{
	const struct pe_image *image = &pe_images[PE_DRIVER];
	struct vcpu *vcpu = self->table.vcpu;
	struct vm *vm = self->table.vm;
	struct pe_image other = *image;
	struct mg_event event;
	uint64_t nt;

	pe_map(vm, image, BASE);
	nt = pe_nt(vm, BASE);
	deny(_metadata, &self->table, vcpu, place(image, BASE, 0), false, &event);
	check_image(_metadata, &event, image, BASE, image->name);
	other.timestamp ^= 0x5555;
	other.checksum ^= 0xaaaa;
	pe_put32(vm, nt + 8, other.timestamp);
	pe_put32(vm, nt + 0x58, other.checksum);
	deny(_metadata, &self->table, vcpu, place(image, BASE, 0), false, &event);
	check_image(_metadata, &event, &other, BASE, image->name);

	/* The header is swapped out. */
	memset(vm_at(vm, BASE), 0, 0x1000);
	deny(_metadata, &self->table, vcpu, place(image, BASE, 0), false, &event);
	check_nobody(_metadata, &event);
	vm_unmap_page(vm, BASE);
	deny(_metadata, &self->table, vcpu, place(image, BASE, 1), false, &event);
	check_nobody(_metadata, &event);
	vm_map_page(vm, BASE, GPA_IMAGE);
	memcpy(vm_at(vm, BASE), image->start, 0x400);
	usleep(NONE_MS * 1000);
	deny(_metadata, &self->table, vcpu, place(image, BASE, 0), false, &event);
	check_image(_metadata, &event, image, BASE, image->name);
}

enum part { DOS, NT, SECTION_0, SECTION_1, DEBUG_DIRECTORY, DEBUG_ENTRY };

/**
 * struct damage - one word of an image, overwritten
 * @what:   says it
 * @part:   counted from there
 * @offset: where
 * @value:  the word
 * @is_recognised: the image still is, by the name of its export directory
 */
struct damage {
	const char *what;
	enum part part;
	uint32_t offset, value;
	bool is_recognised;
};

static const struct damage damages[] = {
	{ "no MZ", DOS, 0, 0, false },
	{ "e_lfanew 0", DOS, 0x3c, 0, false },
	{ "e_lfanew in the text", DOS, 0x3c, 0x1000, false },
	{ "e_lfanew behind the image", DOS, 0x3c, 0x00ffff00, false },
	{ "e_lfanew at 4 GB", DOS, 0x3c, 0xfffffff0, false },
	{ "no PE", NT, 0, 0, false },
	{ "no sections", NT, 6, 0xf00000, false },
	{ "65535 sections", NT, 6, 0xffff, false },
	{ "optional header of 65535 bytes", NT, 20, 0x2226ffff, false },
	{ "optional header of 0 bytes", NT, 20, 0x22260000, false },
	{ "another magic", NT, 24, 0x10b, false },
	{ "SectionAlignment 3", NT, 24 + 32, 3, false },
	{ "SizeOfImage 0", NT, 24 + 56, 0, false },
	{ "SizeOfImage of a page", NT, 24 + 56, 0x1000, false },
	{ "SizeOfImage of a megabyte", NT, 24 + 56, 0x100000, false },
	{ "SizeOfImage of 4 GB", NT, 24 + 56, 0xffffffff, false },
	{ "the first section overlaps the second", SECTION_0, 8, 0x80000, false },
	{ "the second section is where the first is", SECTION_1, 12, 0x1000, false },
	{ "the first section is in the header", SECTION_0, 12, 0, false },
	{ "the second section is far behind", SECTION_1, 12, 0xfffff000, false },
	{ "the first section is data", SECTION_0, 36, 0xc0000040, false },
	{ "debug directory behind the image", DEBUG_DIRECTORY, 0, 0x7fffffff, true },
	{ "debug directory without an end", DEBUG_DIRECTORY, 4, 0xffffffff, true },
	{ "another kind of debug entry", DEBUG_ENTRY, 12, 4, true },
	{ "program database's name without an end", DEBUG_ENTRY, 16, 24 + 4, true },
	{ "program database's name of 4 GB", DEBUG_ENTRY, 16, 0xffffffff, true },
	{ "program database's name behind the image", DEBUG_ENTRY, 20, 0x7fffff00, true },
};

static uint64_t part_of(struct vm *vm, enum part part)
{
	uint64_t debug = pe_directory(vm, BASE, 6);

	switch (part) {
	case DOS:
		return BASE;
	case NT:
		return pe_nt(vm, BASE);
	case SECTION_0:
		return pe_section(vm, BASE, 0);
	case SECTION_1:
		return pe_section(vm, BASE, 1);
	case DEBUG_DIRECTORY:
		return debug;
	default:
		return BASE + pe_get32(vm, debug);
	}
}

TEST_F_TIMEOUT(image, damaged, 120)
{
	const struct pe_image *image = &pe_images[PE_DRIVER];

	for (unsigned int i = 0; i < ARRAY_SIZE(damages); i++) {
		const struct damage *damage = &damages[i];
		struct vm *vm = vm_create(1, 0);
		struct mg_event event;

		pe_map(vm, image, BASE);
		pe_put32(vm, part_of(vm, damage->part) + damage->offset, damage->value);
		deny(_metadata, &self->table, &vm->vcpus[0], place(image, BASE, 0), false, &event);
		EXPECT_EQ(damage->is_recognised, event.has_image) {
			TH_LOG("%s", damage->what);
		}
		if (event.has_image)
			check_image(_metadata, &event, image, BASE, image->exported);
		else
			check_nobody(_metadata, &event);
		vm_free(vm);
	}
}

/* Pages that are not there, and a name that has no end at all. */
TEST_F(image, half_there)
{
	const struct pe_image *image = &pe_images[PE_LARGE];
	struct vcpu *vcpu = self->table.vcpu;
	struct vm *vm = self->table.vm;
	uint64_t nt, far = BASE + 0xfc0, names;
	struct mg_event event;
	uint8_t header[0x400];
	size_t len;

	pe_map(vm, image, BASE);
	nt = pe_nt(vm, BASE);

	/* The header across two pages, then without the second. */
	len = sizeof(header) - (nt - BASE);
	memcpy(header, vm_at(vm, nt), len);
	vm_map_page(vm, BASE + 0x1000, GUEST_MEM_SIZE - 0x1000);
	for (size_t i = 0; i < len; i++)
		*vm_at(vm, far + i) = header[i];
	pe_put32(vm, BASE + 0x3c, far - BASE);
	deny(_metadata, &self->table, vcpu, place(image, BASE, 0), false, &event);
	check_image(_metadata, &event, image, BASE, image->name);
	vm_unmap_page(vm, BASE + 0x1000);
	deny(_metadata, &self->table, vcpu, place(image, BASE, 1), false, &event);
	check_nobody(_metadata, &event);
	pe_put32(vm, BASE + 0x3c, nt - BASE);

	/* Without the debug directory's page. */
	vm_unmap_page(vm, BASE + pe_get32(vm, pe_directory(vm, BASE, 6)));
	deny(_metadata, &self->table, vcpu, place(image, BASE, 2), false, &event);
	check_image(_metadata, &event, image, BASE, image->exported);

	/* A new one, for which nothing is remembered: a name up to the last mapped byte. */
	vm_free(self->table.vm);
	self->table.vm = vm_create(2, 0);
	vm = self->table.vm;
	vcpu = self->table.vcpu = &vm->vcpus[0];
	pe_map(vm, image, BASE);
	vm_unmap_page(vm, BASE + pe_get32(vm, pe_directory(vm, BASE, 6)));
	names = BASE + pe_get32(vm, pe_directory(vm, BASE, 0)) + 40;
	memset(vm_at(vm, names), 'x', 0x1000 - (names & 0xfff));
	deny(_metadata, &self->table, vcpu, place(image, BASE, 0), false, &event);
	check_image(_metadata, &event, image, BASE, "");
}

/* What the writer writes in turn. */
static const struct {
	uint32_t timestamp, checksum;
} states[2] = { { 0x11111111, 0x22222222 }, { 0x33333333, 0x44444444 } };

static uint64_t both(unsigned int state)
{
	return states[state].timestamp | (uint64_t)states[state].checksum << 32;
}

struct writer {
	struct vcpu *vcpu;
	uint64_t base;
	const struct pe_image *image;
};

static void *rewrite(void *context)
{
	struct writer *writer = context;
	uint8_t code[16];
	size_t len = jump(code, writer->base + writer->image->rewrite);

	guest_code(writer->vcpu, code, len, both(0), writer->base, both(1));
	return NULL;
}

/*
 * One vCPU rewrites the header without a pause, while the other is denied: thousands of look-ups,
 * none of which may mix the two. The image is where little lies below it, so that a look-up that
 * finds no header does not spend the VM's budget.
 */
TEST_F_TIMEOUT(image, rewritten_while_read, 600)
{
	const unsigned int tries = 3000;
	const struct pe_image *image = &pe_images[PE_DRIVER];
	struct writer writer = { &self->table.vm->vcpus[1], GPA_IMAGE, image };
	unsigned int seen[2] = { 0 }, unknown = 0, other = 0;
	struct mg_event event;
	pthread_t thread;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "it takes two CPUs to write while another one reads");
	/* Lines of the trace are not what is tested here. */
	ASSERT_EQ(0, mg_trace_enable(self->table.trace, false));
	pe_map(self->table.vm, image, GPA_IMAGE);
	ASSERT_EQ(0, pthread_create(&thread, NULL, rewrite, &writer));
	/* Then a round is done, and it is past the page that says where to jump. */
	while (!writer.vcpu->page->ok)
		usleep(1000);
	for (unsigned int i = 0; i < tries; i++) {
		unsigned int state;

		deny(_metadata, &self->table, self->table.vcpu,
		     place(image, GPA_IMAGE, i % PE_ACCESSES), false, &event);
		if (!event.has_image) {
			unknown++;
			continue;
		}
		EXPECT_EQ(GPA_IMAGE, event.image_base);
		EXPECT_EQ(image->size, event.image_size);
		EXPECT_STREQ(image->name, event.image_name);
		state = event.image_timestamp == states[1].timestamp;
		if (event.image_timestamp == states[state].timestamp &&
		    event.image_checksum == states[state].checksum)
			seen[state]++;
		else
			other++;
	}
	writer.vcpu->page->stop = 1;
	pthread_join(thread, NULL);
	TH_LOG("%u tries: %u and %u times one of the two, %u times nobody; %lu rewritings", tries,
	       seen[0], seen[1], unknown, writer.vcpu->page->ok);
	EXPECT_EQ(0, other);
	/*
	 * It was read while it was changed, or the test says nothing. Which of the two stood still
	 * long enough is up to how the emulator shares out its time.
	 */
	EXPECT_LT(0, seen[0] + seen[1]);
	EXPECT_LT(0, unknown);
	EXPECT_LT(tries, writer.vcpu->page->ok);
	usleep(NONE_MS * 1000);
	deny(_metadata, &self->table, self->table.vcpu, place(image, GPA_IMAGE, 0), false, &event);
	ASSERT_TRUE(event.has_image);
	EXPECT_EQ(states[1].timestamp, event.image_timestamp);
	EXPECT_EQ(states[1].checksum, event.image_checksum);
}

TEST_HARNESS_MAIN
