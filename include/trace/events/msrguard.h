/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM msrguard

#if !defined(_TRACE_MSRGUARD_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_MSRGUARD_H

#include <linux/tracepoint.h>
#include <uapi/linux/msrguard.h>

/**
 * DOC: msrguard:msrguard_access, the contract
 *
 * Fires for guest accesses to an MSR that the policy had something to say about: verdict audited,
 * denied, dropped or masked. An access that passed does not fire, nor does one whose rule is
 * "quiet".
 *
 * The first of accesses that are alike (VM, MSR, direction, pc, verdict, rule and all that is no
 * value in common) fires when the verdict stands and before the guest goes on, in the vCPU's
 * thread. Those that follow within the window (/sys/kernel/msrguard/events/window) fire together
 * when it ends, with their number in count, in a kernel worker's thread. With a window of 0, each
 * access fires by itself. Process context, preemption enabled.
 *
 * An access under way while the tracepoint is switched on may not fire; it takes a sequence
 * number all the same.
 *
 * Fields, in the order printed; those marked (*) print "unknown" when they are not known,
 * which filters tell by the ..._known field, or by the kind or the length 0:
 *
 * vm:         number of the VM; never used again in this boot.
 * pid:        task that created the VM, in the initial PID namespace; common_pid is the thread
 *             in which it fires.
 * vcpu:       the vCPU's id, as the VMM chose it; of several accesses, the first one's.
 * msr:        index of the MSR.
 * dir:        read or write.
 * origin:     exit (RDMSR or WRMSR intercepted), emulator (KVM's instruction emulator),
 *             nested-list (MSR list of a nested VM-entry or VM-exit).
 * value (*):  of a write, what the guest tried to write; always known. Of a read, the MSR's
 *             whole value before any bit was hidden (value_known). Of several accesses, the first
 *             one's.
 * old (*):    of a write, the MSR's value before it (old_known). Never known for a read, and
 *             for several accesses only if the rule has a mask.
 * pc (*):     linear address of the guest's instruction. Not known for guests whose
 *             registers are encrypted (regs_known).
 * cpl (*):    privilege level of the guest at that instruction (regs_known).
 * nested:     1 if a guest of the guest did it; pc and cpl are then that guest's.
 * verdict:    what happened to it.
 * would_be:   what enforcing would have done; equals verdict unless that is audited.
 * rule:       the rule that spoke: its MSR, its range, or "default" (rule_first, rule_last,
 *             rule_default).
 * generation: of the policy that held the rule.
 * seq:        number of the last access, from 1; the event has the "count" numbers that end with
 *             it. The netlink event of the same accesses has the same. Events may appear in
 *             another order than their numbers.
 * count:      how many accesses.
 * image (*):  name of the image at pc, as the image says it (image_len). All that is not
 *             printable ASCII, and space, quotes, backslash and "=", is escaped as \xNN.
 * image_kind (*): pe (Windows, UEFI), linux-kernel, linux-module.
 * image_base (*), image_size (*): where it begins and its size, as it says.
 * checksum (*), timestamp (*): of a PE image's header.
 * build_id (*): GNU build id of a Linux kernel or module (build_id_len).
 *
 * The guest chooses msr, value, old, pc, cpl, nested and all of the image, the VMM chooses vcpu:
 * not to be trusted, and nothing that breaks a line or a key. All other fields are the host's own.
 *
 * Enums are those of include/uapi/linux/msrguard.h, and filters take their numbers:
 * 'msr == 0xc0000082 && verdict == 2' is a denied access to LSTAR.
 *
 * DOC: msrguard:msrguard_lost, the contract
 *
 * Fires at the end of a window for a VM that made more different accesses in it than are told one
 * by one: count is how many were told by nothing but this. They have the "count" numbers that end
 * with seq. A kernel worker's thread.
 */

TRACE_DEFINE_ENUM(MSRGUARD_DIRECTION_READ);
TRACE_DEFINE_ENUM(MSRGUARD_DIRECTION_WRITE);
TRACE_DEFINE_ENUM(MSRGUARD_ORIGIN_EXIT);
TRACE_DEFINE_ENUM(MSRGUARD_ORIGIN_EMULATOR);
TRACE_DEFINE_ENUM(MSRGUARD_ORIGIN_NESTED_LIST);
TRACE_DEFINE_ENUM(MSRGUARD_VERDICT_AUDITED);
TRACE_DEFINE_ENUM(MSRGUARD_VERDICT_DENIED);
TRACE_DEFINE_ENUM(MSRGUARD_VERDICT_DROPPED);
TRACE_DEFINE_ENUM(MSRGUARD_VERDICT_MASKED);

