#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: MSRGUARD_BIN=FILE tools/tests/policies.sh
#
# Tests what the command knows of policies by itself: files with sections and includes, check,
# diff and import. Needs no module, and no CPU of one kind. Prints TAP.

set -euo pipefail

# shellcheck source=tools/tests/lib.sh
. "$(dirname "$0")/lib.sh"

export MSRGUARD_CPU=amd:0x19:0x21:0x2
cd "$WORK"

# file NAME: its content stands on stdin.
file() { cat >"$1"; }

# staged: all that was given to the module stands on stdin.
staged() { diff "$ROOT/policy/load" - >"$WORK/diff"; }

DENY='default\t\t\tdeny\tdeny\n'

test_load_sections()
{
	fresh
	in_force "$DENY"'0x10\t\t\tallow\tdeny\n'
	file a <<-'END'
		# shared
		default deny deny
		[intel family=6 model=0x55-0x6a,0x8f stepping=0-7]
		0x10 allow allow
		[amd family=0x17,0x19 model=0-0xff]	# Zen
		0x10 allow deny
		[all]
		# the end
	END
	run load a
	ok "a section for this CPU" ended 0
	ok "is taken, those for others are not" staged <<-'END'
		# shared
		default deny deny
		0x10 allow deny
		# the end
	END
	ok "and is read back" prints "^policy loaded: generation 7, hash $(<"$ROOT/policy/hash")\$"
	: >"$ROOT/policy/load"
	MSRGUARD_CPU=amd:0x18:0x21:2 run load a
	ok "no section for this CPU" ended 1 '^a:3: no section is for this CPU \(amd family=0x18 model=0x21 stepping=0x2\), and there is no \[other\]$'
	ok "stages nothing" silent sys/kernel/msrguard/policy/load
	for cpu in intel:6:0x55:0 intel:6:0x6a:7 intel:6:0x8f:3; do
		MSRGUARD_CPU=$cpu run load a
		ok "$cpu: the other section" grep -q '0x10 allow allow' "$ROOT/policy/load"
	done
	for cpu in intel:6:0x54:0 intel:6:0x6b:0 intel:6:0x55:8 intel:15:0x55:0 hygon:0x19:1:1; do
		MSRGUARD_CPU=$cpu run load a
		ok "$cpu: none" ended 1 '^a:3: no section is for this CPU'
	done
	file b <<-'END'
		default deny deny
		[intel]
		0x10 allow allow
		[other]
		0x10 allow deny
		[amd family=0x19]
		0x11 allow deny
		[other]
		0x12 allow allow
	END
	MSRGUARD_CPU=hygon:0x18:1:1 run load b
	ok "[other], for what no section before it is for" staged <<-'END'
		default deny deny
		0x10 allow deny
	END
	run load b
	ok "and a section after it" staged <<-'END'
		default deny deny
		0x10 allow deny
		0x11 allow deny
	END
	printf 'default deny deny\n0x10 allow deny' >b
	run load b
	ok "a file without sections" ended 0
	ok "is given as it is" cmp -s b "$ROOT/policy/load"
}

# wrong SECTION COLUMN REASON: a file with that line is refused on any CPU.
wrong()
{
	printf 'default deny deny\n%s\n0x10 allow deny\n' "$1" >w
	for cpu in amd:0x19:0x21:2 intel:6:0x55:0; do
		MSRGUARD_CPU=$cpu run load w
		ok "$1 ($cpu)" ended 1 "^w:2:$2: $3"
	done
}

