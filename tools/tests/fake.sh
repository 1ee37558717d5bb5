#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: MSRGUARD_BIN=FILE tools/tests/fake.sh
#
# Tests the command without the module, against files that look like the module's.
# Prints TAP; needs no root, and uses it if it is there.

set -euo pipefail

# shellcheck source=tools/tests/lib.sh
. "$(dirname "$0")/lib.sh"

test_usage()
{
	local command
	fresh
	run
	ok "no command is wrong usage" ended 2 '^usage: msrguard'
	run --help
	ok "--help" ended 0
	ok "--help names the commands" prints '^  watch '
	run --version
	ok "--version" prints '^msrguard [0-9]+\.[0-9]+'
	for command in status load show explain add del mode verify watch top vms rules check diff import learn; do
		run "$command" --help
		ok "$command --help" ended 0
		ok "$command --help says how it is used" prints "^usage: msrguard $command"
		ok "$command --help is no error" silent err
		run "$command" --no-such-option
		ok "$command refuses an unknown option" ended 2 "msrguard $command: .*no-such-option"
	done
	run help mode
	ok "help COMMAND" prints '^usage: msrguard mode'
	run frobnicate
	ok "unknown command" ended 2 'unknown command "frobnicate".*msrguard --help'
	run --frobnicate
	ok "unknown option" ended 2 'unknown option "--frobnicate"'
	run status extra
	ok "status takes no argument" ended 2 'status takes no argument'
	run show extra
	ok "show takes no argument" ended 2 'show takes no argument'
	run explain
	ok "explain wants an MSR" ended 2 'explain takes an MSR'
	run load
	ok "load wants a file" ended 2 'load takes one file'
	run load a b
	ok "load wants one file" ended 2 'load takes one file'
	run add
	ok "add wants a rule" ended 2 'add takes a rule'
	run add '0x10 allow deny' 0x11
	ok "add does not guess where a rule ends" ended 2 'each rule in quotes'
	run add $'0x10 allow\ndeny'
	ok "a rule is one line" ended 2 'a rule is one line'
	run add "0x10 $(printf '%05000d' 0)"
	ok "a rule has an end" ended 2 'a rule is one line'
	run del
	ok "del wants a range" ended 2 'del takes the MSR'
	run del '0x10 allow'
	ok "del takes a range alone" ended 2 'without blanks'
	run mode audit enforce
	ok "mode takes one word" ended 2 'mode takes one word'
	run mode of
	ok "no such mode" ended 2 'no mode "of": it is off, audit or enforce'
	ok "and nothing was written" file_is mode enforce
	run verify 1 2
	ok "verify takes one VM" ended 2 'verify takes one VM'
	for bad in -1 x 1x ' 1' 86401 99999999999999999999; do
		run verify --wait "$bad"
		ok "verify --wait '$bad'" ended 2 'wait takes a number of seconds'
	done
	for bad in 0 -1 x 1x ' 1' 99999999999999999999; do
		run watch --count "$bad"
		ok "watch --count '$bad'" ended 2 'count takes a number from 1'
	done
	run watch --buffer 1048577
	ok "watch --buffer has a limit" ended 2 'buffer takes a number from 1'
}

test_status()
{
	fresh
	run status
	ok "healthy" ended 0
	ok "says that nothing is wrong" prints '^nothing is wrong$'
	ok "mode" prints '^mode +enforce$'
	ok "policy" prints '^policy +generation 7, 2 rules, default deny drop$'
	ok "hash" prints "^hash +$HASH\$"
	ok "counters" prints '^accesses +reads 5, writes 5, denied 5, dropped 5, masked 5, audited 5$'
	ok "what became of them" prints '^accounted +20 of 20: sequence 10 \(overflowed 0\), quiet 5, pending 5$'
	ok "hooks" prints '^bitmap +kvm_msr_allowed +direct +attached +18446744073709551615$'
	ok "VMs" prints '^ +3 +4242 +2 +1 +2 +3 +4 +5 +9007199254740993$'
	run status --json
	ok "healthy in JSON" ended 0
	ok "is JSON" json 'd["ok"] and d["loaded"] and d["mode"] == "enforce" and d["problems"] == []'
	ok "JSON policy" json 'd["policy"] == {"generation": "0x7", "hash": "'"$HASH"'", "rules": 2, "default": {"read": "deny", "write": "drop", "audit": False, "quiet": False}, "warnings": None, "last_error": None}'
	ok "JSON keeps all 64 bits" json 'd["vms"][0]["audited"] == "0x20000000000001" and d["hooks"][1]["calls"] == "0xffffffffffffffff"'
	ok "JSON of a VM" json 'd["vms"][0]["id"] == "0x3" and d["vms"][0]["pid"] == 4242 and d["vms"][0]["vcpus"] == 2'
	: >"$ROOT/vms/list"
	run status
	ok "no VM" prints '^no VM is running$'
}