TRACE_DEFINE_ENUM(MSRGUARD_IMAGE_KIND_PE);
TRACE_DEFINE_ENUM(MSRGUARD_IMAGE_KIND_LINUX_KERNEL);
TRACE_DEFINE_ENUM(MSRGUARD_IMAGE_KIND_LINUX_MODULE);

#define mg_show_direction(direction)					\
	__print_symbolic(direction,					\
		{ MSRGUARD_DIRECTION_READ,	"read" },		\
		{ MSRGUARD_DIRECTION_WRITE,	"write" })

#define mg_show_origin(origin)						\
	__print_symbolic(origin,					\
		{ MSRGUARD_ORIGIN_EXIT,		"exit" },		\
		{ MSRGUARD_ORIGIN_EMULATOR,	"emulator" },		\
		{ MSRGUARD_ORIGIN_NESTED_LIST,	"nested-list" })

#define mg_show_verdict(verdict)					\
	__print_symbolic(verdict,					\
		{ MSRGUARD_VERDICT_AUDITED,	"audited" },		\
		{ MSRGUARD_VERDICT_DENIED,	"denied" },		\
		{ MSRGUARD_VERDICT_DROPPED,	"dropped" },		\
		{ MSRGUARD_VERDICT_MASKED,	"masked" })

#define mg_show_image_kind(kind)					\
	__print_symbolic(kind,						\
		{ 0,				"unknown" },		\
		{ MSRGUARD_IMAGE_KIND_PE,	"pe" },			\
		{ MSRGUARD_IMAGE_KIND_LINUX_KERNEL, "linux-kernel" },	\
		{ MSRGUARD_IMAGE_KIND_LINUX_MODULE, "linux-module" })

/*
 * A number as a string, so that it can stand beside "unknown" in one conversion:
 * __print_symbolic() prints what it has no name for as 0x%lx, in the kernel and
 * in libtraceevent alike.
 */
#define mg_show_hex(number)						\
	__print_symbolic(number, { 0, "0x0" })

#define mg_show_cpl(cpl)						\
	__print_symbolic(cpl,						\
		{ 0, "0" }, { 1, "1" }, { 2, "2" }, { 3, "3" })

struct mg_event;