test_load_wrong_sections()
{
	fresh
	in_force "$DENY"
	wrong '[intle]' 2 'unknown word "intle": intel, amd, hygon, zhaoxin, centaur, all or other expected$'
	wrong '[]' 2 'unknown word ""'
	wrong '[intel' 7 'a section'\''s line ends in "\]"$'
	wrong ' [all] x' 8 'nothing but a comment may follow "\]"'
	wrong '[all family=6]' 6 'a section'\''s line ends in'
	wrong '[intel family]' 8 'family without a value: family=N or family=N-N expected'
	wrong '[intel famly=6]' 8 'unknown word "famly=6" in a section'
	wrong '[intel family=]' 15 'a family is missing'
	wrong '[intel family=6,]' 17 'a family is missing'
	wrong '[intel family=6-]' 17 'a family is missing'
	wrong '[intel family=06]' 15 'malformed family "06"'
	wrong '[intel family=0x]' 15 'malformed family "0x"'
	wrong '[intel family=six]' 15 'malformed family "six"'
	wrong '[intel family=99999999999999999999999999]' 15 'malformed family "999999999999999999999999\.\.\."'
	wrong '[intel family=0x10f]' 15 'family 0x10f is above 0x10e'
	wrong '[intel family=6 model=0x100]' 23 'model 0x100 is above 0xff'
	wrong '[intel family=6 model=1 stepping=16]' 34 'stepping 16 is above 0xf'
	wrong '[intel family=6 model=9-3]' 23 'reversed range: the last model 0x3 is below the first, 0x9'
	wrong '[intel model=0x55]' 8 'model without family= before it means nothing'
	wrong '[amd family=6 stepping=1]' 15 'stepping without model= before it'
	wrong '[intel family=6 family=7]' 17 'family given twice'
	wrong '[other]' 1 '\[other\] needs a section for some CPU before it'
	wrong $'[\x1b[2J]' 2 'unknown word "\\x1b\[2J"'
	file w <<-'END'
		default deny deny
		[intel]
		0x10 alow deny
		[amd]
	END
	run load w
	ok "what is no rule is wrong in other CPUs' sections too" ended 1 '^w:3:6: unknown word "alow" in the read column'
}

test_load_includes()
{
	local i
	fresh
	in_force "$DENY"'0x10\t\t\tallow\tdeny\n0x11\t\t\tallow\tdeny\n'
	mkdir -p sub/deep "sub/a b"
	file top <<-'END'
		default deny deny
		include sub/one	# a comment
	END
	file sub/one <<-'END'
		0x10 allow deny
		 include "a b/#two"
	END
	printf '0x11 allow deny\n' >"sub/a b/#two"
	run load top
	ok "includes, relative to the file" ended 0
	ok "are put in" staged <<-'END'
		default deny deny
		0x10 allow deny
		0x11 allow deny
	END
	cd sub/deep
	run load ../../top
	cd "$WORK"
	ok "from elsewhere too" ended 0
	echo "include $WORK/sub/one" >>top
	run load top
	ok "by an absolute name, and twice" ended 1 "^$WORK/sub/one:1:1: duplicate rule: 0x10 is on line 1 of sub/one already"
	printf 'default deny deny\n[intel]\ninclude no/such\n[amd]\n' >top
	in_force "$DENY"
	run load top
	ok "of other CPUs' sections nothing is read" ended 0
	printf 'default deny deny\ninclude shared\n[amd]\n' >top
	printf '[intel]\n0x10 allow deny\n' >shared
	run load top
	ok "a file that is included has to be for this CPU too" ended 1 '^shared:1: no section is for this CPU'
	printf 'default deny deny\n  include sub\n' >top
	run load top
	ok "a folder" ended 1 '^top:2:11: cannot include sub: Is a directory'
	mkfifo pipe
	printf 'include pipe\n' >top
	run load top
	ok "a pipe" ended 1 '^top:1:9: cannot include pipe: not a regular file'
	printf 'include none\n' >top
	run load top
	ok "a file that is not there" err_is <<-'END'
		top:1:9: cannot include none: No such file or directory
		  include none
		          ^
	END
	printf 'include ./top\n' >top
	run load top
	ok "itself" ended 1 '^top:1:9: cannot include ./top: it is included by itself'
	for ((i = 1; i <= 8; i++)); do
		printf 'include d%d\n' $((i + 1)) >"d$i"
	done
	echo 'default deny deny' >d8
	run load d1
	ok "8 files deep" ended 0
	run load d2
	ok "7 files deep" ended 0
	echo 'include d9' >d8
	echo 'default deny deny' >d9
	run load d1
	ok "9 files deep" ended 1 '^d8:1:9: includes are nested deeper than 8 files'
	: >empty
	printf 'include empty\n%.0s' {1..1000} >top
	run load top
	ok "more than 1000 files" ended 1 '^top:1000:9: more than 1000 files'
	printf 'include\n' >top
	run load top
	ok "no name" ended 1 '^top:1:8: the name of the file to include is missing'
	printf 'include "x\n' >top
	run load top
	ok "no closing quote" ended 1 '^top:1:9: the closing " is missing'
	printf 'include x y\n' >top
	run load top
	ok "two names" ended 1 '^top:1:11: nothing but a comment may follow'
	python3 -c 'print(("#" * 99 + "\n") * 120000, end="")' >third
	printf 'default deny deny\ninclude third\ninclude third\n' >top
	run load top
	ok "long files" ended 0
	echo 'include third' >>top
	run load top
	ok "that together are too long" ended 1 '^top:4:9: cannot include third: with it the policy is larger than 32 MiB'
}