test_status_problems()
{
	fresh
	echo off >"$ROOT/mode"
	run status
	ok "off is wrong" ended 1
	ok "and says what to do" prints '^   do: msrguard mode enforce'
	fresh
	echo audit >"$ROOT/mode"
	run status
	ok "audit is not wrong" ended 0
	ok "but told" prints '^note:  mode is audit'
	fresh
	sed -i 's/^bitmap.*/bitmap kvm_msr_allowed direct detached 3/' "$ROOT/hooks"
	run status --json
	ok "a detached hook is wrong" ended 1
	ok "and named" json '[p for p in d["problems"] if p["severity"] == "wrong" and "bitmap" in p["what"] and p["do"]]'
	fresh
	sed -i 's/^exit-read.*/exit-read kvm_emulate_rdmsr direct shared 3/' "$ROOT/hooks"
	run status
	ok "a shared hook is not wrong" ended 0
	ok "but told" prints '^note:  hook exit-read: a tracer'
	fresh
	sed -i 's/^exit-read.*/exit-read kvm_emulate_rdmsr callback attached 3/' "$ROOT/hooks"
	run status
	ok "a callback for want of a slot is not wrong" ended 0
	ok "but told, with what took it" prints '^note:  exit-read: called back by ftrace, because the direct-call slot of the function was taken'
	ok "and what to do" prints '^   do: .*a BPF program'
	ok "what only watches is not told" prints_not '^note:.*vcpu-created'
	sed -i 's/^bitmap.*/bitmap kvm_msr_allowed callback attached 3/' "$ROOT/hooks"
	run status
	ok "two of them in one note" prints '^note:  exit-read, bitmap: called back .* slot of the functions'
	mkdir -p "$MSRGUARD_SYSFS/module/msrguard/parameters"
	echo N >"$MSRGUARD_SYSFS/module/msrguard/parameters/direct"
	run status
	ok "callbacks by direct=0 are not wrong" ended 0
	ok "and are not blamed on others" prints '^note:  exit-read, bitmap: .*as the parameter direct=0 asks'
	echo Y >"$MSRGUARD_SYSFS/module/msrguard/parameters/direct"
	run status
	ok "direct=1 asks for nothing" prints '^note:  exit-read, bitmap: .* was taken'
	fresh
	: >"$ROOT/policy/warnings"
	run status --json
	ok "no warning" json 'd["policy"]["warnings"] == 0 and d["problems"] == []'
	printf '3: x2APIC\n9: what\n' >"$ROOT/policy/warnings"
	run status
	ok "warnings are not wrong" ended 0
	ok "but counted" prints '^policy .*, 2 warnings$'
	ok "and told" prints '^note:  the policy has 2 warnings: it promises what this host cannot keep$'
	run status --json
	ok "and counted in JSON" json 'd["policy"]["warnings"] == 2 and len(d["problems"]) == 1'
	fresh
	echo '# hook function mechanism state calls' >"$ROOT/hooks"
	run status
	ok "no hook is wrong" ended 1
	fresh
	echo 4 >"$ROOT/stats/events_lost"
	echo 77 >"$ROOT/stats/lost"
	run status
	ok "lost events are wrong" ended 1
	ok "and counted" prints '^wrong: 4 events, which stand for 77 accesses, did not reach'
	ok "beside what was sent" prints '^events +sent 0, lost 4 \(of 77 accesses\)$'
	fresh
	echo 3 >"$ROOT/stats/overflowed"
	run status
	ok "accesses told as a number are not wrong" ended 0
	ok "but told" prints '^note:  3 accesses were told as a number only'
	run status --json
	ok "in JSON" json 'd["stats"] | {"overflowed": "0x3", "quiet": "0x5", "pending": "0x5", "sequence": "0xa", "lost": "0x0"} == d["stats"] and len(d["stats"]) == 14'
	fresh
	printf 'default\t\t\tallow\tallow\n' >"$ROOT/policy/active"
	run status
	ok "the first policy is wrong" ended 1
	ok "and says how to load one" prints '^   do: msrguard load FILE'
	printf 'default\t\t\tallow\tallow\n0x10\tdeny\tdeny\n' >"$ROOT/policy/active"
	run status
	ok "allowing by default is not" ended 0
	in_force 'default\t\t\tdeny\tdrop\taudit quiet\n0x10\tallow\tdeny\n'
	run status
	ok "a default line that only audits is wrong" ended 1
	ok "its options are shown" prints '^policy +generation 7, 1 rules, default deny drop audit quiet$'
	ok "it is told" prints '^wrong: the default line of the policy only audits: what no rule names is reported, not blocked$'
	ok "and what to do" prints '^   do: msrguard load FILE, with a default line without audit'
	run status --json
	ok "in JSON" json 'd["policy"]["default"] == {"read": "deny", "write": "drop", "audit": True, "quiet": True} and len(d["problems"]) == 1'
	echo audit >"$ROOT/mode"
	run status
	ok "in mode audit it changes nothing" ended 0
	echo enforce >"$ROOT/mode"
	in_force 'default\t\t\tallow\tallow\taudit\n'
	run status --json
	ok "one that allows is not told twice" json 'len(d["problems"]) == 1'
	in_force 'default\t\t\tdeny\tdeny\tquiet\n0x10\tdeny\tdeny\taudit\n'
	run status
	ok "a rule that only audits is none" ended 0
	fresh
	echo '3:4: no "such" thing' >"$ROOT/policy/error"
	run status --json
	ok "a change that was refused is not wrong" ended 0
	ok "but told" json 'd["policy"]["last_error"] == "3:4: no \"such\" thing" and len(d["problems"]) == 1'
	fresh
	rmdir "$MSRGUARD_SYSFS/module/kvm_amd"
	run status
	ok "no vendor module is not wrong" ended 0
	ok "but told" prints '^note:  neither kvm_amd nor kvm_intel'
	mkdir "$MSRGUARD_SYSFS/module/kvm_intel"
	run status
	ok "kvm_intel will do" prints '^nothing is wrong$'
	ok "and nothing is told" prints_not '^note'
}

