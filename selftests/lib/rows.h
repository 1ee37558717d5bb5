/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rows: every action, for reads and for writes, and what decides which rule speaks.
 *
 * Include after a FIXTURE_VARIANT(row) that holds a struct row; each becomes a test of its own.
 *
 * KERNEL_GS_BASE (0xc0000102) is passed through by stock KVM on every host; 0x277 (PAT) is always
 * intercepted; 0x12345 and 0xdeadbeef have no bit in any bitmap; 0x4b564d01 is KVM's clock.
 */
#define PAT_A		0x0007040600070406ull
#define PAT_B		0x0007040600070401ull

#define DENIED(...) \
	.vector = VECTOR_GP, .counted = true, .verdict = MSRGUARD_VERDICT_DENIED, __VA_ARGS__
#define DROPPED(...)	.counted = true, .verdict = MSRGUARD_VERDICT_DROPPED, __VA_ARGS__
#define MASKED(...)	.counted = true, .verdict = MSRGUARD_VERDICT_MASKED, __VA_ARGS__
#define AUDITED(what, ...) \
	.counted = true, .verdict = MSRGUARD_VERDICT_AUDITED, \
	.would_be = MSRGUARD_VERDICT_##what, __VA_ARGS__
#define PASSED(...)	.counted = true, __VA_ARGS__
#define UNGUARDED(...)	.counted = false, __VA_ARGS__
#define WRITE_KGS(from, to) \
	.op = OP_WRMSR, .msr = MSR_KERNEL_GS_BASE, .before = (from), .value = (to)
#define READ_KGS(from)	.op = OP_RDMSR, .msr = MSR_KERNEL_GS_BASE, .before = (from)

/* allow, deny, drop */
FIXTURE_VARIANT_ADD(row, allow_write) { .row = {
	.policy = "0xc0000102 allow allow", WRITE_KGS(KGS_A, KGS_B),
	UNGUARDED(.result = KGS_B),
} };

FIXTURE_VARIANT_ADD(row, allow_read) { .row = {
	.policy = "0xc0000102 allow allow", READ_KGS(KGS_A),
	UNGUARDED(.result = KGS_A),
} };