# The kernel says no: to the commit, with a reason; or warns.
test_load_places()
{
	fresh
	in_force "$DENY"'0x11\t\t\tallow\tdeny\n0x12\t\t\tallow\tdeny\n0x13\t\t\tallow\tdeny\n'
	printf '# one\ndefault deny deny\ninclude part\n[intel]\n0x99 deny deny\n[amd]\n0x13 allow deny\n' >top
	printf '\n0x11 allow deny\n\t0x12 allow deny\n' >part
	printf '1: of the first\n5: of the part\n6: of the section\n0: of the whole\n' >"$ROOT/policy/warnings"
	run load top
	ok "warnings" ended 0
	ok "have the lines of the files" err_is <<-'END'
		top:1: warning: of the first
		part:3: warning: of the part
		top:7: warning: of the section
		top: warning: of the whole
	END
	rm "$ROOT/policy/commit"
	ln -s /dev/full "$ROOT/policy/commit"
	echo '5:2: 0x12 partly overlaps 0x10-0x13 on line 2: ranges may nest, not cross' >"$ROOT/policy/error"
	run load top
	ok "errors have the place in the file" err_is <<-'END'
		part:3:2: 0x12 partly overlaps 0x10-0x13 on line 2 of top: ranges may nest, not cross
		          0x12 allow deny
		          ^
	END
	echo '6:1: duplicate rule: 0x13 is on line 2 already' >"$ROOT/policy/error"
	run load top
	ok "also of the other line, in the same file" err_is <<-'END'
		top:7:1: duplicate rule: 0x13 is on line 2 already
		  0x13 allow deny
		  ^
	END
	echo '0:0: no default line: one such as "default deny deny" is needed' >"$ROOT/policy/error"
	run load top
	ok "errors without a place are the first file's" ended 1 '^top: no default line'
	echo '77:1: beyond' >"$ROOT/policy/error"
	run load top
	ok "a line that is not there" ended 1 '^top:77:1: beyond$'
}

# finds NAME REGEX: check says so of the file p, which stands on stdin, and ends with 1.
finds()
{
	cat >p
	run check "${CHECK_OPTIONS[@]}" p
	ok "$1" ended 1 "$2"
}

# A policy that check has nothing to say of, for AMD and Intel.
clean()
{
	cat <<-'END'
		default allow allow
		0x3a allow mask=~0x6,deny
		0x79 deny deny
		0x1a0 allow mask=0x400000000,deny
		0xc0000080 allow mask=~0x1000,deny
		0xc0010020 deny deny
		0xda0 allow mask=~0x1800,deny
	END
}

test_check()
{
	CHECK_OPTIONS=()
	clean >p
	for cpu in amd intel; do
		run check --vendor "$cpu" p
		ok "a clean policy ($cpu)" ended 0
		ok "check says nothing" silent err
		ok "nor on standard output" silent out
	done
	run check --json p
	ok "in JSON" json 'd == {"ok": True, "files": [{"file": "p", "cpu": "amd family=0x19 model=0x21 stepping=0x2", "findings": []}]}'
	run check --print p
	ok "--print prints the text" out_is <p
	run check
	ok "check wants a file" ended 2 'check takes one or more files'
	run check --json --print p
	ok "check prints one thing" ended 2 'either --print or --json'
	for bad in --vendor=cyrix --family=0x10f --family=-1 --model=x --stepping=16; do
		run check "$bad" p
		ok "check $bad" ended 2 "^msrguard: ${bad%%=*} takes"
	done
	run check none
	ok "no such file" ended 1 '^none: No such file'
	printf 'default deny deny\n0x10 allow dney\n' >p2
	run check p p2
	ok "one of two files" err_is <<-'END'
		p2:2:12: unknown word "dney" in the write column: allow, deny, drop or mask=M,deny or mask=M,keep expected
		  0x10 allow dney
		             ^
	END
	run check --json p p2
	ok "one of two in JSON" ended 1
	ok "with its place" json 'not d["ok"] and d["files"][0]["findings"] == [] and [(f["severity"], f["id"], f["file"], f["line"], f["column"]) for f in d["files"][1]["findings"]] == [("error", "syntax", "p2", 2, 12)]'
	run check --print p2
	ok "--print prints nothing that is wrong" silent out
	printf 'default allow allow\n[intel]\ninclude none\n[amd]\n' >p2
	run check p2
	ok "check looks into other CPUs' sections" ended 1 '^p2:3:9: cannot include none'
	printf 'default allow allow\n[intel family=6 model=1]\n[other]\n' >p2
	run check --vendor intel p2
	ok "a CPU that is not known well enough" ended 1 '^p2:2:8: the family of the CPU is not known: give --family too'
	run check --vendor intel --family 6 --model 1 p2
	ok "and one that is" ended 0
	run check --family 0x17 p2
	ok "--family alone keeps the vendor" ended 0
}