test_status_garbage()
{
	local file
	fresh
	printf 'a\033[31m\xff"\\\n' >"$ROOT/mode"
	run status
	ok "garbage as mode" ended 1
	ok "is made visible" prints '^mode +a\\x1b\[31m\\xff'
	run status --json
	ok "garbage is still JSON" json 'd["mode"] == "a\x1b[31m\\xff\"\\"'
	for file in policy/generation policy/hash hooks vms/list stats/denied; do
		fresh
		echo '1 2 3x' >"$ROOT/$file"
		run status --json
		ok "garbage in $file" ended 1
		ok "is named" json '[p for p in d["problems"] if "'"$file"' holds something else" in p["what"]]'
		rm "$ROOT/$file"
		run status --json
		ok "without $file" ended 1
		ok "is named" json '[p for p in d["problems"] if "'"$file"' is not there" in p["what"]]'
	done
	fresh
	echo 18446744073709551616 >"$ROOT/stats/denied"
	run status
	ok "a counter above 64 bits" ended 1
	fresh
	echo '1 4294967296 1 1 1 1 1 1 1' >"$ROOT/vms/list"
	run status
	ok "a pid above 32 bits" ended 1
}

test_not_loaded()
{
	local command
	fresh
	rm -rf "$ROOT"
	echo 'default deny deny' >"$WORK/policy"
	for command in status show mode 'mode off' "load $WORK/policy" 'add 0x10 allow deny' 'del 0x10' verify 'verify 3' vms rules 'top --once'; do
		# shellcheck disable=SC2086 # the words of a command
		run $command
		ok "$command without the module" ended 3
		ok "says how to load it" grep -q 'do: modprobe msrguard .*insmod msrguard.ko' "$WORK"/{out,err}
	done
	run status --json
	ok "status --json without the module" ended 3
	ok "is JSON" json 'not d["ok"] and not d["loaded"] and "modprobe" in d["problems"][0]["do"]'
	rmdir "$MSRGUARD_SYSFS/module/kvm"
	run status
	ok "without kvm" prints 'modprobe kvm && insmod'
}

