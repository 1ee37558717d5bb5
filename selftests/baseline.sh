#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftests/baseline.sh, as root in a host with KVM and one CPU
#
# Real guests under the baseline policy and nothing else: Debian's kernels under QEMU, by the
# short way and through SeaBIOS, iPXE and GRUB, and memtest86+. Each has to come up, do its
# work and power off, without a complaint in its log; what is denied to it has to be on the
# list; and what its root tries on dangerous MSRs has to fail, and to be reported. Then such a guest
# is learned from, and boots under what is proposed without a denial. Prints TAP.
#
#   MSRGUARD_KO       the module
#   MSRGUARD_GUESTS   kernels, or "all": these with every CPU and number of CPUs (make
#                     test-guests); under Bochs, which is slow, what it carries; "learn": only
#                     the guest that is learned from
#   baseline-guests/  beside this program: guest.sh, and of each kernel guest-KERNEL-vmlinux
#                     and guest-KERNEL-initrd; tftp/ and disk; memtest86+.bin (scripts/lab/stage
#                     puts them there)

set -euo pipefail

# shellcheck source=selftests/files/tap.sh
. "$(dirname "$0")/files/tap.sh"

need_root
KO=${MSRGUARD_KO:?set it to the msrguard.ko to test}
need_programs msrguard python3 qemu-system-x86_64
HERE=$(cd "$(dirname "$0")" && pwd)
PARTS=$HERE/baseline-guests
[[ -d $PARTS ]] || die "$PARTS is missing: scripts/lab/stage puts it there"
POLICIES=$(cd "$HERE/../policies" && pwd)
VENDOR=${LAB_VENDOR:?set it to the vendor of the CPU, amd or intel}
MEMTEST=$PARTS/memtest86+.bin
SYS=/sys/kernel/msrguard
WORK=$(mktemp -d)
# QEMU's own messages go to the working directory.
cd "$WORK"
# shellcheck source=scripts/lab/guest.sh
. "$PARTS/guest.sh"
[[ ${LAB_EMULATOR:-} == qemu-tcg ]] || GUEST_CPU_LESS=

SAID=
WATCH=
GUEST_VMM=

cleanup()
{
	local pid
	for pid in $WATCH $GUEST_VMM; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	wait
	[[ ! -d /sys/module/msrguard ]] || rmmod msrguard || true
	cd /
	rm -rf "$WORK"
}
trap cleanup EXIT

# What there is to say of a failure is in SAID.
say_more() { head -n 40 <<<"$SAID" | sed 's/^/# /'; }

empty() { [[ ! $SAID ]]; }

start_watch()
{
	local try
	msrguard watch --json >watch.out 2>watch.err &
	WATCH=$!
	for ((try = 0; try < 300; try++)); do
		! grep -q '^listening' watch.err || return 0
		kill -0 "$WATCH" || break
		sleep 0.2
	done
	die "no listener: $(<watch.err)"
}

stop_watch()
{
	kill -INT "$WATCH"
	wait "$WATCH" || true
	WATCH=
	SAID=$(tail -n 1 watch.out)
	ok "no event was lost" python3 -c 'import json, sys; sys.exit(int(json.loads(sys.argv[1])["lost"], 0))' "$SAID"
}

# settle: until watch has written what there is.
settle()
{
	local size=-1 try
	for ((try = 0; try < 50; try++)); do
		[[ $(stat -c %s watch.out) != "$size" ]] || return 0
		size=$(stat -c %s watch.out)
		sleep 0.5
	done
}

# events FROM PYTHON: what it makes of the events, a list e, from that byte of watch's output.
events()
{
	settle
	tail -c "+$(($1 + 1))" watch.out | python3 -c 'import json, sys
e = [o for o in map(json.loads, sys.stdin) if o["type"] == "access"]
exec(sys.argv[1])' "$2"
}

# unlisted FROM: sets SAID to the kinds of events that are not on the list.
unlisted()
{
	SAID=$(events "$1" 'print(*sorted({"0x%x %s %s" % (int(o["msr"], 0), o["dir"], o["verdict"]) for o in e}), sep="\n")' |
		grep -vxF "$(awk -v v="$VENDOR" '$1 == v || $1 == "any" { print $2, $3, $4 }' "$HERE/files/baseline-denials")" || true)
	empty
}

COMPLAINTS='unchecked MSR access|Broken PMU|general protection|Oops|BUG:'

# SAID is what the guest's kernel said of MSRs that should work.
complaints()
{
	SAID=$(guest "dmesg | grep -E '$COMPLAINTS'" || true)
	empty
}