test_check_rules()
{
	CHECK_OPTIONS=()
	finds "a rule that decides nothing" '^p:2: warning: the rule for 0x4000-0x4001 decides nothing' <<-'END'
		default allow allow
		0x4000-0x4001 deny deny
		0x4000 deny allow
		0x4001 allow deny
	END
	ok "is all" [ "$(wc -l <err)" = 1 ]
	finds "an option without effect" '^p:2: warning: audit on a rule that blocks nothing' <<-'END'
		default allow allow
		0x4000 allow allow audit
	END
	clean >p
	echo '0x4000 allow allow' >>p
	run check p
	ok "what is redundant is fine" ended 0
	run check --strict p
	ok "but noted" ended 1 '^p:8: note: the rule for 0x4000 says what holds without it, by the default line \(p:1\)$'
	CHECK_OPTIONS=(--strict)
	finds "also within a range" 'p:3: note: the rule for 0x4001 says what holds without it, by 0x4000-0x4002 \(p:2\)' <<-'END'
		default allow allow
		0x4000-0x4002 allow deny
		0x4001 allow deny
		0x4002 allow deny quiet
	END
	ok "but not if options differ" err_not '0x4002 says'
}

test_check_holes()
{
	CHECK_OPTIONS=()
	finds "EFER.SVME and VMLOAD" '^p:3: warning: a guest may set EFER.SVME, .* past the rules for .*, 0xc0000082 \(MSR_LSTAR\); deny it \(0xc0000080 allow mask=~0x1000,deny\)' <<-'END'
		default allow allow
		0xc0000082 allow mask=0xff,deny
		0xc0000080 allow mask=0x1901,deny
	END
	sed -i 's/0x1901/0x901/' p
	run check p
	ok "EFER.SVME denied" err_not 'EFER.SVME'
	sed -i 's/0x901,deny/0x901,deny audit/' p
	run check p
	ok "EFER.SVME only audited" ended 1 'may set EFER.SVME'
	finds "EFER.SVME and VMRUN" '^p:2: warning: a guest may set EFER.SVME, and VMLOAD, VMSAVE and VMRUN reach past the rules for 0xc0000080 \(MSR_EFER\); deny it' <<-'END'
		default allow allow
		0xc0000080 allow mask=0x1901,deny
	END
	CHECK_OPTIONS=(--vendor intel)
	finds "not on Intel, but VMX there" '^p:1: warning: a guest may turn on VMX .* 0x277 \(MSR_IA32_CR_PAT\); deny it' <<-'END'
		default allow allow
		0x277 allow deny
	END
	echo '0x3a allow mask=~0x6,deny' >>p
	run check --vendor intel --strict p
	ok "VMX denied, as far as a rule can" ended 1 '^p:3: note: a VMM that sets IA32_FEATURE_CONTROL itself'
	finds "VMX and DEBUGCTL" '^p:1: warning: a guest may turn on VMX .* 0x1d9 \(MSR_IA32_DEBUGCTLMSR\); deny it' <<-'END'
		default allow allow
		0x1d9 allow mask=0x4,deny
	END
	# All that KVM knows is open, and it refuses the rest itself.
	sed -i 's/0x4,/0xc807,/' p
	run check --vendor intel p
	ok "but of what KVM refuses itself" err_not 'turn on VMX'
	run check --vendor intel --strict p
	ok "there is a note only" ended 1 '^p:1: note: a guest may turn on VMX .* 0x1d9 '
	CHECK_OPTIONS=()
	finds "CET by XRSTORS" '^p:3: warning: a guest may set the CET bits of IA32_XSS, .* 0x6a0 \(MSR_IA32_U_CET\); ' <<-'END'
		default allow allow
		0x6a0 allow deny
		0xda0 allow mask=0x800,keep
	END
	sed -i 's/0x800/0x1000/' p
	run check p
	ok "only by the bit of that state" err_not XRSTORS
	clean >p
	echo '0x840-0x84f deny deny' >>p
	run check p
	ok "x2APIC registers" ended 0
	# Without the module: only KVM's says so.
	rm -rf "$ROOT"
	mkdir -p "$MSRGUARD_SYSFS/module/kvm_amd/parameters"
	echo Y >"$MSRGUARD_SYSFS/module/kvm_amd/parameters/avic"
	run check p
	ok "x2APIC registers, with AVIC on this host" ended 1 '^p:8: warning: guards x2APIC registers from 0x840 on, .* on this host'
	run check --vendor amd p
	ok "of another host nobody knows" ended 0
	run check --strict --vendor amd p
	ok "so that is a note" ended 1 '^p:8: note: guards x2APIC registers'
	rm -r "$MSRGUARD_SYSFS/module"
	finds "dangerous MSRs" '^p:2: warning: lets guests write 0xc0010020 .*microcode' <<-'END'
		default deny deny
		0xc0010000-0xc0010fff allow allow
	END
	ok "each with a reason" grep -q 'lets guests read and write 0xc0010299-0xc001029b .*PLATYPUS' err
	ok "runs of them in one line" grep -q 'lets guests write 0xc0010061-0xc0010071 ' err
	sed -i 's/allow allow/allow deny/' p
	run check p
	ok "of those that may only be read, less" err_not 'lets guests (read and )?write'
}