test_permission()
{
	local as_nobody=() command
	fresh
	echo 'default deny deny' >"$WORK/policy"
	find "$ROOT" -type f -exec chmod 0 {} +
	if [[ $(id -u) == 0 ]]; then
		as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
	fi
	for command in status 'status --json' show mode 'mode off' "load $WORK/policy" 'add 0x10 allow deny' 'del 0x10' verify; do
		RC=0
		# shellcheck disable=SC2086 # the words of a command
		"${as_nobody[@]}" "$WORK/msrguard" $command >"$WORK/out" 2>"$WORK/err" || RC=$?
		ok "$command without permission" ended 4
		ok "says why" grep -q 'permission denied' "$WORK"/{out,err}
	done
	RC=0
	"${as_nobody[@]}" "$WORK/msrguard" explain efer >"$WORK/out" 2>"$WORK/err" || RC=$?
	ok "explain without permission" ended 0
	ok "has the name" prints '^  MSR_EFER'
	ok "and why there is no verdict" prints '^  no policy to ask: .*permission denied'
}

test_load()
{
	fresh
	in_force 'default\t\t\tdeny\tdeny\n'
	printf '# a policy\ndefault deny deny\n' >"$WORK/policy"
	run load "$WORK/policy"
	ok "load" ended 0
	ok "reads back what is in force" prints "^policy loaded: generation 7, hash $(<"$ROOT/policy/hash")\$"
	ok "stages the text" cmp -s "$WORK/policy" "$ROOT/policy/load"
	ok "commits" file_is policy/commit 1
	RC=0
	"$WORK/msrguard" load - <"$WORK/policy" >"$WORK/out" 2>"$WORK/err" || RC=$?
	ok "load from standard input" ended 0
	{ cat "$WORK/policy"; head -c 300000 /dev/zero; } >"$WORK/binary"
	run load "$WORK/binary"
	ok "load does not stop at a NUL" cmp -s "$WORK/binary" "$ROOT/policy/load"
	run load "$WORK/none"
	ok "no such file" ended 1 'none: No such file or directory'
	run load "$WORK"
	ok "a folder" ended 1 'Is a directory'
	truncate -s 33554433 "$WORK/large"
	run load "$WORK/large"
	ok "too large" ended 1 'large: larger than 32 MiB'
}

# What is in force afterwards is compared with what was loaded.
test_load_reads_back()
{
	printf 'default deny deny\n0x10 allow deny\n' >"$WORK/policy"
	fresh
	run load "$WORK/policy"
	ok "load of what is not in force then" ended 1 'what is in force is not what was loaded: generation 7 has the hash 0123'
	ok "says what to do" grep -q 'do: see what differs with "msrguard diff active .*/policy"' "$WORK/err"
	ok "and nothing looks well" silent out
	in_force 'default\t\t\tdeny\tdeny\n0x10\t\t\tallow\tdeny\n'
	run load "$WORK/policy"
	ok "load of what is in force then" ended 0
	echo "$HASH" >"$ROOT/policy/hash"
	run load "$WORK/policy"
	ok "the right text with another hash" ended 1 'not what was loaded'
	in_force 'default\t\t\tdeny\tdeny\n0x10\t\t\tallow\tallow\n'
	printf 'default\t\t\tdeny\tdeny\n0x10\t\t\tallow\tdeny\n' | sha256sum | cut -d ' ' -f 1 >"$ROOT/policy/hash"
	run load "$WORK/policy"
	ok "the right hash of another text" ended 1 'not what was loaded'
	printf 'default deny deny\n0x10 allow\n' >"$WORK/policy"
	run load "$WORK/policy"
	ok "what the module takes and the command does not" ended 1 'policy:2:11: the write column is missing'
	ok "is told as that" ended 1 'command and the module of the same version'
}

