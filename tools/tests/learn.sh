#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: MSRGUARD_BIN=FILE tools/tests/learn.sh
#
# Tests what "msrguard learn" proposes, without the module, with stand-ins for the kernel's netlink and
# for what publishes a policy. Prints TAP.

set -euo pipefail

TOP=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tools/tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/tests/events.sh
. "$(dirname "$0")/events.sh"
# shellcheck source=tools/tests/learning.sh
. "$(dirname "$0")/learning.sh"

rules() { grep -v '^$' out | sed '1,3d'; }
rules_are()
{
	cat >expected
	rules | diff - expected >"$WORK/diff"
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
test_learn_usage
end_tests