test_check_guests()
{
	CHECK_OPTIONS=()
	finds "what guests need" '^p:1: warning: keeps stock guests from a read and write of 0xc0000080 \(MSR_EFER\) \(bits 0x901\): 64-bit mode' <<-'END'
		default deny deny
		0x200-0x20f allow allow
		0x208 allow deny
		0xc0000082 allow drop
	END
	ok "where a range of them is torn" grep -q '^p:3: warning: keeps stock guests from a write of 0x208 ' err
	ok "a write that is dropped" grep -q '^p:4: warning: keeps stock guests from a write of 0xc0000082' err
	ok "Intel's are not for AMD" err_not '0x1a0'
	ok "MCG_CTL" grep -q '^p:1: warning: keeps stock guests from a write of 0x17b ' err
	ok "NB_CFG, on AMD" grep -q '^p:1: warning: keeps stock guests from a read and write of 0xc001001f .*(bits 0x400000000000)' err
	run check --vendor intel p
	ok "PERF_CAPABILITIES, on Intel" grep -q '^p:1: warning: keeps stock guests from a read of 0x345 ' err
	ok "UMWAIT_CONTROL" grep -q '^p:1: warning: keeps stock guests from a write of 0xe1 ' err
	ok "bus locks" grep -q '^p:1: warning: keeps stock guests from a read and write of 0x1d9 .*(bits 0x4)' err
	ok "C1E promotion" grep -q '^p:1: warning: keeps stock guests from a read and write of 0x1fc .*(bits 0x2)' err
	ok "AMD's are not for Intel" err_not '0xc001001f'
	clean >p
	sed -i '1s/.*/default deny deny audit/' p
	run check p
	ok "what is only audited keeps nobody from anything" ended 0
	clean >p
	echo '0x8b allow drop' >>p
	run check --vendor intel p
	ok "a write that may be dropped" ended 0
	echo x >nokvm
	MSRGUARD_KVM=$WORK/none run check --kernel-lists p
	ok "--kernel-lists without KVM" ended 1 'asks KVM, and .*/none cannot be opened: No such file'
	MSRGUARD_KVM=$WORK/nokvm run check --kernel-lists p
	ok "--kernel-lists of something else" ended 1 'KVM does not tell .*Inappropriate ioctl'
	if [[ -c /dev/kvm && -r /dev/kvm && -w /dev/kvm ]]; then
		clean >p
		run check --kernel-lists p
		ok "--kernel-lists, nothing denied by default" ended 0
		sed -i '1s/.*/default deny deny/' p
		run check --kernel-lists p
		ok "--kernel-lists, MSRs denied by default" ended 1 '^p:1: warning: KVM saves and restores 0x175 .* only the default line speaks of it: reads and writes are blocked'
		ok "those with a rule are not told" err_not 'restores 0x1a0'
	else
		for what in "nothing denied by default" "MSRs denied by default" "those with a rule"; do
			skip "--kernel-lists, $what" "no /dev/kvm"
		done
	fi
}