FIXTURE_VARIANT_ADD(row, deny_write) { .row = {
	.policy = "0xc0000102 allow deny", WRITE_KGS(KGS_A, KGS_B),
	DENIED(.result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, deny_write_of_the_same_value) { .row = {
	.policy = "0xc0000102 allow deny", WRITE_KGS(KGS_A, KGS_A),
	DENIED(.result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, deny_read) { .row = {
	.policy = "0xc0000102 deny allow", READ_KGS(KGS_A),
	DENIED(.rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, read_beside_denied_write) { .row = {
	.policy = "0xc0000102 allow deny", READ_KGS(KGS_A),
	UNGUARDED(.result = KGS_A),
} };

FIXTURE_VARIANT_ADD(row, write_beside_denied_read) { .row = {
	.policy = "0xc0000102 deny allow", WRITE_KGS(KGS_A, KGS_B),
	UNGUARDED(.result = KGS_B),
} };

FIXTURE_VARIANT_ADD(row, neighbour_of_a_denied_one) { .row = {
	.policy = "0xc0000103 deny deny", WRITE_KGS(KGS_A, KGS_B),
	UNGUARDED(.result = KGS_B),
} };

FIXTURE_VARIANT_ADD(row, drop_write) { .row = {
	.policy = "0xc0000102 allow drop", WRITE_KGS(KGS_A, KGS_B),
	DROPPED(.result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, drop_read) { .row = {
	.policy = "0xc0000102 drop allow", READ_KGS(KGS_A),
	DROPPED(.result = 0, .rule_first = MSR_KERNEL_GS_BASE),
} };

/* mask on a write: deny or keep the bits outside */
FIXTURE_VARIANT_ADD(row, mask_deny_allowed_bits) { .row = {
	.policy = "0xc0000102 allow mask=0xffffffff,deny", WRITE_KGS(KGS_A, KGS_A ^ 0xffff),
	PASSED(.result = KGS_A ^ 0xffff),
} };

FIXTURE_VARIANT_ADD(row, mask_deny_same_value) { .row = {
	.policy = "0xc0000102 allow mask=0,deny", WRITE_KGS(KGS_A, KGS_A),
	PASSED(.result = KGS_A),
} };

FIXTURE_VARIANT_ADD(row, mask_deny_forbidden_bit) { .row = {
	.policy = "0xc0000102 allow mask=0xffffffff,deny",
	WRITE_KGS(KGS_A, KGS_A ^ 0x100000000),
	DENIED(.result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, mask_deny_mixed_bits) { .row = {
	.policy = "0xc0000102 allow mask=0xffffffff,deny",
	WRITE_KGS(KGS_A, KGS_A ^ 0x100000001),
	DENIED(.result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, mask_deny_cleared_bit) { .row = {
	.policy = "0xc0000102 allow mask=~0x1,deny", WRITE_KGS(KGS_A, KGS_A & ~1ull),
	DENIED(.result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, mask_deny_inverted) { .row = {
	.policy = "0xc0000102 allow mask=~0x8000000000000000,deny", WRITE_KGS(KGS_A, ~KGS_A),
	DENIED(.result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, mask_keep_allowed_bits) { .row = {
	.policy = "0xc0000102 allow mask=0xffffffff,keep", WRITE_KGS(KGS_A, KGS_A ^ 0xffff),
	PASSED(.result = KGS_A ^ 0xffff),
} };

FIXTURE_VARIANT_ADD(row, mask_keep_mixed_bits) { .row = {
	.policy = "0xc0000102 allow mask=0xffffffff,keep", WRITE_KGS(KGS_A, ~KGS_A),
	MASKED(.result = KGS_A ^ 0xffffffff, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, mask_keep_forbidden_bit) { .row = {
	.policy = "0xc0000102 allow mask=0xffffffff,keep",
	WRITE_KGS(KGS_A, KGS_A ^ 0x100000000),
	MASKED(.result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

/* mask on a read: hidden bits are 0 */
FIXTURE_VARIANT_ADD(row, hidden_bits) { .row = {
	.policy = "0xc0000102 mask=0xffff0000ffff allow", READ_KGS(KGS_A),
	MASKED(.result = KGS_A & 0xffff0000ffff, .value_shown = true,
	       .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, hidden_upper_half) { .row = {
	.policy = "0xc0000102 mask=0xffffffff allow", READ_KGS(KGS_A),
	MASKED(.result = KGS_A & 0xffffffff, .value_shown = true, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, nothing_to_hide) { .row = {
	.policy = "0xc0000102 mask=0xffff allow", READ_KGS(0x1234),
	PASSED(.result = 0x1234),
} };

FIXTURE_VARIANT_ADD(row, write_beside_hidden_bits) { .row = {
	.policy = "0xc0000102 mask=0 allow", WRITE_KGS(KGS_A, KGS_B),
	UNGUARDED(.result = KGS_B),
} };

/* options */
FIXTURE_VARIANT_ADD(row, audit_deny_write) { .row = {
	.policy = "0xc0000102 allow deny audit", WRITE_KGS(KGS_A, KGS_B),
	AUDITED(DENIED, .result = KGS_B, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, audit_deny_read) { .row = {
	.policy = "0xc0000102 deny allow audit", READ_KGS(KGS_A),
	AUDITED(DENIED, .result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, audit_drop_write) { .row = {
	.policy = "0xc0000102 allow drop audit", WRITE_KGS(KGS_A, KGS_B),
	AUDITED(DROPPED, .result = KGS_B, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, audit_drop_read) { .row = {
	.policy = "0xc0000102 drop allow audit", READ_KGS(KGS_A),
	AUDITED(DROPPED, .result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, audit_mask_deny) { .row = {
	.policy = "0xc0000102 allow mask=0,deny audit", WRITE_KGS(KGS_A, KGS_B),
	AUDITED(DENIED, .result = KGS_B, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, audit_mask_keep) { .row = {
	.policy = "0xc0000102 allow mask=0,keep audit", WRITE_KGS(KGS_A, KGS_B),
	AUDITED(MASKED, .result = KGS_B, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, audit_hidden_bits) { .row = {
	.policy = "0xc0000102 mask=0xff allow audit", READ_KGS(KGS_A),
	AUDITED(MASKED, .result = KGS_A, .value_shown = true, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, quiet_deny_write) { .row = {
	.policy = "0xc0000102 allow deny quiet", WRITE_KGS(KGS_A, KGS_B),
	DENIED(.result = KGS_A, .quiet = true),
} };

FIXTURE_VARIANT_ADD(row, quiet_drop_read) { .row = {
	.policy = "0xc0000102 drop allow quiet", READ_KGS(KGS_A),
	DROPPED(.result = 0, .quiet = true),
} };

FIXTURE_VARIANT_ADD(row, quiet_hidden_bits) { .row = {
	.policy = "0xc0000102 mask=0xff allow quiet", READ_KGS(KGS_A),
	MASKED(.result = KGS_A & 0xff, .quiet = true),
} };

FIXTURE_VARIANT_ADD(row, audit_quiet) { .row = {
	.policy = "0xc0000102 allow deny audit quiet", WRITE_KGS(KGS_A, KGS_B),
	AUDITED(DENIED, .result = KGS_B, .quiet = true),
} };

/* modes */
FIXTURE_VARIANT_ADD(row, mode_audit_deny_write) { .row = {
	.policy = "0xc0000102 allow deny", .mode = "audit", WRITE_KGS(KGS_A, KGS_B),
	AUDITED(DENIED, .result = KGS_B, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, mode_audit_drop_read) { .row = {
	.policy = "0xc0000102 drop allow", .mode = "audit", READ_KGS(KGS_A),
	AUDITED(DROPPED, .result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, mode_audit_hidden_bits) { .row = {
	.policy = "0xc0000102 mask=0xff allow", .mode = "audit", READ_KGS(KGS_A),
	AUDITED(MASKED, .result = KGS_A, .value_shown = true, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, mode_off_deny_write) { .row = {
	.policy = "0xc0000102 allow deny", .mode = "off", WRITE_KGS(KGS_A, KGS_B),
	UNGUARDED(.result = KGS_B),
} };

FIXTURE_VARIANT_ADD(row, mode_off_drop_read) { .row = {
	.policy = "0xc0000102 drop allow", .mode = "off", READ_KGS(KGS_A),
	UNGUARDED(.result = KGS_A),
} };

/* which rule speaks */
FIXTURE_VARIANT_ADD(row, default_deny_write) { .row = {
	.policy = "default deny deny", WRITE_KGS(KGS_A, KGS_B),
	DENIED(.result = KGS_A, .is_default = true),
} };

FIXTURE_VARIANT_ADD(row, default_deny_read) { .row = {
	.policy = "default deny deny", READ_KGS(KGS_A),
	DENIED(.is_default = true),
} };

FIXTURE_VARIANT_ADD(row, default_drop_write) { .row = {
	.policy = "default allow drop", WRITE_KGS(KGS_A, KGS_B),
	DROPPED(.result = KGS_A, .is_default = true),
} };

FIXTURE_VARIANT_ADD(row, default_drop_read) { .row = {
	.policy = "default drop allow", READ_KGS(KGS_A),
	DROPPED(.result = 0, .is_default = true),
} };

FIXTURE_VARIANT_ADD(row, default_deny_but_this) { .row = {
	.policy = "default deny deny\n0xc0000102 allow allow", WRITE_KGS(KGS_A, KGS_B),
	UNGUARDED(.result = KGS_B),
} };

FIXTURE_VARIANT_ADD(row, range_first) { .row = {
	.policy = "0xc0000102-0xc0000104 allow deny", WRITE_KGS(KGS_A, KGS_B),
	DENIED(.result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE, .rule_last = 0xc0000104),
} };

FIXTURE_VARIANT_ADD(row, range_last) { .row = {
	.policy = "0xc0000001-0xc0000102 allow deny", WRITE_KGS(KGS_A, KGS_B),
	DENIED(.result = KGS_A, .rule_first = 0xc0000001, .rule_last = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, range_ends_below) { .row = {
	.policy = "0xc0000001-0xc0000101 deny deny", WRITE_KGS(KGS_A, KGS_B),
	UNGUARDED(.result = KGS_B),
} };

FIXTURE_VARIANT_ADD(row, range_begins_above) { .row = {
	.policy = "0xc0000103-0xc0000104 deny deny", READ_KGS(KGS_A),
	UNGUARDED(.result = KGS_A),
} };

FIXTURE_VARIANT_ADD(row, narrower_range) { .row = {
	.policy = "0xc0000000-0xc0001fff allow drop\n0xc0000102-0xc0000104 deny deny",
	WRITE_KGS(KGS_A, KGS_B),
	DENIED(.result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE, .rule_last = 0xc0000104),
} };

FIXTURE_VARIANT_ADD(row, single_in_range) { .row = {
	.policy = "0xc0000102 allow allow\n0xc0000000-0xc0001fff deny deny",
	WRITE_KGS(KGS_A, KGS_B),
	UNGUARDED(.result = KGS_B),
} };

FIXTURE_VARIANT_ADD(row, single_in_ranges) { .row = {
	.policy = "0-0xffffffff deny deny\n0xc0000000-0xc0001fff deny deny\n0xc0000102 allow drop",
	WRITE_KGS(KGS_A, KGS_B),
	DROPPED(.result = KGS_A, .rule_first = MSR_KERNEL_GS_BASE),
} };

FIXTURE_VARIANT_ADD(row, range_of_all) { .row = {
	.policy = "0-0xffffffff deny deny", READ_KGS(KGS_A),
	DENIED(.rule_first = 0, .rule_last = 0xffffffff),
} };

/* an MSR that KVM always intercepts */
FIXTURE_VARIANT_ADD(row, intercepted_deny_write) { .row = {
	.policy = "0x277 allow deny", .op = OP_WRMSR, .msr = MSR_PAT, .before = PAT_A,
	.value = PAT_B,
	DENIED(.result = PAT_A, .rule_first = MSR_PAT),
} };

FIXTURE_VARIANT_ADD(row, intercepted_deny_read) { .row = {
	.policy = "0x277 deny allow", .op = OP_RDMSR, .msr = MSR_PAT, .before = PAT_A,
	DENIED(.rule_first = MSR_PAT),
} };

FIXTURE_VARIANT_ADD(row, intercepted_drop_write) { .row = {
	.policy = "0x277 allow drop", .op = OP_WRMSR, .msr = MSR_PAT, .before = PAT_A,
	.value = PAT_B,
	DROPPED(.result = PAT_A, .rule_first = MSR_PAT),
} };

FIXTURE_VARIANT_ADD(row, intercepted_mask_keep) { .row = {
	.policy = "0x277 allow mask=0xff,keep", .op = OP_WRMSR, .msr = MSR_PAT, .before = PAT_A,
	.value = PAT_B ^ 0x700,
	MASKED(.result = PAT_B, .rule_first = MSR_PAT),
} };

FIXTURE_VARIANT_ADD(row, intercepted_hidden_bits) { .row = {
	.policy = "0x277 mask=0xff allow", .op = OP_RDMSR, .msr = MSR_PAT, .before = PAT_A,
	MASKED(.result = PAT_A & 0xff, .value_shown = true, .rule_first = MSR_PAT),
} };

FIXTURE_VARIANT_ADD(row, intercepted_allowed) { .row = {
	.policy = "0xc0000102 deny deny", .op = OP_WRMSR, .msr = MSR_PAT, .before = PAT_A,
	.value = PAT_B,
	UNGUARDED(.result = PAT_B),
} };

FIXTURE_VARIANT_ADD(row, intercepted_range) { .row = {
	.policy = "0x200-0x2ff allow deny", .op = OP_WRMSR, .msr = MSR_PAT, .before = PAT_A,
	.value = PAT_B,
	DENIED(.result = PAT_A, .rule_first = 0x200, .rule_last = 0x2ff),
} };

/* no bit in any bitmap */
FIXTURE_VARIANT_ADD(row, outside_allowed) { .row = {
	.policy = "0xc0000102 deny deny", .op = OP_RDMSR, .msr = MSR_UNKNOWN,
	.unknown_to_kvm = true, .vector = VECTOR_GP,
} };

FIXTURE_VARIANT_ADD(row, outside_deny_read) { .row = {
	.policy = "0x12345 deny deny", .op = OP_RDMSR, .msr = MSR_UNKNOWN,
	.unknown_to_kvm = true,
	DENIED(.rule_first = MSR_UNKNOWN),
} };

FIXTURE_VARIANT_ADD(row, outside_deny_write) { .row = {
	.policy = "0x12345 deny deny", .op = OP_WRMSR, .msr = MSR_UNKNOWN,
	.value = 0x1122334455667788, .unknown_to_kvm = true,
	DENIED(.rule_first = MSR_UNKNOWN),
} };

FIXTURE_VARIANT_ADD(row, outside_drop_read) { .row = {
	.policy = "0x12345 drop drop", .op = OP_RDMSR, .msr = MSR_UNKNOWN,
	.unknown_to_kvm = true,
	DROPPED(.result = 0, .rule_first = MSR_UNKNOWN),
} };

FIXTURE_VARIANT_ADD(row, outside_drop_write) { .row = {
	.policy = "0x12345 drop drop", .op = OP_WRMSR, .msr = MSR_UNKNOWN, .value = 1,
	.unknown_to_kvm = true,
	DROPPED(.rule_first = MSR_UNKNOWN),
} };

FIXTURE_VARIANT_ADD(row, outside_hidden_bits) { .row = {
	.policy = "0x12345 mask=0xff allow", .op = OP_RDMSR, .msr = MSR_UNKNOWN,
	.unknown_to_kvm = true,
	DENIED(.rule_first = MSR_UNKNOWN),
} };

FIXTURE_VARIANT_ADD(row, outside_default) { .row = {
	.policy = "default allow drop", .op = OP_WRMSR, .msr = 0xdeadbeef, .value = 2,
	.unknown_to_kvm = true,
	DROPPED(.is_default = true),
} };

FIXTURE_VARIANT_ADD(row, outside_range) { .row = {
	.policy = "0xdead0000-0xdeadffff drop allow", .op = OP_RDMSR, .msr = 0xdeadbeef,
	.unknown_to_kvm = true,
	DROPPED(.rule_first = 0xdead0000, .rule_last = 0xdeadffff),
} };

FIXTURE_VARIANT_ADD(row, highest_index) { .row = {
	.policy = "0xffffffff drop allow", .op = OP_RDMSR, .msr = 0xffffffff,
	.unknown_to_kvm = true,
	DROPPED(.rule_first = 0xffffffff),
} };

FIXTURE_VARIANT_ADD(row, lowest_index) { .row = {
	.policy = "0 drop allow", .op = OP_RDMSR, .msr = 0, .unknown_to_kvm = true,
	DROPPED(.rule_first = 0),
} };

/* paravirtual MSRs: a window of ours, no bit in the hardware's bitmaps */
FIXTURE_VARIANT_ADD(row, clock_allowed) { .row = {
	.policy = "0xc0000102 deny deny", .op = OP_WRMSR, .msr = MSR_KVM_SYSTEM_TIME,
	.before = 0, .value = GPA_SCRATCH | 1,
	UNGUARDED(.result = GPA_SCRATCH | 1),
} };

FIXTURE_VARIANT_ADD(row, clock_deny_write) { .row = {
	.policy = "0x4b564d01 allow deny", .op = OP_WRMSR, .msr = MSR_KVM_SYSTEM_TIME,
	.before = 0, .value = GPA_SCRATCH | 1,
	DENIED(.result = 0, .rule_first = MSR_KVM_SYSTEM_TIME),
} };

FIXTURE_VARIANT_ADD(row, clock_drop_write) { .row = {
	.policy = "0x4b564d00-0x4b564d0f allow drop", .op = OP_WRMSR,
	.msr = MSR_KVM_SYSTEM_TIME, .before = 0, .value = GPA_SCRATCH | 1,
	DROPPED(.result = 0, .rule_first = MSR_KVM_WALL_CLOCK, .rule_last = 0x4b564d0f),
} };

FIXTURE_VARIANT_ADD(row, clock_hidden_bits) { .row = {
	.policy = "0x4b564d01 mask=1 allow", .op = OP_RDMSR, .msr = MSR_KVM_SYSTEM_TIME,
	.before = GPA_SCRATCH | 1,
	MASKED(.result = 1, .value_shown = true, .rule_first = MSR_KVM_SYSTEM_TIME),
} };

FIXTURE_VARIANT_ADD(row, hyperv_window) { .row = {
	.policy = "0x40000000-0x400000ff drop drop", .op = OP_RDMSR, .msr = 0x40000022,
	.unknown_to_kvm = true,
	DROPPED(.rule_first = 0x40000000, .rule_last = 0x400000ff),
} };

FIXTURE_VARIANT_ADD(row, amd_window) { .row = {
	.policy = "0xc0011ffe drop drop", .op = OP_WRMSR, .msr = 0xc0011ffe, .value = 3,
	.unknown_to_kvm = true,
	DROPPED(.rule_first = 0xc0011ffe),
} };

