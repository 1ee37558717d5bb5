#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: MSRGUARD_BIN=FILE tools/tests/learn.sh
#
# Tests "msrguard learn" without the module, with stand-ins for the kernel's netlink and for what
# publishes a policy. Prints TAP.

set -euo pipefail

# shellcheck source=tools/tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/tests/events.sh
. "$(dirname "$0")/events.sh"

TOP=$(cd "$(dirname "$0")/../.." && pwd)
FAKE_MODULE=${FAKE_SO%/*}/fake_module.so
[[ -f $FAKE_MODULE ]] || { echo "Bail out! $FAKE_MODULE is missing; run: make -C tools test"; exit 1; }
export MSRGUARD_CPU=amd:0x19:0x21:0x2
KEPT=$MSRGUARD_RUN/msrguard-learn.policy
LEARNING='default\t\t\tdeny\tdeny\taudit\n'
OTHER='default\t\t\tallow\tdeny\n0x79\t\t\tdeny\tdeny\n'
OLD='default\t\t\tdeny\tdrop\n0x10\t\t\tallow\tdeny\n'
cd "$WORK"

# begin: a healthy module with the policy OLD in force, and nothing left from before.
begin()
{
	fresh
	in_force "$OLD"
	mkdir -p "$ROOT/events"
	echo 1000 >"$ROOT/events/window"
}

# learn [ARGUMENT...]: with the events on which $WORK/kernel decides.
learn()
{
	RC=0
	LD_PRELOAD="$FAKE_SO $FAKE_MODULE" FAKE_KERNEL=$WORK/kernel "$WORK/msrguard" learn "$@" \
		>"$WORK/out" 2>"$WORK/err" <"${INPUT:-/dev/null}" || RC=$?
}

# meanwhile COMMAND...: as soon as the learning has begun.
meanwhile()
{
	(
		until [[ $(<"$ROOT/events/window") == 0 && $(<"$ROOT/policy/generation") == 8 ]]; do
			sleep 0.05
		done
		sleep 0.3
		"$@"
	) &
}

set_by_hand() { echo "$2" >"$ROOT/$1"; }

# by_hand TEXT GENERATION: somebody publishes this, in its canonical form, past this command.
by_hand()
{
	in_force "$1"
	echo "$2" >"$ROOT/policy/generation"
}

# Policies have a generation more each time; that of the learning is 8.
seen() { event "$1" generation=8 verdict=1 would-be=2 "${@:2}"; }
# Time for something to happen meanwhile.
a_moment() { seen 1 msr=0x1a0 dir=0; echo wait 2000; end_of_events 1; }
end_of_events() { printf 'sequence %d\nwait 100\nsignal 2\n' "$1"; }
rules() { grep -v '^$' out | sed '1,3d'; }
rules_are()
{
	cat >expected
	rules | diff - expected >"$WORK/diff"
}

# All is as it was.
put_back()
{
	[[ $(<"$ROOT/policy/active") == "$(printf '%b' "$OLD")" && $(<"$ROOT/mode") == "${1:-enforce}" &&
		$(<"$ROOT/events/window") == 1000 && ! -e $KEPT ]]
}

story()
{
	# EFER: SCE and NXE set, LME cleared, by two writes; and reads.
	seen 1 msr=0xc0000080 dir=1 old=0x500 value=0x501 kind=2 image=vmlinux
	seen 2 msr=0xc0000080 dir=1 old=0x501 value=0x801 kind=2 image=vmlinux vm=4
	seen 3 msr=0xc0000080 dir=0 kind=2 image=vmlinux
	seen 4 msr=0xc0000080 dir=0 kind=2 image=vmlinux
	# Written with what is there already.
	seen 5 msr=0x1a0 dir=1 old=0x850089 value=0x850089
	# Only read.
	seen 6 msr=0xfe dir=0
	# Everything changed.
	seen 7 msr=0x277 dir=1 old=0 value=0xffffffffffffffff
	# KVM cannot read it.
	seen 8 msr=0x4b564d06 dir=1 value=0xec kind=3 image=kvm
	# A command.
	seen 9 msr=0x49 dir=1 value=1
	# Dangerous: all of it, a part of it, a read.
	seen 10 msr=0xc0010020 dir=1 value=0xffff888000000000
	seen 11 msr=0xc0010015 dir=1 old=0 value=0x40100 dir=1
	seen 12 msr=0xc0010015 dir=0
	seen 13 msr=0xc0010299 dir=0
	# Under another policy: before the learning.
	event 14 generation=7 msr=0x999 dir=0
	# No name.
	seen 15 msr=0xbad dir=0 vm=1
	seen 16 msr=0xbad dir=0 vm=2
	seen 17 msr=0xbad dir=0 vm=3
	seen 18 msr=0xbad dir=0 vm=4
	seen 19 msr=0xbad dir=0 vm=5
	# An address, and a field of one beside a flag; a deadline that is the same as before.
	seen 20 msr=0xc0000082 dir=1 old=0 value=0xffffffff81c00080 kind=2 image=vmlinux
	seen 21 msr=0x4b564d03 dir=1 old=0 value=0x9c2d041
	seen 22 msr=0x6e0 dir=1 old=0 value=0
	end_of_events 22
}

test_learn()
{
	begin
	story >kernel
	learn
	ok "learn" ended 0
	ok "says what it does" ended 0 '^learning until it is interrupted: until then NOTHING is blocked'
	ok "proposes what was seen, and no more" rules_are <<-'END'
		default		deny	deny
		0x49		deny	mask=0x1,deny	# MSR_IA32_PRED_CMD: 1 write; VM 3; image unknown
		0xfe		allow	deny	# MSR_MTRRcap: 1 read; VM 3; image unknown
		0x1a0		deny	mask=0x0,deny	# MSR_IA32_MISC_ENABLE: 1 write; VM 3; image unknown
		0x277		deny	allow	# MSR_IA32_CR_PAT: 1 write; VM 3; image unknown
		0x6e0		deny	mask=0x0,deny	# MSR_IA32_TSC_DEADLINE: 1 write; VM 3; image unknown
		0xbad		allow	deny	# no name known: 5 reads; VM 1, 2, 3, 4 and others; image unknown
		0x4b564d03		deny	mask=0xfffffffffffc1,deny	# MSR_KVM_STEAL_TIME: 1 write; VM 3; image unknown; holds an address, allowed whole
		0x4b564d06		deny	allow	# MSR_KVM_ASYNC_PF_INT: 1 write; VM 3; image kvm; what a write changed is not known
		0xc0000080		allow	mask=0xd01,deny	# MSR_EFER: 2 reads, 2 writes; VM 3, 4; image vmlinux
		0xc0000082		deny	allow	# MSR_LSTAR: 1 write; VM 3; image vmlinux; holds an address, allowed whole
		0xc0010015		allow	mask=0x100,keep	# MSR_K7_HWCR: 1 read, 1 write; VM 3; image unknown
		# 0xc0010015		allow	mask=0x40100,keep	# not proposed: HWCR: opens machine-check status to forged errors, and locks SMM, AMD PPRs
		# 0xc0010020: MSR_AMD64_PATCH_LOADER: 1 write; VM 3; image unknown
		# 0xc0010020		deny	mask=0xffff888000000000,deny	# not proposed: loads microcode ("Patch Loader", AMD PPRs)
		# 0xc0010299: MSR_AMD_RAPL_POWER_UNIT: 1 read; VM 3; image unknown
		# 0xc0010299		allow	deny	# not proposed: energy meters tell what others compute (CVE-2020-8694, CVE-2020-12912, PLATYPUS)
	END
	ok "sums it up" ended 0 '^21 accesses to 13 MSRs, 11 rules proposed, 3 MSRs with something dangerous left out, 0 left to the base'
	ok "audits meanwhile" diff "$ROOT/policy/committed.1" - <<<'default deny deny audit'
	ok "and puts back what was in force" put_back
	ok "which is published" cmp "$ROOT/policy/committed.2" "$ROOT/policy/active"
	cp out proposal
	run check --json proposal
	ok "what is proposed is a policy" json 'not [f for f in d["files"][0]["findings"] if f["severity"] == "error" or f["id"] == "dangerous"]'
	begin
	learn --vm 4 -o proposal
	ok "of one VM, to a file" ended 0
	ok "prints nothing" silent out
	cp proposal out
	ok "just that VM's" rules_are <<-'END'
		default		deny	deny
		0xbad		allow	deny	# no name known: 1 read; VM 4; image unknown
		0xc0000080		deny	mask=0xd00,deny	# MSR_EFER: 1 write; VM 4; image vmlinux
	END
}

# What root in a guest tries in the selftests: nothing of it is ever proposed. The TSC and EFER's
# reserved bits are denied by the baseline as well, but do no harm.
test_learn_dangers()
{
	local vendor msr access value _ nr list=$TOP/selftests/files/baseline-dangerous cpu
	for cpu in amd:0x19:0x21:0x2 intel:0x6:0x3c:0x3; do
		begin
		nr=0
		while read -r vendor msr access value _; do
			[[ $cpu == "$vendor":* || $vendor == any ]] || continue
			[[ $msr != 0x10 && ($msr != 0xc0000080 || $vendor == amd) ]] || continue
			nr=$((nr + 1))
			if [[ $access == read ]]; then
				seen $nr msr="$msr" dir=0
			else
				seen $nr msr="$msr" dir=1 value="$value"
			fi
		done < <(grep -v '^#' "$list") >kernel
		end_of_events $nr >>kernel
		MSRGUARD_CPU=$cpu learn
		ok "what is dangerous, on ${cpu%%:*}" ended 0 "^$nr accesses to [0-9]+ MSRs, 0 rules proposed"
		ok "is not little" [ $nr -ge 38 ]
		rules >left
		ok "each is told" [ "$(grep -c "not proposed: " left)" = $nr ]
	done
}

# accesses: events of all that the policy on stdin lets guests do. Of writes, all bits of the mask
# are changed, or all bits at all. "event" takes too long for so many.
accesses()
{
	python3 -c '
import re, sys
number = 0
def attributes(*all):
    return " ".join("%d:%s" % (key, value.to_bytes(size, "little").hex()) for key, size, value in all)
for line in sys.stdin:
    words = line.partition("#")[0].split()
    if not words or words[0] == "default":
        continue
    first, _, last = words[0].partition("-")
    mask = re.match("mask=(0x[0-9a-f]+)", words[2])
    value = int(mask[1], 0) if mask else 0 if words[2] == "deny" else 2 ** 64 - 1
    for msr in range(int(first, 0), int(last or first, 0) + 1):
        for dir in [0] * (words[1] != "deny") + [1] * (value != 0):
            number += 1
            # As of "seen" above; the value that was there is 0.
            print("event", attributes((2, 8, number), (3, 8, 1500000000), (4, 8, 3), (5, 4, 4242),
                                      (6, 4, 0), (7, 4, msr), (8, 1, dir), (9, 1, 0), (10, 8, value),
                                      (11, 8, 0), (15, 1, 1), (16, 1, 2), (19, 8, 8)))
print("sequence", number, "\nwait 100\nsignal 2")'
}

# All that the shipped baseline allows can be proposed: the list of dangers and the notes of MSRs
# do not speak against it.
test_learn_baseline()
{
	local cpu policy
	for cpu in amd:0x19:0x21:0x2 intel:0x6:0x3c:0x3; do
		begin
		policy=$TOP/policies/baseline-${cpu%%:*}.policy
		MSRGUARD_CPU=$cpu run check --print "$policy"
		accesses <out >kernel
		ok "there is much that the baseline for ${cpu%%:*} allows" [ "$(wc -l <kernel)" -ge 700 ]
		MSRGUARD_CPU=$cpu learn
		ok "and a guest did" ended 0
		cp out proposal
		MSRGUARD_CPU=$cpu run diff "$policy" proposal
		ok "all of it is proposed, and no more" ended 0
		ok "without a difference" silent out
	done
}

# Writes whose fault would end a guest are never answered by one, whatever is left out of them.
test_learn_without_fault()
{
	begin
	{
		# SeaBIOS, as QEMU tells it: lock, VMX outside SMX, LMCE.
		seen 1 msr=0x3a dir=1 old=0 value=0x100005
		seen 2 msr=0x3a dir=0
		# Over this host's revision: the next one has another.
		seen 3 msr=0x8b dir=1 old=0x10000000000 value=0
		seen 4 msr=0x8b dir=0
		seen 5 msr=0x600 dir=1 old=0 value=0xfffffe0000003000
		end_of_events 5
	} >kernel
	MSRGUARD_CPU=intel:0x6:0x3c:0x3 learn
	ok "learn on Intel, of writes that guests depend on" rules_are <<-'END'
		default		deny	deny
		0x3a		allow	mask=0x100001,keep	# MSR_IA32_FEAT_CTL: 1 read, 1 write; VM 3; image unknown
		# 0x3a		allow	mask=0x100005,keep	# not proposed: turns VMX, SENTER and SGX on, SDM Vol. 4 Table 2-2
		0x8b		allow	drop quiet	# MSR_IA32_UCODE_REV: 1 read, 1 write; VM 3; image unknown
		0x600		deny	drop	# MSR_IA32_DS_AREA: 1 write; VM 3; image unknown
		# 0x600		deny	mask=0xfffffe0000003000,deny	# not proposed: where the CPU stores branch and event records, SDM Vol. 3B, "DS Save Area"
	END
	begin
	{
		seen 1 msr=0x3a dir=1 value=0x5
		end_of_events 1
	} >kernel
	MSRGUARD_CPU=intel:0x6:0x3c:0x3 learn
	ok "not either if it is not known what was changed" prints '^0x3a		deny	mask=0x100001,keep	'
	begin
	{
		# disable_err_thresholding(), and back.
		seen 1 msr=0xc0010015 dir=1 old=0 value=0x40000
		seen 2 msr=0xc0010015 dir=1 old=0x40000 value=0
		seen 3 msr=0xc0010115 dir=1 value=0
		end_of_events 3
	} >kernel
	learn
	ok "nor on AMD" prints '^0xc0010015		deny	mask=0x0,keep	'
	ok "where VM_IGNNE does nothing" prints '^0xc0010115		deny	drop	'
	cp out proposal
	run check --json proposal
	ok "the policy has no errors" json 'not [f for f in d["files"][0]["findings"] if f["severity"] == "error"]'
}

test_learn_base()
{
	begin
	mkdir -p "dir x"
	printf '# a base\ndefault deny deny\n[amd]\n0x10 allow deny\n0x79 deny deny\n[other]\n[all]\n0xc0010000-0xc001001f mask=0xff deny quiet\n' >"dir x/base"
	{
		seen 1 msr=0x1a0 dir=0
		seen 2 msr=0x79 dir=1 value=0x1000 first=0x79 last=0x79
		seen 3 msr=0x79 dir=1 value=0x1000 first=0x79 last=0x79
		seen 4 msr=0xc0010015 dir=0 first=0xc0010000 last=0xc001001f
		end_of_events 4
	} >kernel
	learn --base "dir x/base"
	ok "learn with a base" ended 0 '^4 accesses to 3 MSRs, 1 rule proposed, .* 2 left to the base'
	ok "whose rules only audit" diff "$ROOT/policy/committed.1" - <<-'END'
		default deny deny audit
		0x10 allow deny audit
		0x79 deny deny audit
		0xc0010000-0xc001001f mask=0xff deny audit quiet
	END
	ok "the base is included, and its rules are left" rules_are <<-END
		include "$WORK/dir x/base"
		# 0x79: 2 writes, which the rule for 0x79 does not allow; it is left as it is
		0x1a0		allow	deny	# MSR_IA32_MISC_ENABLE: 1 read; VM 3; image unknown
		# 0xc0010015: 1 read, which the rule for 0xc0010000-0xc001001f does not allow; it is left as it is
	END
	cp out proposal
	run diff "dir x/base" proposal
	ok "the proposal is the base and what was seen" out_is <<-'END'
		A: dir x/base
		B: proposal
		B allows what A does not:
		  0x1a0 (MSR_IA32_MISC_ENABLE): reads (A: deny; B: allow)
	END
	ok "what was in force is put back" put_back
	begin
	printf 'default allow deny\n' >base
	learn --base base
	ok "a base that allows by default" ended 1 'base:1: a base denies by default'
	ok "changes nothing" put_back
	printf 'default deny deny\n0x10 allow\n' >base
	learn --base base
	ok "a base that is no policy" ended 1 '^base:2:11: the write column is missing'
	ok "changes nothing" put_back
}

# However it ends, what was in force is put back; and what is missing is told.
test_learn_ends()
{
	begin
	{ seen 1 msr=0x1a0 dir=0; echo sequence 1; } >kernel
	SECONDS=0
	learn --for 1
	ok "after some time" ended 0 '^learning for 1 seconds'
	ok "not before" [ "$SECONDS" -ge 1 ]
	ok "puts back" put_back
	begin
	echo off >"$ROOT/mode"
	{ seen 1 msr=0x1a0 dir=0; echo sequence 1; echo signal 15; } >kernel
	learn --for 1d
	ok "by SIGTERM, from mode off" ended 0
	ok "the mode is put back too" put_back off
	begin
	{ seen 1 msr=0x1a0 dir=0; seen 5 msr=0x1a1 dir=0; end_of_events 5; } >kernel
	learn
	ok "lost accesses are no success" ended 1 '^msrguard: 3 accesses were lost or came as a number only'
	ok "but there is a proposal" prints '^0x1a1'
	ok "puts back" put_back
	begin
	{ seen 1 msr=0x1a0 dir=0; overflowed 9 8; end_of_events 9; } >kernel
	learn
	ok "nor are those without a name" ended 1 '^msrguard: 8 accesses were lost or came as a number only'
	begin
	{ seen 1 msr=0x1a0 dir=1 old=0 value=1; seen 9 count=8 msr=0x1a0 dir=1 old=0 value=1; end_of_events 9; } >kernel
	learn
	ok "of what is folded not all is known" prints '^0x1a0.*deny	allow	# .*9 writes; .*what a write changed is not known'
	begin
	{ seen 1 msr=0x1a0 dir=0; echo failure 5; } >kernel
	learn
	ok "an error on the way" ended 1 'cannot receive events: Input/output error'
	ok "puts back" put_back
	ok "and proposes nothing" silent out
	begin
	{ seen 1 msr=0x1a0 dir=0; echo gone; } >kernel
	learn
	ok "a module that goes" ended 3 'the module was unloaded'
	ok "leaves nothing to put back" [ ! -e "$KEPT" ]
}

nothing_done()
{
	put_back enforce && [[ ! -e $ROOT/policy/committed.1 && -z $(find . -name '*.tmp') ]]
}

# What cannot be written is refused before anything is published, and the base is never overwritten.
test_learn_output()
{
	local INPUT name
	begin
	{ seen 1 msr=0x1a0 dir=0; end_of_events 1; } >kernel
	learn -o no/such/file
	ok "a proposal that cannot be written" ended 1 '^msrguard: no/such/file: No such file'
	ok "is refused at once" nothing_done
	mkdir -p folder
	learn -o folder
	ok "a folder" ended 1 '^msrguard: folder: not a regular file'
	ok "is refused at once" nothing_done
	mkfifo pipe
	learn -o pipe
	ok "a pipe" ended 1 '^msrguard: pipe: not a regular file'
	ok "is left" [ -p pipe ]
	printf 'default deny deny\n' | tee inner >other
	printf 'include inner\n[intel]\ninclude other\n[other]\n' >base
	ln base twin
	ln -s inner link
	cp base base.old
	for name in base ./base "$WORK/base" twin inner link other; do
		learn --base base -o "$name"
		ok "-o $name, which the base is made of" ended 1 "^msrguard: $name: it is a part of the base"
		ok "is refused at once" nothing_done
	done
	INPUT=base
	learn --base - -o base
	ok "the base on standard input" ended 1 '^msrguard: base: it is a part of the base'
	INPUT=/dev/null
	ok "all are as they were" cmp base base.old
	ok "those that are included as well" [ "$(cat inner other)" == $'default deny deny\ndefault deny deny' ]
	learn --base base -o new
	ok "another file" ended 0
	ok "has the proposal" grep -q '^0x1a0' new
	ok "with a base that loads" [ "$(grep -c '^include' new)" == 1 ]
	learn -o new
	ok "a proposal of before" ended 0
	ok "is replaced" grep -q '^default' new
	ok "and no temporary file is left" [ -z "$(find . -name '*.tmp')" ]
	begin
	mkdir later
	a_moment >kernel
	meanwhile rm -r later
	learn -o later/new
	wait
	ok "a proposal that cannot be written later" ended 1 '^msrguard: later/new: No such file.*: the proposal is on standard output'
	ok "is printed" prints '^0x1a0'
	ok "what was in force is put back" put_back
	begin
	{ seen 1 msr=0x1a0 dir=0; echo failure 5; } >kernel
	learn -o new
	ok "an error on the way" ended 1 'cannot receive events'
	ok "leaves the file as it was" grep -q '^default' new
	ok "and no temporary file" [ -z "$(find . -name '*.tmp')" ]
	begin
	FAKE_NO_MEMORY=1 learn -o new
	ok "no memory on the way" ended 1 'out of memory'
	ok "leaves no temporary file" [ -z "$(find . -name '*.tmp')" ]
}

test_learn_disturbed()
{
	begin
	a_moment >kernel
	meanwhile by_hand "$OTHER" 77
	learn
	wait
	ok "another policy meanwhile" ended 1 'somebody else has published a policy meanwhile \(generation 77\): it is left in force'
	ok "stays" diff "$ROOT/policy/active" <(printf '%b' "$OTHER")
	ok "and nothing is published over it" [ ! -e "$ROOT/policy/committed.2" ]
	ok "the old one is kept" diff "$KEPT" <(printf '%b' "$OLD")
	ok "and named" grep -q "do: msrguard load $KEPT" err
	ok "the window is put back" file_is events/window 1000
	begin
	printf '%b' "$OLD" >"$KEPT"
	learn
	ok "a trace of a learning that was killed" ended 1 'msrguard-learn.policy is there: a learning was killed'
	ok "is not overwritten" diff "$KEPT" <(printf '%b' "$OLD")
	ok "and nothing is published" [ ! -e "$ROOT/policy/committed.1" ]
	begin
	{ seen 1 msr=0x1a0 dir=0; end_of_events 1; } >kernel
	FAKE_REFUSE=2 learn
	ok "a policy that cannot be put back" ended 1 'could NOT be put back .*: NOTHING is blocked'
	ok "is kept" diff "$KEPT" <(printf '%b' "$OLD")
	ok "and named" grep -q "do: msrguard load $KEPT" err
	begin
	FAKE_REFUSE=1 learn
	ok "a learning that cannot begin" ended 1 '^<policy for learning>: refused by the test'
	ok "changes nothing" put_back
	begin
	rm "$ROOT/events/window"
	learn
	ok "a module without a window" ended 1 'events/window is not there'
	ok "nothing is published" [ ! -e "$ROOT/policy/committed.1" ]
	ok "nothing is kept" [ ! -e "$KEPT" ]
	begin
	rm -rf "$MSRGUARD_RUN"
	learn
	ok "no place to keep the old policy" ended 1 'cannot keep the policy in force as .*: No such file'
	ok "nothing is published" [ ! -e "$ROOT/policy/committed.1" ]
	rm -rf "$ROOT"
	run learn
	ok "no module" ended 3
}

# Whatever is in force while it learns, or cannot be read: it must not end with nothing blocked.
test_learn_unread()
{
	begin
	a_moment >kernel
	FAKE_AFTER_1='rm hash' learn
	ok "the policy of the learning cannot be read back" ended 1 'policy/hash is not there'
	ok "then nothing is learned" err_not '^learning'
	ok "and what was in force is put back" put_back
	begin
	FAKE_AFTER_1='rm hash' FAKE_REFUSE=2 learn
	ok "if that fails as well" ended 1 'could NOT be put back .*: NOTHING is blocked'
	ok "the way out is told" grep -q "do: msrguard load $KEPT" err
	ok "and there" diff "$KEPT" <(printf '%b' "$OLD")
	begin
	FAKE_NO_MEMORY=1 learn
	ok "no memory to read it back" ended 1 'out of memory'
	ok "what was in force is put back" diff "$ROOT/policy/active" <(printf '%b' "$OLD")
	ok "unseen, so it is kept" grep -q "published again, but .*$KEPT" err
	ok "as it was" diff "$KEPT" <(printf '%b' "$OLD")
	ok "the window is put back" file_is events/window 1000
	begin
	FAKE_NO_MEMORY=1 FAKE_REFUSE=2 learn
	ok "no memory, and it cannot be put back" ended 1 'could NOT be put back .*: NOTHING is blocked'
	begin
	FAKE_AFTER_1='echo "default deny deny audit what" >active' learn
	ok "a module with another format" ended 1 'what is in force is not what was loaded'
	ok "puts back" put_back
	begin
	FAKE_AFTER_1="printf '${LEARNING}0x79\\t\\t\\tdeny\\tdeny\\n' >active; echo 9 >generation" learn
	ok "a rule that is added before it is read back" ended 1 '^  dropped: 0x79 deny deny$'
	ok "puts back" put_back
	begin
	FAKE_AFTER_1="printf '$OTHER' >active; echo 9 >generation" learn
	ok "another policy before it is read back" ended 1 'somebody else has published a policy meanwhile'
	ok "stays" diff "$ROOT/policy/active" <(printf '%b' "$OTHER")
	begin
	meanwhile rm "$ROOT/policy/hash"
	learn
	wait
	ok "what is in force cannot be read at the end" ended 1 'policy/hash is not there'
	ok "puts back" put_back
	ok "and there is a proposal" prints '^0x1a0'
	begin
	meanwhile rm "$ROOT/policy/hash"
	FAKE_REFUSE=2 learn
	wait
	ok "neither read nor put back" ended 1 'could NOT be put back .*: NOTHING is blocked'
	ok "the way out is told" grep -q "do: msrguard load $KEPT" err
	begin
	FAKE_AFTER_2='rm hash' learn
	ok "what was put back cannot be read back" ended 1 "published again, but .*$KEPT"
	ok "is kept" diff "$KEPT" <(printf '%b' "$OLD")
	ok "what to do is told" grep -q "do: msrguard status" err
}

# A change past this command that leaves the default line of the learning blocks nothing by default.
test_learn_rule_meanwhile()
{
	local line i
	begin
	printf 'default deny deny\n0x10 allow deny\n0x20 allow allow\n' >base
	a_moment >kernel
	meanwhile by_hand "${LEARNING}0x10\t\t\tdeny\tdeny\n0x20\t\t\tallow\tallow\taudit\n0x79\t\t\tdeny\tdeny\n" 9
	learn --base base
	wait
	ok "rules that are added meanwhile" ended 1 'somebody else has changed the policy of the learning meanwhile \(generation 9\): what was in force before is put back'
	ok "do not keep it in force" put_back
	ok "each is named" [ "$(grep '^  dropped' err)" == $'  dropped: 0x10 deny deny\n  dropped: 0x79 deny deny' ]
	ok "and what to do" grep -q '^  do: ' err
	ok "there is a proposal" prints '^0x1a0'
	begin
	line=$(printf '%s' "$LEARNING"; for ((i = 0; i < 30; i++)); do printf '0x%x\\t\\t\\tdeny\\tdeny\\n' $((0x100 + i)); done)
	meanwhile by_hand "$line" 40
	learn
	wait
	ok "of many, some" [ "$(grep -c '^  dropped: 0x' err)" = 20 ]
	ok "and how many more" grep -q '^  dropped: 10 more' err
	ok "puts back" put_back
	begin
	meanwhile by_hand 'default\t\t\tdeny\tdeny\taudit quiet\n' 9
	learn
	wait
	ok "another default line is another policy" ended 1 'it is left in force'
	begin
	meanwhile by_hand 'default\t\t\tdeny\tdeny\n' 9
	learn
	wait
	ok "one that denies as well" ended 1 'it is left in force'
	begin
	meanwhile by_hand 'default\t\t\tdeny\tdeny\twhat\n' 9
	learn
	wait
	ok "one that is not understood is not trusted" ended 1 'cannot be understood: what was in force before is put back'
	ok "puts back" put_back
}

# Mode and window are put back only if they are still what the learning made of them.
test_learn_set_meanwhile()
{
	begin
	a_moment >kernel
	echo off >"$ROOT/mode"
	meanwhile cp "$ROOT/hooks" "$WORK/hooks"
	learn
	wait
	ok "from mode off" ended 0
	ok "all is put back" put_back off
	begin
	echo off >"$ROOT/mode"
	meanwhile set_by_hand mode enforce
	learn
	wait
	ok "a mode that is set meanwhile" ended 1 '^msrguard: mode was set to enforce meanwhile, and is left so \(before the learning it was off\)'
	ok "is left" put_back enforce
	begin
	meanwhile set_by_hand events/window 77
	learn
	wait
	ok "a window that is set meanwhile" ended 1 '^msrguard: events/window was set to 77 meanwhile, and is left so \(before the learning it was 1000\)'
	ok "is left" file_is events/window 77
	ok "the policy is put back" cmp "$ROOT/policy/active" "$ROOT/policy/committed.2"
	begin
	echo off >"$ROOT/mode"
	meanwhile rm "$ROOT/mode"
	learn
	wait
	ok "a mode that cannot be read" ended 1 'mode is not there'
	ok "is not written" [ ! -e "$ROOT/mode" ]
	ok "the window is put back" file_is events/window 1000
}

# blocked NUMBER...: these signals were, as the stand-in saw it.
blocked()
{
	local number mask
	mask=$(awk '{ print $2 }' "$ROOT/policy/signals")
	for number; do
		(((16#$mask >> (number - 1)) & 1)) || return 1
	done
}

test_learn_signals()
{
	local number
	for number in 1 2 3 10 12 14 15 24 26 27 29 30; do
		begin
		{ seen 1 msr=0x1a0 dir=0; echo sequence 1; echo "signal $number"; } >kernel
		learn --for 10s
		ok "signal $number ends it" ended 0 '^1 accesses'
		ok "and all is put back" put_back
	done
	begin
	{ seen 1 msr=0x1a0 dir=0; end_of_events 1; } >kernel
	# shellcheck disable=SC2016 # for another shell
	FAKE_AFTER_1='grep SigBlk /proc/$PPID/status >signals' learn
	ok "a terminal does not stop it" blocked 20 21 22
	begin
	{ seen 1 msr=0x1a0 dir=0; echo "signal 20"; end_of_events 1; } >kernel
	learn
	ok "Ctrl-Z does nothing" ended 0 '^1 accesses'
	ok "all is put back" put_back
}

# What status says of it, and of one that was killed.
test_learn_status()
{
	begin
	a_moment >kernel
	meanwhile status_of learning
	learn
	wait
	cp learning out
	ok "while it learns, what is in force is wrong" prints '^wrong: the default line of the policy only audits'
	ok "and ends with the learning" prints '^   do: wait for "msrguard learn" to end, or interrupt it'
	ok "the file that is kept is as it should be" prints "^note:  a learning is under way; what was in force before it is kept as $KEPT"
	begin
	{ seen 1 msr=0x1a0 dir=0; echo wait 100; echo signal 9; } >kernel
	learn 2>/dev/null
	ok "a learning that is killed" ended 137
	run status
	ok "is wrong" ended 1
	ok "its policy blocks nothing by default" prints '^wrong: the default line of the policy only audits'
	ok "so that what was in force is to be loaded" equal_lines "^   do: .*msrguard load $KEPT" 2
	ok "its trace is told" prints "^wrong: a learning has ended and not put back what was in force before it, which is kept as $KEPT"
	run status --json
	ok "in JSON" json 'not d["ok"] and [p["severity"] for p in d["problems"]] == ["wrong", "wrong"]'
	ok "with the default line" json 'd["policy"]["default"] == {"read": "deny", "write": "deny", "audit": True, "quiet": False}'
	in_force "$OLD"
	run status
	ok "its trace alone is wrong, too" ended 1
	ok "with what to do" prints "^   do: msrguard load $KEPT, or whatever is wanted, and remove the file"
	rm "$KEPT"
	run status
	ok "without it, nothing is" ended 0
}

status_of() { "$WORK/msrguard" status >"$WORK/$1"; }

test_learn_usage()
{
	local bad
	begin
	for bad in 0 10x -1 '' m 31d 99999999999999999999 1.5h '5 m'; do
		learn --for "$bad"
		ok "--for '$bad'" ended 2 'for takes a time such as 90s, 10m or 2h'
	done
	learn --vm x
	ok "--vm x" ended 2 'vm takes'
	learn file
	ok "learn takes no argument" ended 2 'learn takes no argument'
	ok "nothing is published" [ ! -e "$ROOT/policy/committed.1" ]
}

test_learn
test_learn_dangers
test_learn_baseline
test_learn_without_fault
test_learn_base
test_learn_ends
test_learn_output
test_learn_disturbed
test_learn_unread
test_learn_rule_meanwhile
test_learn_set_meanwhile
test_learn_signals
test_learn_status
test_learn_usage
end_tests