test_diff()
{
	printf 'default deny deny\n0x10-0x20 allow deny\n0x18 allow allow\n0xc0000080 allow mask=~0x1000,deny\n' >a
	printf '0xc0000080 allow mask=~0x1000,deny\ndefault deny deny\n0x19-0x20 allow deny # torn\n0x10-0x17 allow deny\n0x18 allow mask=~0,deny\n' >b
	run diff a b
	ok "the same in other words" ended 0
	ok "diff says nothing" silent out
	run diff --json a b
	ok "nor in JSON" json 'd == {"same": True, "a": "a", "b": "b", "differences": []}'
	printf 'default allow deny quiet\n0x10-0x20 allow mask=0x0,deny\n0x18 allow mask=0xf,keep\n0xc0000080 mask=0x1 mask=0x1000,deny\n0x79 deny mask=0,deny\n0x30 deny drop audit\n' >b
	run diff a b
	ok "diff" ended 1
	ok "in words" out_is <<-'END'
		A: a
		B: b
		B allows what A does not:
		  every MSR that neither names: reads (A: deny; B: allow quiet)
		  0x10-0x17 (MSR_IA32_TSC and on): writes of the value that is there (A: deny; B: mask=0x0,deny)
		  0x19-0x20: writes of the value that is there (A: deny; B: mask=0x0,deny)
		  0x30: reads (A: deny; B: deny audit)
		  0x30: writes (A: deny; B: drop audit)
		  0x79 (MSR_IA32_UCODE_WRITE): writes of 0 (A: deny; B: mask=0x0,deny)
		A allows what B does not:
		  0x18: changing bits 0xfffffffffffffff0 (A: allow; B: mask=0xf,keep)
		  0xc0000080 (MSR_EFER): seeing bits 0xfffffffffffffffe (A: allow; B: mask=0x1)
		each allows what the other does not:
		  0xc0000080 (MSR_EFER): A changing bits 0xffffffffffffefff, B changing bits 0x1000 (A: mask=~0x1000,deny; B: mask=0x1000,deny)
		the same is let through, other events come of it:
		  every MSR that neither names: writes (A: deny; B: deny quiet)
	END
	run diff --json a b
	ok "in JSON" ended 1
	ok "every MSR is in it" json 'sum(int(e["last"], 0) - int(e["first"], 0) + 1 for e in d["differences"] if e["dir"] == "read") == 2**32 - 18'
	ok "with rules and bits" json '[e for e in d["differences"] if e["first"] == "0x18"] == [{"kind": "first-allows", "first": "0x18", "last": "0x18", "name": None, "dir": "write", "by_default": False, "what": "changing bits 0xfffffffffffffff0", "a": {"rule": "0x18", "says": "allow", "bits": "0xffffffffffffffff"}, "b": {"rule": "0x18", "says": "mask=0xf,keep", "bits": "0xf"}}]'
	printf 'default deny drop\n0x0-0xffffffff drop deny\n' >a
	printf 'default deny drop\n0x0-0xffffffff mask=0 drop\n' >b
	run diff a b
	ok "what ends otherwise" out_is <<-'END'
		A: a
		B: b
		the same is allowed, the rest ends otherwise:
		  0x0-0xffffffff (MSR_IA32_P5_MC_ADDR and on): reads (A: drop; B: mask=0x0)
		  0x0-0xffffffff (MSR_IA32_P5_MC_ADDR and on): writes (A: deny; B: drop)
	END
	fresh
	in_force "$DENY"'0x10\t\t\tallow\tdeny\n'
	printf 'default deny deny\n0x10 allow deny\n' >a
	run diff a active
	ok "the policy in force" ended 0
	echo '0x11 allow deny' >>a
	run diff active a
	ok "is not this one" prints '^  0x11 .*: reads \(A: deny; B: allow\)$'
	rm -rf "$ROOT"
	run diff active a
	ok "no module" ended 3 'the module is not loaded'
	printf 'default deny deny\n0x10 allow\n' >b
	run diff a b
	ok "no policy" ended 2 '^b:2:11: the write column is missing'
	run diff a none
	ok "no file" ended 2 '^none: No such file'
	run diff a
	ok "diff wants two" ended 2 'diff takes two files'
	run diff - -
	ok "diff reads standard input once" ended 2 'only one of the two'
	printf 'default deny deny\n[intel]\n0x10 allow deny\n[amd]\n0x11 allow deny\n' >a
	run diff --vendor intel a a
	ok "sections, of one CPU" ended 0
}

