#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftests/linux_guest.sh, as root in a host with KVM and one CPU
#
# A real guest, Debian's kernel under QEMU, held by a policy from its boot on: what its
# root may do and what not, a rule that changes under it, what the host is told (its kernel
# and a module in it by their build ids), and the module going and coming back. Prints TAP. (In an emulated host with two CPUs such a guest
# stalls, with and without msrguard.)
#
#   MSRGUARD_KO   the module
#   linux-guest/  beside this program: guest.sh, guest-vmlinux, guest-initrd, mg_guest.ko

set -euo pipefail

# shellcheck source=selftests/files/tap.sh
. "$(dirname "$0")/files/tap.sh"

need_root
KO=${MSRGUARD_KO:?set it to the msrguard.ko to test}
need_programs msrguard trace-cmd python3 qemu-system-x86_64 readelf
PARTS=$(cd "$(dirname "$0")" && pwd)/linux-guest
[[ -f $PARTS/guest-vmlinux ]] || die "$PARTS/guest-vmlinux is missing: scripts/lab/stage puts it there"
SYS=/sys/kernel/msrguard
WORK=$(mktemp -d)
# QEMU's own messages go to the working directory.
cd "$WORK"
ln -s "$PARTS"/guest-* .
# shellcheck source=scripts/lab/guest.sh
. "$PARTS/guest.sh"

WATCH=
RECORDER=
GUEST_VMM=

cleanup()
{
	local pid
	touch stop
	for pid in $WATCH $RECORDER $GUEST_VMM; do
		kill "$pid" 2>/dev/null || true
	done
	wait
	[[ ! -d /sys/module/msrguard ]] || rmmod msrguard || true
	cd /
	rm -rf "$WORK"
}
trap cleanup EXIT

say_more() { echo "# the guest said: $OUT"; }

# in_guest LINE: runs it in the guest; sets OUT and RC.
OUT=
RC=0
in_guest()
{
	RC=0
	OUT=$(guest "$*" 2>&1) || RC=$?
	[[ $RC != 125 ]] || die "$OUT"
}

equal() { [[ $1 == "$2" ]]; }
hex() { printf '0x%x' "$1"; }
# gets MSR VALUE: a read in the guest gives that.
gets()
{
	in_guest "rdmsr -0 $1"
	[[ $RC == 0 && $((0x$OUT)) == $(($2)) ]]
}
may() { in_guest "$*"; [[ $RC == 0 ]]; }
may_not() { in_guest "$*"; [[ $RC != 0 ]]; }
# column NAME: of the guest's line in vms/list.
column()
{
	awk -v pid="$GUEST_VMM" -v name="$1" '
		/^#/ { sub(/^# */, ""); for (i = 1; i <= NF; i++) at[$i] = i; next }
		$at["pid"] == pid { print $at[name]; n++ }
		END { exit n != 1 }' "$SYS/vms/list"
}
# json EXPRESSION: of the events that watch has printed, called d, and its summary, called s.
json()
{
	python3 -c 'import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
d = [o for o in lines if o["type"] == "access"]
s = [o for o in lines if o["type"] == "summary"]
sys.exit(not eval(sys.argv[2]))' watch.out "$1"
}

# build_id FILE: as readelf prints it.
build_id()
{
	local id
	id=$(readelf -n "$1" 2>/dev/null | sed -n 's/^ *Build ID: *//p')
	[[ $id =~ ^[0-9a-f]{40}$ ]] || die "readelf finds no build id in $1: $id"
	printf '%s\n' "$id"
}
# traced LINE KEY: what the trace says, of the LINE-th access.
traced()
{
	grep 'msrguard_access:' trace.txt | sed -n "$1p" | grep -o " $2=[^ ]*" | cut -d= -f2
}
# named FROM TO IMAGE: these accesses are by that image: name, kind, base and build id.
named()
{
	local line said
	for ((line = $1; line <= $2; line++)); do
		said="$(traced "$line" image) $(traced "$line" image_kind) $(traced "$line" image_base) $(traced "$line" build_id)"
		[[ $said == "$3" ]] || { OUT="of access $line the trace says: $said"; return 1; }
	done
}

