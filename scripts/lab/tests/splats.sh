#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Usage: scripts/lab/tests/splats.sh
#
# What counts as a complaint of a host's kernel (scripts/lab/splats), by logs of a few
# lines. Needs no host. Prints TAP.

set -euo pipefail

LAB=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=selftests/files/tap.sh
. "$LAB/../../selftests/files/tap.sh"

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
RUN=$WORK/run
RC=0

say_more() { say_output; }

# judge TAINT: the log on stdin, with the times that a console has.
judge()
{
	rm -rf "$RUN"
	mkdir "$RUN"
	sed 's/^/[   12.345678] /' >"$RUN/console.log"
	echo "$1" >"$RUN/tainted"
	RC=0
	"$LAB/splats" qemu-tcg "$RUN" >"$WORK/out" 2>"$WORK/err" || RC=$?
}

# passes [TAINT], complains TEXT [TAINT]: the log on stdin; TEXT is what is to be printed.
passes()
{
	judge "${1:-4096}"
	[[ $RC == 0 && ! -s $WORK/out && ! -s $WORK/err ]]
}

complains()
{
	judge "${2:-4096}"
	[[ $RC == 1 && ! -s $WORK/err ]] && grep -qF -- "$1" "$WORK/out"
}

# race FRAME... -- FRAME...: a report of KCSAN with two stacks, innermost function first.
race()
{
	local rule='==================================================================' frame
	printf '%s\nBUG: KCSAN: data-race in one / other\n\n' "$rule"
	printf 'write to 0xffff888100219cf8 of 8 bytes by task 7 on cpu 0:\n'
	for frame; do
		if [[ $frame == -- ]]; then
			printf '\nread to 0xffff888100219cf8 of 8 bytes by task 8 on cpu 1:\n'
			continue
		fi
		if [[ $frame == *" "* ]]; then
			printf ' %s+0x12/0x340 [%s]\n' "${frame% *}" "${frame#* }"
		else
			printf ' %s+0x12/0x340\n' "$frame"
		fi
	done
	printf '\nvalue changed: 0x0000000000000062 -> 0x0000000000000063\n\n'
	printf 'Reported by Kernel Concurrency Sanitizer on:\n'
	printf 'Workqueue: msrguard tell_work [msrguard]\n%s\n' "$rule"
}

no_log()
{
	rm -f "$RUN/console.log"
	RC=0
	"$LAB/splats" qemu-tcg "$RUN" >"$WORK/out" 2>"$WORK/err" || RC=$?
	[[ $RC == 1 ]] && grep -q 'no console.log' "$WORK/out"
}

ok "a log in which nothing is wrong" passes <<'END'
Linux version 6.12.0
msrguard: loaded
kvm: SMP vm created on host with unstable TSC
END

while IFS= read -r line; do
	ok "counts: $line" complains "$line" <<<"$line"
done <<'END'
BUG: kernel NULL pointer dereference, address: 0000000000000000
WARNING: CPU: 0 PID: 1 at kernel/softirq.c:1 f+0x1/0x2
WARNING: possible circular locking dependency detected
WARNING: suspicious RCU usage
BUG: KASAN: slab-use-after-free in f+0x1/0x2
BUG: sleeping function called from invalid context at mm/slab.h:1
Oops: general protection fault, probably for non-canonical address 0x1
rcu: INFO: rcu_preempt self-detected stall on CPU
INFO: task insmod:77 blocked for more than 120 seconds.
watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [insmod:77]
kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
unchecked MSR access error: RDMSR from 0x10 at rIP: 0x1 (f+0x1/0x2)
msrguard: Unknown symbol f (err -2)
END

KNOWN=$(grep -v '^#' "$LAB/known-splats/qemu-tcg" | grep -m 1 .)
ok "what is known passes by its exact text" passes <<<"$KNOWN"
ok "and not by a part of it" complains "${KNOWN%?}" <<<"${KNOWN%?}"
ok "a whole report is excused by the known text in it" passes <<END
------------[ cut here ]------------
$KNOWN
Modules linked in: kvm
---[ end trace 0000000000000000 ]---
END
ok "and does not excuse the next" complains "WARNING: CPU: 1" <<END
------------[ cut here ]------------
$KNOWN
---[ end trace 0000000000000000 ]---
------------[ cut here ]------------
WARNING: CPU: 1 PID: 1 at f+0x1/0x2
---[ end trace 0000000000000000 ]---
END
ok "the taint of a warning, should no log tell of it" complains "tainted: 512" 512 <<<"all is well"
ok "a host without a log" no_log

ok "a race of the kernel with itself" passes < <(race f g -- h i)
ok "a race of ours" complains "data-race in one" < <(race 'f msrguard' g -- h)
ok "in what we have called" complains "data-race in one" < <(race f 'g msrguard' h -- i)
ok "in the other stack" complains "data-race in one" < <(race f -- g 'h msrguard')
ok "of the modules of the tests" complains "data-race in one" < <(race 'f msrguard_seeded' -- g)
ok "with us interrupted" passes < <(race f asm_sysvec_apic_timer_interrupt 'g msrguard' -- h)
ok "with us preempted" passes < <(race kvm_sched_in __schedule 'g msrguard' -- h)
ok "with a stack of ours walked along" passes < <(race f arch_stack_walk 'g msrguard' -- h)
ok "in an interrupt's handler of ours" complains "data-race in one" \
	< <(race 'f msrguard' asm_sysvec_apic_timer_interrupt g -- h)
ok "interrupted here, and ours there" complains "data-race in one" \
	< <(race f asm_sysvec_apic_timer_interrupt 'g msrguard' -- 'h msrguard')
HOOK=('mg_exit_write msrguard' 'mg_tramp_exit_write msrguard')
ok "with KVM's function going on through our hook of it" passes \
	< <(race 'f kvm' 'g kvm' "${HOOK[@]}" 'g kvm' 'h kvm_amd' -- i)
ok "twice in a stack" passes \
	< <(race f 'g kvm' "${HOOK[@]}" 'g kvm' 'h kvm' "${HOOK[@]}" 'h kvm' -- i 'g kvm' "${HOOK[@]}" 'g kvm')
ok "with the hook calling another function" complains "data-race in one" \
	< <(race 'f kvm' 'other kvm' "${HOOK[@]}" 'g kvm' -- i)
ok "in the hook" complains "data-race in one" < <(race "${HOOK[@]}" 'g kvm' -- i)
ok "with a function of that name elsewhere in the stack" complains "data-race in one" \
	< <(race 'g kvm' 'f kvm' "${HOOK[@]}" 'h kvm' 'g kvm' -- i)
ok "with another hook's caller below" complains "data-race in one" \
	< <(race f 'g kvm' "${HOOK[@]}" 'g kvm' 'h msrguard' 'i kvm' -- j)
ok "with a stack that ends in the hook" complains "data-race in one" \
	< <(race 'f kvm' 'g kvm' "${HOOK[@]}" -- i)
ok "and with the last that ends there" complains "data-race in one" \
	< <(race i -- 'f kvm' 'g kvm' "${HOOK[@]}")
ok "a report of a race that breaks off" complains "data-race in one" \
	< <(race 'f msrguard' -- g | head -n 3)
end_tests