# Many rules, to see that it takes no more time than it should.
test_large()
{
	python3 -c 'print("default deny deny"); [print(f"{i:#x} allow deny") for i in range(0, 400000, 2)]' >a
	sed '5d' a >b
	SECONDS=0
	run diff a b
	ok "200000 rules" prints '^  0x6 .*: reads \(A: allow; B: deny\)$'
	run check a
	ok "and check of them" ended 1
	ok "in less than a minute" [ "$SECONDS" -lt 60 ]
	python3 -c 'print("".join(f"0x{i:08x} 0x0000000000000000 # x\n" for i in range(200000)), end="")' >l
	run import l
	ok "and import" ended 0
	ok "in less than two" [ "$SECONDS" -lt 120 ]
	python3 -c 'print("default deny deny"); [print(f"{i:#x} allow deny") for i in range(1000001)]' >a
	run check a
	ok "a rule more than the module takes" ended 1 '^a:1000002:1: more than 1000000 rules'
}

test_import()
{
	file list <<-'END'
		# MSR      Write Mask           # Comment
		0x00000010 0x0000000000000000 # "SMSR_TIME_STAMP_COUNTER"

		0X00000199	0x000000010000FFFF#"SMSR_PERF_CTL"
		  0x1B0 0xffffffffffffffff
		0x1b1 0x000000000000000000001
	END
	run import list
	ok "import" ended 0
	ok "without a complaint" silent err
	sed '1,3d' out >out2
	ok "is a policy" diff out2 - <<-'END'
		default		deny	deny
		# MSR      Write Mask           # Comment
		0x10		allow	deny	# "SMSR_TIME_STAMP_COUNTER"

		0x199		allow	mask=0x10000ffff,keep	#"SMSR_PERF_CTL"
		0x1b0		allow	allow
		0x1b1		allow	mask=0x1,keep
	END
	sed 's/$/\r/' list >crlf
	cp out expected
	run import crlf
	ok "lines of another system" cmp -s out expected
	file list <<-'END'
		0x10 0x0
		0x11
		12 0x0
		0x12 0
		0x100000000 0x0
		0x13 0x1ffffffffffffffff
		0x14 0x0 0x0
		0x15 0xg
		0x16 0x
		0x10 0xff # again
		0x17 -1
		0x18 0x2
	END
	printf '0x19 0x0 # \0\n0x20 0x0 # a\rb\n0x21 0x0\x1b' >>list
	run import list
	ok "import of what is wrong" ended 1
	ok "says why, by line" err_is <<-'END'
		list:2: the write mask is missing
		list:3: MSR "12" does not start with 0x
		list:4: write mask "0" does not start with 0x
		list:5: MSR 0x100000000 does not fit in 32 bits
		list:6: write mask 0x1ffffffffffffffff does not fit in 64 bits
		list:7: "0x0" follows the write mask
		list:8: write mask "0xg" is no hexadecimal number
		list:9: write mask "0x" is no hexadecimal number
		list:10: 0x10 is on line 1 already, which is the one taken over
		list:11: write mask "-1" does not start with 0x
		list:13: NUL byte
		list:14: carriage return in a line
		list:15: write mask "0x0\x1b" is no hexadecimal number
		msrguard: 13 lines could not be taken over
	END
	ok "and prints the rest" [ "$(grep -c ^0x out)" = 2 ]
	python3 -c 'print("0x10 0x0 #" + "c" * 2000 + "\n#" + "d" * 2000)' >list
	run import list
	ok "long comments" ended 0
	cp out p
	run check --json p
	ok "fit" json 'not [f for f in d["files"][0]["findings"] if f["severity"] == "error"]'
	ok "and are all there" [ "$(tr -cd c <p | wc -c)" -ge 2000 ]
	run import
	ok "import wants a file" ended 2 'import takes one file'
	run import none
	ok "no such list" ended 1 'none: No such file'
}

test_load_sections
test_load_wrong_sections
test_load_includes
test_load_places
test_check
test_check_rules
test_check_holes
test_check_guests
test_diff
test_import
test_large
end_tests