test_load_lock()
{
	local holder loader waits=1
	fresh
	in_force 'default\t\t\tdeny\tdeny\n'
	printf 'default deny deny\n' >"$WORK/policy"
	exec {holder}<>"$ROOT/policy/load"
	flock -x "$holder"
	"$WORK/msrguard" load "$WORK/policy" >"$WORK/out" 2>"$WORK/err" {holder}>&- &
	loader=$!
	sleep 0.5
	kill -0 "$loader" || waits=0
	ok "load waits for another one" [ "$waits" = 1 ]
	ok "without a word" silent out
	exec {holder}>&-
	RC=0
	wait "$loader" || RC=$?
	ok "and goes on after it" ended 0
}

# The kernel says no: to the commit, with a reason.
refuse()
{
	fresh
	rm "$ROOT/policy/commit"
	ln -s /dev/full "$ROOT/policy/commit"
	printf '%s\n' "$1" >"$ROOT/policy/error"
}

test_diagnosis()
{
	refuse '2:18: a column is missing'
	printf '# a policy\n0x10\t\t\tallow\tdney\n' >"$WORK/policy"
	cd "$WORK"
	run load policy
	ok "load of what is refused" ended 1
	ok "the line and a caret, here at its end" err_is <<-'END'
		policy:2:18: a column is missing
		  0x10                    allow   dney
		                                      ^
	END
	refuse '2:14: unknown word "dney"'
	run load policy
	ok "a caret after tabs" err_is <<-'END'
		policy:2:14: unknown word "dney"
		  0x10                    allow   dney
		                                  ^
	END
	RC=0
	"$WORK/msrguard" load - <policy >"$WORK/out" 2>"$WORK/err" || RC=$?
	ok "standard input has a name" ended 1 '^<stdin>:2:14: unknown'
	refuse '0:0: the default line is missing'
	run load policy
	ok "a reason without a place" err_is <<-'END'
		policy: the default line is missing
	END
	refuse '9:1: beyond'
	run load policy
	ok "a line that is not there" err_is <<-'END'
		policy:9:1: beyond
	END
	refuse 'no place at all'
	run load policy
	ok "a reason of another form" err_is <<-'END'
		policy: no place at all
	END
	refuse '1:6: what'
	printf 'a\033[2J\x00\x80\xc3\xa9zz' >policy
	run load policy
	ok "nothing in the line reaches the terminal" err_is <<-'END'
		policy:1:6: what
		  a\x1b[2J\x00\x80ézz
		          ^
	END
	refuse '1:10: what'
	run load policy
	ok "letters of several bytes take one column" err_is <<-'END'
		policy:1:10: what
		  a\x1b[2J\x00\x80ézz
		                   ^
	END
	refuse $'1:1: \033]0;title\007'
	run load policy
	ok "nor does anything in the reason" ended 1 '^policy:1:1: \\x1b\]0;title\\x07$'
	refuse '1:500000: here'
	{ head -c 499999 /dev/zero | tr '\0' 'a'; echo -n X; head -c 500000 /dev/zero | tr '\0' 'b'; } >policy
	run load policy
	ok "a part of a long line" err_is <<-'END'
		policy:1:500000: here
		  ...aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaXbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...
		                                             ^
	END
	refuse ''
	echo 'default deny deny' >policy
	run load policy
	ok "no reason: the error" ended 1 'policy/commit: No space left on device'
	fresh
	rm "$ROOT/policy/load"
	ln -s /dev/full "$ROOT/policy/load"
	echo '0:0: process 5 is staging a policy' >"$ROOT/policy/error"
	run load policy
	ok "staging that fails" ended 1 '^policy: process 5 is staging a policy$'
	ok "is discarded" file_is policy/commit 0
	cd /
}

test_warnings()
{
	fresh
	in_force 'default\t\t\tdeny\tdeny\n'
	cd "$WORK"
	printf 'default deny deny\n' >policy
	run load policy
	ok "load without the file for warnings" ended 0
	ok "says nothing of them" silent err
	: >"$ROOT/policy/warnings"
	run load policy
	ok "load without a warning" silent err
	printf '3: an x2APIC range, and APICv is on\n0: of the whole\nwithout a line\n\n12: \033[2J\n7:what\n99999999999999999999: far\n' >"$ROOT/policy/warnings"
	run load policy
	ok "load with warnings" ended 0
	ok "loads" prints '^policy loaded: generation 7'
	ok "prints them, each at its line" err_is <<-'END'
		policy:3: warning: an x2APIC range, and APICv is on
		policy: warning: of the whole
		policy: warning: without a line
		policy:12: warning: \x1b[2J
		policy: warning: 7:what
		policy: warning: 99999999999999999999: far
	END
	RC=0
	"$WORK/msrguard" load - <policy >"$WORK/out" 2>"$WORK/err" || RC=$?
	ok "standard input has a name in them too" ended 0 '^<stdin>:3: warning: an x2APIC'
	rm "$ROOT/policy/warnings"
	mkdir "$ROOT/policy/warnings"
	run load policy
	ok "warnings that cannot be read are told" ended 0 'policy/warnings: Is a directory'
	ok "and the policy is loaded" prints '^policy loaded: generation 7'
	refuse '1:9: no'
	echo '3: of the policy before' >"$ROOT/policy/warnings"
	run load policy
	ok "a policy that is refused" ended 1 '^policy:1:9: no'
	ok "has no warnings" grep -qv warning "$WORK/err"
	cd /
}

test_rules()
{
	fresh
	run add 0x10 allow deny audit
	ok "add of words" ended 0
	ok "is one rule" file_is rules/add '0x10 allow deny audit'
	ok "reads back what is in force" prints "^policy changed: generation 7, hash $HASH\$"
	run add '0x10 allow deny'
	ok "add of one in quotes" file_is rules/add '0x10 allow deny'
	run add '0x10 allow deny' $'0x11\tallow allow'
	ok "add of several" file_is rules/add $'0x11\tallow allow'
	run del 0x10
	ok "del" ended 0
	ok "writes the range" file_is rules/remove 0x10
	run del 0x10 0x800-0x83f
	ok "del of several" file_is rules/remove 0x800-0x83f
	rm "$ROOT/rules/add"
	ln -s /dev/full "$ROOT/rules/add"
	echo '1:6: unknown word "alow"' >"$ROOT/policy/error"
	run add 0x10 alow deny
	ok "a rule that is refused" ended 1
	ok "the rule and a caret" err_is <<-'END'
		<rule>:1:6: unknown word "alow"
		  0x10 alow deny
		       ^
	END
	run add '0x10 alow deny' '0x11 alow deny'
	ok "which of several" ended 1 '^<rule 1>:1:6:'
	ok "and no more" prints_not .
}

test_show_mode()
{
	fresh
	run show
	ok "show" ended 0
	ok "is the policy, byte for byte" cmp -s "$WORK/out" "$ROOT/policy/active"
	run show --names
	ok "show --names" ended 0
	ok "names a rule" prints '^0x10\s+allow\s+deny\s+# MSR_IA32_TSC$'
	ok "and a range" prints '^0x800-0x83f\s+allow\s+allow\s+# MSR_IA32_X2APIC_APICID \.\. MSR_IA32_X2APIC_SELF_IPI$'
	ok "but not the default line" prints '^default\s+deny\s+drop$'
	ok "and changes nothing else" equals "$(sed 's/\s*#.*//' "$WORK/out")" "$(<"$ROOT/policy/active")"
	run show --names --plain
	ok "the last of both holds" cmp -s "$WORK/out" "$ROOT/policy/active"
	RC=0
	script -qec "'$WORK/msrguard' show" /dev/null >"$WORK/out" 2>"$WORK/err" </dev/null || RC=$?
	ok "on a terminal show has names" prints '^0x10\s+allow\s+deny\s+# MSR_IA32_TSC'
	script -qec "'$WORK/msrguard' show --plain" /dev/null 2>"$WORK/err" </dev/null |
		tr -d '\r' >"$WORK/out" || RC=$?
	ok "unless told otherwise" cmp -s "$WORK/out" "$ROOT/policy/active"
	run mode
	ok "mode" prints '^enforce$'
	run mode audit
	ok "mode MODE" ended 0
	ok "sets it" file_is mode audit
	ok "and reads it back" prints '^mode: audit$'
	rm "$ROOT/policy/active"
	run show
	ok "show without the file" ended 1 'policy/active is not there'
	fresh
	RC=0
	"$WORK/msrguard" show >/dev/full 2>"$WORK/err" || RC=$?
	ok "output that cannot be written" ended 1 'cannot write the output: No space left'
	RC=0
	"$WORK/msrguard" load "$ROOT/policy/active" >&- 2>"$WORK/err" || RC=$?
	ok "output that is closed does no harm" cmp -s "$ROOT/policy/load" "$ROOT/policy/active"
}

test_explain()
{
	fresh
	run explain 0x10
	ok "explain" ended 0
	ok "has the name" prints '^  MSR_IA32_TSC, IA32_TIME_STAMP_COUNTER'
	ok "the verdict for reads" prints '^    read:  allowed$'
	ok "and for writes" prints '^    write: denied, the guest gets #GP$'
	ok "the rule" prints '^    by the rule:  0x10 allow deny$'
	ok "the generation" prints 'policy, generation 7$'
	ok "nothing else is said of the mode" prints_not 'mode'
	run explain 0x79
	ok "an MSR without a rule" prints '^    by the default line:  default deny drop$'
	ok "is dropped" prints '^    write: dropped, nothing is written$'
	ok "its danger" prints '^    Dangerous to write: Microcode'
	ok "its vendor" prints '^  MSR_IA32_UCODE_WRITE, .*\(Intel\)$'
	run explain 0x805
	ok "the rule of a range" prints '^    by the rule:  0x800-0x83f allow allow$'
	ok "an MSR without a name" prints '^  no name is known for it$'
	ok "has its range" prints '^  in the range 0x800-0x8ff$'
	run explain efer Misc_Enable 121
	ok "names, and several" ended 0
	ok "in the order given" equals "$(grep ^0x "$WORK/out" | xargs)" '0xc0000080 0x1a0 0x79'
	run explain PMC0
	ok "a name of two MSRs" equals "$(grep ^0x "$WORK/out" | xargs)" '0xc1 0x4c1'
	printf 'default\tdeny\tdeny\taudit\n0x0-0xffff\tdeny\tdeny\n0x100-0x2ff\tallow\tdrop\n0x1a0\tmask=0x3\tmask=0x400000001,keep\taudit quiet\n0xc0000080\tallow\tmask=~0x1000,deny\n' \
		>"$ROOT/policy/active"
	echo audit >"$ROOT/mode"
	run explain 0x1a0
	ok "the narrowest rule" prints '^    by the rule:  0x1a0 mask=0x3 mask=0x400000001,keep audit quiet$'
	ok "a mask for reads in words" prints '^    read:  the guest sees bits 0-1, the others as 0$'
	ok "a mask for writes in words" prints '^    write: bits 0,34 may change, the others are kept$'
	ok "option audit" prints '^    audit: '
	ok "option quiet" prints '^    quiet: '
	ok "mode audit" prints '^    but nothing is blocked: the mode is audit$'
	run explain 0x1a1
	ok "the inner of two ranges" prints '^    by the rule:  0x100-0x2ff allow drop$'
	run explain 0x99
	ok "the outer of two ranges" prints '^    by the rule:  0x0-0xffff deny deny$'
	run explain EFER
	ok "an inverted mask in words" prints '^    write: bits 0-11,13-63 may change, a change of another is denied$'
	run explain --json 0x1a0 pmc0
	ok "explain --json" ended 0
	ok "is JSON" json '[m["msr"] for m in d["msrs"]] == ["0x1a0", "0xc1", "0x4c1"] and d["mode"] == "audit" and d["generation"] == "0x7" and d["no_policy"] is None'
	ok "with names" json 'd["msrs"][0]["names"][0]["name"] == "MSR_IA32_MISC_ENABLE" and d["msrs"][0]["names"][0]["vendor"] == "Intel" and d["msrs"][0]["names"][0]["what"]'
	ok "with the rule" json 'd["msrs"][0]["rule"] == {"text": "0x1a0 mask=0x3 mask=0x400000001,keep audit quiet", "default": False, "first": "0x1a0", "last": "0x1a0", "read": "mask=0x3", "write": "mask=0x400000001,keep", "audit": True, "quiet": True}'
	printf 'default\tallow\tallow\n0x1\tmask=0x4\tmask=0x0,deny\n' >"$ROOT/policy/active"
	run explain 1
	ok "one bit in words" prints '^    read:  the guest sees bit 2, the others as 0$'
	ok "no bit in words" prints '^    write: no bit may change, a change of another is denied$'
	run explain nothing_like_it 0x10
	ok "an unknown name" ended 1 'no MSR is called "nothing_like_it"'
	ok "and the rest is explained" prints '^0x10$'
	run explain ucode
	ok "part of a name" ended 1 'no MSR is called "ucode"'
	ok "and which have it" ended 1 'names with it: .*MSR_IA32_UCODE_WRITE'
	for bad in 010 0x 0x1g 4294967296 0x100000000 1-2 ''; do
		run explain "$bad"
		ok "explain '$bad'" ended 1 'no MSR index|looks octal|no MSR is called'
		ok "prints nothing" silent out
	done
	echo '0x10 what' >"$ROOT/policy/active"
	run explain 0x10
	ok "a policy that is none" ended 1 'policy/active holds something else than expected'
	printf 'default deny deny\n0x10-0x5 deny deny\n' >"$ROOT/policy/active"
	run explain 0x20
	ok "a rule that is none" ended 1 'policy/active holds something else than expected'
	echo '0x10 deny deny' >"$ROOT/policy/active"
	run explain 0x20
	ok "a policy without a default line" ended 1 'policy/active holds something else'
	{ echo default deny deny; printf '0x%x\t%01000d\tdeny\n' 1 0; } >"$ROOT/policy/active"
	run explain 0x20
	ok "a line that is too long" ended 1 'policy/active holds something else'
	rm -rf "$ROOT"
	run explain 0x10
	ok "without the module" ended 0
	ok "the name is there" prints '^  MSR_IA32_TSC'
	ok "and why there is no verdict" prints '^  no policy to ask: the module is not loaded'
	run explain --json 0x10
	ok "in JSON too" json 'd["msrs"][0]["rule"] is None and "not loaded" in d["no_policy"] and d["mode"] is None'
}

test_watch_without_module()
{
	fresh
	rm -rf "$ROOT"
	run watch --count 1
	ok "watch without the module" ended 3 'the module is not loaded'
	mkdir -p "$ROOT"
	run watch --count 1
	ok "watch without the family" ended 1 'is not in this network namespace'
}

test_usage
test_status
test_status_problems
test_status_garbage
test_not_loaded
test_permission
test_load
test_load_reads_back
test_load_lock
test_diagnosis
test_warnings
test_rules
test_show_mode
test_explain
# Only where this kernel does not really have the module.
[[ -d /sys/kernel/msrguard ]] || test_watch_without_module
end_tests