TRACE_EVENT(msrguard_access,

	TP_PROTO(const struct mg_event *event, u64 seq),

	TP_ARGS(event, seq),

	TP_STRUCT__entry(
		__field(u64,	vm)
		__field(u64,	value)
		__field(u64,	old)
		__field(u64,	pc)
		__field(u64,	generation)
		__field(u64,	seq)
		__field(u32,	pid)
		__field(u32,	vcpu)
		__field(u32,	msr)
		__field(u32,	rule_first)
		__field(u32,	rule_last)
		__field(u8,	dir)
		__field(u8,	origin)
		__field(u8,	cpl)
		__field(u8,	verdict)
		__field(u8,	would_be)
		__field(bool,	value_known)
		__field(bool,	old_known)
		__field(bool,	regs_known)
		__field(bool,	nested)
		__field(bool,	rule_default)
		__field(u8,	image_kind)
		__field(u8,	image_len)
		__field(u8,	build_id_len)
		__field(u64,	count)
		__field(u64,	image_base)
		__field(u64,	image_size)
		__field(u32,	checksum)
		__field(u32,	timestamp)
		__array(char,	image, MG_IMAGE_NAME_LEN)
		__array(char,	build_id, 2 * MG_BUILD_ID_MAX + 1)
	),

	TP_fast_assign(
		__entry->vm		= event->vm_id;
		__entry->value_known	= mg_event_value_known(event);
		__entry->value		= __entry->value_known ? event->access->value : 0;
		__entry->old_known	= mg_event_old_known(event);
		__entry->old		= __entry->old_known ? event->access->old : 0;
		__entry->regs_known	= event->regs_known;
		__entry->pc		= event->regs_known ? event->pc : 0;
		__entry->cpl		= event->regs_known ? event->cpl : 0;
		__entry->generation	= event->generation;
		__entry->seq		= seq;
		__entry->pid		= event->vm_pid;
		__entry->vcpu		= event->vcpu;
		__entry->msr		= event->access->index;
		__entry->rule_first	= event->rule->first;
		__entry->rule_last	= event->rule->last;
		__entry->rule_default	= event->rule->is_default;
		__entry->dir		= event->access->dir;
		__entry->origin		= event->origin;
		__entry->verdict	= event->verdict->outcome;
		__entry->would_be	= event->verdict->would_be;
		__entry->nested		= event->nested;
		__entry->count		= event->count;
		__entry->image_kind	= event->image ? event->image->kind : 0;
		__entry->image_base	= event->image ? event->image->base : 0;
		__entry->image_size	= event->image ? event->image->size : 0;
		__entry->checksum	= event->image ? event->image->checksum : 0;
		__entry->timestamp	= event->image ? event->image->timestamp : 0;
		__entry->build_id_len	= event->image ? event->image->build_id_len : 0;
		mg_build_id_text(event->image, __entry->build_id);
		memset(__entry->image, 0, sizeof(__entry->image));
		if (event->image)
			strscpy(__entry->image, event->image->name, sizeof(__entry->image));
		__entry->image_len	= strlen(__entry->image);
	),

	TP_printk("vm=%llu pid=%u vcpu=%u msr=0x%x dir=%s origin=%s value=%s old=%s pc=%s cpl=%s nested=%u verdict=%s would_be=%s rule=%s%s%s generation=%llu seq=%llu count=%llu image=%s image_kind=%s image_base=%s image_size=%s checksum=%s timestamp=%s build_id=%s",
		  __entry->vm, __entry->pid, __entry->vcpu, __entry->msr,
		  mg_show_direction(__entry->dir),
		  mg_show_origin(__entry->origin),
		  __entry->value_known ? mg_show_hex(__entry->value) : "unknown",
		  __entry->old_known ? mg_show_hex(__entry->old) : "unknown",
		  __entry->regs_known ? mg_show_hex(__entry->pc) : "unknown",
		  __entry->regs_known ? mg_show_cpl(__entry->cpl) : "unknown",
		  __entry->nested,
		  mg_show_verdict(__entry->verdict),
		  mg_show_verdict(__entry->would_be),
		  __entry->rule_default ? "default" : mg_show_hex(__entry->rule_first),
		  (__entry->rule_default || __entry->rule_first == __entry->rule_last) ? "" : "-",
		  (__entry->rule_default || __entry->rule_first == __entry->rule_last) ? "" :
			mg_show_hex(__entry->rule_last),
		  __entry->generation, __entry->seq, __entry->count,
		  __entry->image_len ? __entry->image : "unknown",
		  mg_show_image_kind(__entry->image_kind),
		  __entry->image_kind ? mg_show_hex(__entry->image_base) : "unknown",
		  __entry->image_size ? mg_show_hex(__entry->image_size) : "unknown",
		  __entry->image_kind == MSRGUARD_IMAGE_KIND_PE ?
			mg_show_hex(__entry->checksum) : "unknown",
		  __entry->image_kind == MSRGUARD_IMAGE_KIND_PE ?
			mg_show_hex(__entry->timestamp) : "unknown",
		  __entry->build_id_len ? __entry->build_id : "unknown")
);

TRACE_EVENT(msrguard_lost,

	TP_PROTO(u64 vm, u32 pid, u64 count, u64 seq),

	TP_ARGS(vm, pid, count, seq),

	TP_STRUCT__entry(
		__field(u64,	vm)
		__field(u64,	count)
		__field(u64,	seq)
		__field(u32,	pid)
	),

	TP_fast_assign(
		__entry->vm		= vm;
		__entry->count		= count;
		__entry->seq		= seq;
		__entry->pid		= pid;
	),

	TP_printk("vm=%llu pid=%u count=%llu seq=%llu",
		  __entry->vm, __entry->pid, __entry->count, __entry->seq)
);

#endif /* _TRACE_MSRGUARD_H */

/* <trace/events/msrguard.h>, found by -I, is where define_trace.h looks by itself. */
#include <trace/define_trace.h>