# Processes that come and go, computation, and files.
# shellcheck disable=SC2016 # for the guest's shell
WORK_LINE='i=0; while [ $i -lt 20 ]; do (echo $i | sha256sum >/tmp/$i) & i=$((i + 1)); done; wait;
	ls /tmp | wc -l; dd if=/dev/zero bs=64k count=16 2>/dev/null | sha256sum | cut -c 1-8;
	grep -c ^processor /proc/cpuinfo; dmesg | grep -c "Linux version"'
WORK_LINE=${WORK_LINE//$'\n'/}

works()
{
	SAID=$(guest "$WORK_LINE" 2>&1 | xargs)
	[[ $SAID == "20 30e14955 $1 1" ]]
}

# Every module for a CPU is tried, whether it is this one's or not.
# shellcheck disable=SC2016 # for the guest's shell
MODULES_LINE='for m in $(sed -n "s|.*/\([^/]*\)\.ko:.*|\1|p" /lib/modules/*/modules.dep); do
	modprobe $m 2>/dev/null; done; lsmod | tail -n +2 | wc -l'
MODULES_LINE=${MODULES_LINE//$'\n'/}

# attempts: root in the guest on the dangerous MSRs, each once.
attempts()
{
	local from line='' tries=0 name vendor msr access value
	local -a expected=()
	from=$(stat -c %s watch.out)
	SAID=
	while read -r vendor msr access value name; do
		[[ $vendor == "$VENDOR" || $vendor == any ]] || continue
		expected+=("$msr $access denied $name 1")
		case $access in
		read) line+="rdmsr $msr 2>/dev/null && echo reads $msr;" ;;
		write) line+="wrmsr $msr $value 2>/dev/null && echo writes $msr;" ;;
		esac
		tries=$((tries + 1))
		# A line to the guest has an end, at 4096 bytes.
		if ((tries % 10 == 0)); then
			SAID+=$(guest "$line true")
			line=
		fi
	done < <(grep -v '^#' "$HERE/files/baseline-dangerous")
	SAID+=$(guest "$line true")
	ok "root's $tries attempts on dangerous MSRs all fail" empty
	ok "there are 40 of them" test "$tries" -ge 40
	SAID=$(diff <(printf '%s\n' "${expected[@]}") <(events "$from" \
		'for o in e: print(o["msr"], o["dir"], o["verdict"], o["name"], int(o["count"], 0))')) || true
	ok "each leaves one event, with the name of its MSR" empty
}

# ends: the guest powers off by itself.
ends()
{
	local guard
	{ sleep 120 && kill -KILL "$GUEST_VMM"; } 2>/dev/null &
	guard=$!
	SAID="killed after two minutes"
	if guest_stop; then
		end_jobs "$guard"
		GUEST_VMM=
		return 0
	fi
	GUEST_VMM=
	return 1
}

use_kernel()
{
	ln -sf "$PARTS/guest-$1-vmlinux" guest-vmlinux
	ln -sf "$PARTS/guest-$1-initrd" guest-initrd
}

HV=hv-relaxed,hv-vapic,hv-time,hv-synic,hv-stimer,hv-stimer-direct,hv-vpindex,hv-runtime,hv-frequencies
HV+=,hv-reset,hv-crash,hv-tlbflush,hv-ipi,hv-reenlightenment,hv-spinlocks=0x1fff

# one_guest NAME CPUS HOW QEMU-ARGUMENT...: HOW is guest_start or guest_boot. What else to try is
# named by EXTRA, and by LAST once the events are judged.
EXTRA=
LAST=
PROFILE=baseline
# A busy machine may take long, but no longer than the program may.
GUEST_TIMEOUT=300
[[ ! ${MSRGUARD_GUESTS:-} ]] || GUEST_TIMEOUT=1000
one_guest()
{
	local name=$1 cpus=$2 how=$3 from begin=$SECONDS extra
	shift 3
	echo "# $name"
	from=$(stat -c %s watch.out)
	if ! "$how" -smp "$cpus" "$@" >start.log; then
		SAID=$(tail -n 20 start.log; printf '%s' "${GUEST_ANSWER:-}" | tail -n 20)
		ok "$name: comes to userspace" false
		kill -KILL "$GUEST_VMM" 2>/dev/null || true
		wait "$GUEST_VMM" 2>/dev/null || true
		GUEST_VMM=
		return
	fi
	ok "$name: comes to userspace" true
	echo "# $GUEST_NAME, $((SECONDS - begin)) s"
	# What its kernel says is read from its log, not between the answers.
	guest 'dmesg -n 1' >/dev/null
	ok "$name: does its work" works "$cpus"
	for extra in $EXTRA; do
		"$extra" "$name"
	done
	ok "$name: its kernel has no complaint of an MSR" complaints
	[[ $PROFILE != baseline ]] ||
		ok "$name: is denied nothing but what is listed" unlisted "$from"
	for extra in $LAST; do
		"$extra"
	done
	ok "$name: powers off" ends
	echo "# $name took $((SECONDS - begin)) s"
}