cat >policy <<'END'
default		allow		allow
# patch level, low byte hidden
0x8b		mask=~0xff	deny
0x11e		drop		deny
0x1a0		allow		mask=0x400000000,deny
0xc0000080	allow		mask=~0x1000,deny
0xc0000083	allow		mask=0xffff,keep
0xc0010020	deny		deny
END

insmod "$KO" || die "the module cannot be loaded: $(dmesg | grep msrguard | tail -n 1)"
msrguard load policy >/dev/null
begin=$SECONDS
guest_start -name guest || die "the guest did not start: $GUEST_ANSWER"
echo "# $GUEST_NAME started in $((SECONDS - begin)) s, VMM pid $GUEST_VMM"
ok "a Debian guest boots under the policy" equal "${GUEST_NAME%% *}" Linux
ok "the host knows it by its VMM's pid" equal "$(column vcpus)" 1

msrguard watch --json >watch.out 2>watch.err &
WATCH=$!
trace-cmd record -q -e msrguard:msrguard_access -o trace.dat \
	sh -c 'until [ -e stop ]; do sleep 0.2; done' >trace-cmd.log 2>&1 &
RECORDER=$!
for ((try = 0; try < 300; try++)); do
	! grep -q '^listening' watch.err ||
		[[ $(cat /sys/kernel/tracing/events/msrguard/msrguard_access/enable) != 1* ]] || break
	if ! kill -0 "$WATCH" || ! kill -0 "$RECORDER"; then
		die "no listener: $(cat watch.err trace-cmd.log)"
	fi
	sleep 0.2
done

denied=$(column denied)
masked=$(column masked)
dropped=$(column dropped)

ok "an MSR without a rule can be read" may rdmsr 0x10
ok "a denied write fails" may_not wrmsr 0xc0010020 0x1000
ok "a denied read fails" may_not rdmsr 0xc0010020
in_guest rdmsr -0 0x1a0
misc=0x$OUT
ok "bit 34 of MISC_ENABLE may change" may wrmsr 0x1a0 "$(hex $((misc ^ 1 << 34)))"
ok "and has changed" gets 0x1a0 $((misc ^ 1 << 34))
ok "bit 22 may not" may_not wrmsr 0x1a0 "$(hex $((misc ^ 1 << 22)))"
ok "and has not" gets 0x1a0 $((misc ^ 1 << 34))
in_guest rdmsr -0 0xc0000080
efer=0x$OUT
ok "SVM cannot be enabled" may_not wrmsr 0xc0000080 "$(hex $((efer | 0x1000)))"
in_guest rdmsr -0 0xc0000083
cstar=0x$OUT
ok "a write that keeps bits succeeds" may wrmsr 0xc0000083 "$(hex $((cstar ^ 0xf00ff)))"
ok "and has kept them" gets 0xc0000083 $((cstar ^ 0xff))
ok "bits are hidden" may rdmsr -0 0x8b
level=0x$OUT
ok "of the patch level" equal $((level & 0xff)) 0
ok "a dropped read gives 0" gets 0x11e 0

msrguard add 0xc0000102 allow deny >/dev/null
in_guest rdmsr -0 0xc0000102
gs=0x$OUT
ok "a rule for a running guest holds at once" may_not wrmsr 0xc0000102 "$gs"
msrguard del 0xc0000102 >/dev/null
ok "and is gone at once" may wrmsr 0xc0000102 "$gs"
msrguard mode audit >/dev/null
ok "in audit nothing is blocked" may wrmsr 0xc0000083 "$(hex $((cstar ^ 0xf0000)))"
ok "nor kept" gets 0xc0000083 $((cstar ^ 0xf0000))
msrguard mode enforce >/dev/null
ok "in enforce it is again" may_not wrmsr 0xc0010020 0x1000
ok "a module is loaded in the guest" may insmod /mg_guest.ko
ok "its denied write fails, too" may_not 'echo c0010020 1000 >/sys/module/mg_guest/parameters/wrmsr'
in_guest "awk '\$1 == \"mg_guest\" { print \$6 }' /proc/modules"
module_base=$(hex "$OUT")
in_guest "awk '\$3 == \"_text\" { print \"0x\" \$1 }' /proc/kallsyms"
kernel_base=$(hex "$OUT")

ok "the host has counted the denials" equal $(($(column denied) - denied)) 7
ok "and the masked accesses" equal $(($(column masked) - masked)) 2
ok "and the dropped ones" equal $(($(column dropped) - dropped)) 1
ok "and the audited ones" equal "$(column audited)" 1
ok "status shows the guest" grep -Eq "\b$GUEST_VMM\b" <(msrguard status)

for ((try = 0; try < 50; try++)); do
	! json 'len(d) >= 11' || break
	sleep 0.2
done
kill -INT "$WATCH"
wait "$WATCH" || true
WATCH=
touch stop
wait "$RECORDER" || true
RECORDER=
trace-cmd report -q -i trace.dat >trace.txt 2>>trace-cmd.log
ok "watch has seen each of them" json 'len(d) == 11'
ok "none was lost" json '[int(o["lost"], 0) for o in s] == [0]'
ok "they are this guest's" json "all(int(str(o['pid']), 0) == $GUEST_VMM and int(str(o['vcpu']), 0) == 0 for o in d)"
ok "from the guest's kernel" json 'all(int(o["pc"], 0) >= 0xffffffff80000000 and o["cpl"] == 0 for o in d)'
ok "verdict by verdict" json '[o["verdict"] for o in d] == ["denied"] * 4 + ["masked"] * 2 + ["dropped", "denied", "audited"] + ["denied"] * 2'
ok "MSR by MSR" json '[int(o["msr"], 0) for o in d] == [0xc0010020] * 2 + [0x1a0, 0xc0000080, 0xc0000083, 0x8b, 0x11e, 0xc0000102, 0xc0000083] + [0xc0010020] * 2'
ok "with what the guest wrote and what was there" json "[(int(o['value'], 0), int(o['old'], 0)) for o in d if o['msr'] == '0x1a0'] == [($((misc ^ 1 << 22)), $((misc ^ 1 << 34)))]"
ok "trace-cmd has seen as many" equal "$(grep -c 'msrguard_access:' trace.txt)" 11
ok "of the same kind" equal "$(grep -o 'verdict=[a-z]*' trace.txt | tr '\n' ' ')" \
	"$(python3 -c 'import json; print("".join("verdict=%s " % o["verdict"] for o in map(json.loads, open("watch.out")) if o["type"] == "access"), end="")')"
ok "the guest's kernel is named, with its build id" named 1 10 \
	"vmlinux linux-kernel $kernel_base $(build_id guest-vmlinux)"
ok "and the module in it, with its own" named 11 11 \
	"mg_guest linux-module $module_base $(build_id "$PARTS/mg_guest.ko")"

ok "the module can be unloaded under the guest" rmmod msrguard
ok "no bits are kept then" may wrmsr 0xc0000083 "$(hex $((cstar)))"
ok "all is written" gets 0xc0000083 $((cstar))
ok "nothing is dropped" may rdmsr -0 0x11e
ok "but what KVM gives" equal "$((0x$OUT))" $((0xbe702111))
ok "nor hidden" may rdmsr -0 0x8b
ok "the rest was told truly" equal $((0x$OUT & ~0xff)) $((level))
ok "and it can be loaded again" insmod "$KO"
msrguard load policy >/dev/null
ok "and hold the guest" may_not wrmsr 0xc0010020 0x1000
ok "which it counts anew" equal "$(column denied)" 1
ok "the guest lives" may 'uname -r && ls /proc >/dev/null'
ok "and powers off" guest_stop
GUEST_VMM=
ok "no VM is left in the list" equal "$(grep -vc '^#' "$SYS/vms/list")" 0
end_tests