modules()
{
	SAID=$(guest "$MODULES_LINE")
	ok "$1: loads modules of its CPU, $SAID of them" test "$SAID" -gt 0
}

booted_by_grub()
{
	SAID=$(guest 'cat /proc/cmdline')
	ok "$1: was loaded by GRUB" test "${SAID#*BOOT_IMAGE=(hd0)/vmlinuz}" != "$SAID"
}

# memtest86+ says what it does on the serial line. It has no handler for faults.
memtest()
{
	local from begin=$SECONDS
	from=$(stat -c %s watch.out)
	timeout 150 qemu-system-x86_64 -accel kvm -cpu "host$GUEST_CPU_LESS" -m 64 -machine pc -nodefaults \
		-no-user-config -display none -no-reboot -kernel "$MEMTEST" \
		-append "console=ttyS0,115200" -serial file:memtest.out 2>guest-qemu.log &
	GUEST_VMM=$!
	until grep -aqE '#[1-9]' memtest.out 2>/dev/null || ! kill -0 "$GUEST_VMM" 2>/dev/null; do
		sleep 1
	done
	SAID=$(tr -c '[:print:]' ' ' <memtest.out | tail -c 2000; cat guest-qemu.log)
	ok "memtest86+: runs its first test" grep -aqE '#[1-9]' memtest.out
	ok "memtest86+: found no error, and no fault" test "${SAID/[Uu]nexpected/}" == "$SAID"
	kill "$GUEST_VMM" 2>/dev/null || true
	wait "$GUEST_VMM" || true
	GUEST_VMM=
	ok "memtest86+: is denied nothing but what is listed" unlisted "$from"
	echo "# memtest86+ took $((SECONDS - begin)) s"
}

network_boot()
{
	EXTRA=booted_by_grub one_guest "6.12, SeaBIOS, iPXE and GRUB, Hyper-V" 1 guest_boot \
		-cpu "host$GUEST_CPU_LESS,$HV" -m 256 \
		-netdev "user,id=net,tftp=$PARTS/tftp,bootfile=grub.pxe" \
		-device e1000,netdev=net,bootindex=0,romfile=pxe-e1000.rom \
		-drive "file=$PARTS/disk,if=virtio,format=raw,readonly=on"
}

few_guests()
{
	use_kernel 6.12
	EXTRA=modules LAST=attempts one_guest "6.12, host" 1 guest_start -cpu "host,-svm$GUEST_CPU_LESS"
	use_kernel 6.1
	one_guest "6.1, host, 2 CPUs" 2 guest_start -cpu "host$GUEST_CPU_LESS"
	use_kernel 7.3
	# With the guest's own mitigations.
	GUEST_APPEND=${GUEST_APPEND/mitigations=off/} one_guest "7.3, max, Hyper-V" 1 guest_start \
		-cpu "max$GUEST_CPU_LESS,$HV"
}

all_guests()
{
	local kernel cpus cpu name kernels="6.1 6.12 7.3"
	[[ $MSRGUARD_GUESTS == all ]] || kernels=$MSRGUARD_GUESTS
	for kernel in $kernels; do
		use_kernel "$kernel"
		for cpus in 1 2; do
			for cpu in host max "host,$HV"; do
				name="$kernel, ${cpu/,*/, Hyper-V}, $cpus CPU(s)"
				one_guest "$name" "$cpus" guest_start -cpu "$cpu$GUEST_CPU_LESS"
			done
			# With the guest's own mitigations.
			GUEST_APPEND=${GUEST_APPEND/mitigations=off/} one_guest "$kernel, mitigations, $cpus CPU(s)" \
				"$cpus" guest_start -cpu "host$GUEST_CPU_LESS"
		done
		EXTRA=modules one_guest "$kernel, host without SVM, modules" 1 guest_start \
			-cpu "host,-svm$GUEST_CPU_LESS"
	done
}

# try_dangers: as attempts, but whatever comes of it: nothing is blocked now.
try_dangers()
{
	local line vendor msr access value name
	while read -r vendor msr access value name; do
		[[ $vendor == "$VENDOR" || $vendor == any ]] || continue
		# Of these the guest's interrupts and its clock would die; and KVM refuses bits of EFER.
		[[ $name != @(MSR_IA32_APICBASE|MSR_IA32_TSC|MSR_EFER) ]] || continue
		case $access in
		read) line="rdmsr $msr" ;;
		write) line="wrmsr $msr $value" ;;
		esac
		SAID=$(guest "$line 2>/dev/null; true")
	done < <(grep -v '^#' "$HERE/files/baseline-dangerous")
}

# What is masked is left undone without a fault: SeaBIOS's VMX.
no_denial()
{
	SAID=$(events "$FROM" 'for o in e: o["verdict"] == "masked" or print(o["msr"], o["name"], o["dir"], o["verdict"], o.get("value"), o.get("old"))')
	empty
}

# What learn proposes for a guest is enough for this guest's next boot, and is nothing dangerous,
# though its root tried that too. It has a random layout, as guests have.
learned_guest()
{
	local cpu=$1 learn try
	use_kernel 6.12
	msrguard learn -o learned.policy >learn.out 2>learn.err </dev/null &
	learn=$!
	for ((try = 0; try < 300; try++)); do
		! grep -q '^learning' learn.err || break
		kill -0 "$learn" 2>/dev/null || die "learn does not begin: $(<learn.err)"
		sleep 0.2
	done
	PROFILE=learning
	GUEST_APPEND=${GUEST_APPEND/nokaslr/} LAST=try_dangers one_guest "learn: 6.12" 1 guest_start -cpu "$cpu"
	kill -INT "$learn"
	SAID=0
	wait "$learn" || SAID="exit status $?"
	SAID+=$'\n'$(<learn.err)
	ok "learn: has a proposal" test "${SAID%%$'\n'*}" = 0
	echo "# $(tail -n 1 learn.err)"
	sed 's/^/# /' learned.policy
	SAID=$(msrguard check --json learned.policy) || true
	ok "learn: proposes nothing dangerous" \
		python3 -c 'import json, sys
f = json.loads(sys.argv[1])["files"][0]["findings"]
sys.exit(any(x["severity"] == "error" or x["id"] == "dangerous" for x in f))' "$SAID"
	SAID=$(msrguard load learned.policy 2>&1) || die "the proposal cannot be loaded: $SAID"
	start_watch
	FROM=0
	PROFILE=learned
	GUEST_APPEND=${GUEST_APPEND/nokaslr/} LAST="learned_enough attempts" one_guest "learned: 6.12" 1 \
		guest_start -cpu "$cpu"
	stop_watch
}

learned_enough() { ok "learned: its next boot is denied nothing" no_denial; }

use_profile()
{
	PROFILE=$1
	SAID=$(msrguard load "$POLICIES/$1.policy" 2>&1) || die "$1 cannot be loaded: $SAID"
}

# Strict takes what the guest is not shown; with hosting it may have a hypervisor of its own.
other_profiles()
{
	use_kernel 6.12
	use_profile strict
	# Without a PMU, counters that KVM answers with 0 are broken as well.
	COMPLAINTS=${COMPLAINTS/Broken PMU|/} one_guest "strict: 6.12, host without SVM and PMU" 1 \
		guest_start -cpu "host,-svm,pmu=off$GUEST_CPU_LESS"
	use_profile hosting
	EXTRA="modules nesting" one_guest "hosting: 6.12, host" 1 guest_start -cpu "host$GUEST_CPU_LESS"
	use_profile baseline
}

# EFER.SVME: from 6.12 on, kvm_amd turns it on when it is loaded.
nesting()
{
	SAID=$(guest 'rdmsr -0 0xc0000080')
	ok "$1: has turned SVM on" test $((0x$SAID & 0x1000)) != 0
}

guests_under_bochs()
{
	use_kernel 6.12
	EXTRA=modules LAST=attempts one_guest "6.12, host" 1 guest_start -cpu host
	use_kernel 6.1
	one_guest "6.1, host" 1 guest_start -cpu host
	use_kernel 7.3
	one_guest "7.3, host, Hyper-V" 1 guest_start -cpu "host,$HV"
}

insmod "$KO" || die "the module cannot be loaded: $(dmesg | grep msrguard | tail -n 1)"
use_profile baseline
start_watch
SAID=$(<watch.err)
ok "the baseline is in force" grep -q 'mode enforce' watch.err

if [[ ${MSRGUARD_GUESTS:-} == learn ]]; then
	echo "# only learn"
elif [[ ${LAB_EMULATOR:-} == bochs ]]; then
	guests_under_bochs
elif [[ ${MSRGUARD_GUESTS:-} ]]; then
	all_guests
	other_profiles
else
	few_guests
fi
if [[ ${MSRGUARD_GUESTS:-} != learn ]]; then
	network_boot
	memtest
fi
stop_watch
# What learn listens to is too much for a second listener.
if [[ ${LAB_EMULATOR:-} == bochs ]]; then
	learned_guest host
else
	learned_guest "host,-svm$GUEST_CPU_LESS"
fi
SAID=$(<"$SYS/vms/list")
ok "no VM is left in the list" test "$(grep -vc '^#' "$SYS/vms/list")" = 0
end_tests
