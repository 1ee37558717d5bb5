#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: MSRGUARD_BIN=FILE tools/tests/fake.sh
#
# Tests the command without the module, against files that look like the module's.
# Prints TAP; needs no root, and uses it if it is there.

set -euo pipefail

: "${MSRGUARD_BIN:?set it to the command to test, or run: make -C tools test}"
for program in python3 flock setpriv; do
	if ! command -v "$program" >/dev/null; then
		echo "Bail out! $program is missing; on Debian: apt-get install python3 util-linux"
		exit 1
	fi
done

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
chmod 755 "$WORK"
# Also for a user who may not look where the command was built.
cp "$MSRGUARD_BIN" "$WORK/msrguard"

export MSRGUARD_SYSFS=$WORK/sys LC_ALL=C.UTF-8
ROOT=$MSRGUARD_SYSFS/kernel/msrguard
HASH=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
TESTS=0
FAILED=0
RC=0

# The files of a healthy module.
fresh()
{
	rm -rf "$MSRGUARD_SYSFS"
	mkdir -p "$ROOT"/{policy,rules,stats,vms} "$MSRGUARD_SYSFS"/module/{kvm,kvm_amd}
	echo enforce >"$ROOT/mode"
	echo 7 >"$ROOT/policy/generation"
	echo "$HASH" >"$ROOT/policy/hash"
	printf 'default\t\t\tdeny\tdrop\n0x10\t\t\tallow\tdeny\n0x800-0x83f\t\tallow\tallow\n' \
		>"$ROOT/policy/active"
	: >"$ROOT/policy/error"
	: >"$ROOT/policy/load"
	: >"$ROOT/policy/commit"
	: >"$ROOT/rules/add"
	: >"$ROOT/rules/remove"
	cat >"$ROOT/hooks" <<-END
		# hook function mechanism state calls
		exit-read kvm_emulate_rdmsr direct attached 12
		bitmap kvm_msr_allowed callback attached 18446744073709551615
	END
	echo 5 | tee "$ROOT"/stats/{reads,writes,denied,dropped,masked,audited} >"$ROOT/stats/sequence"
	echo 0 | tee "$ROOT"/stats/{events_sent,events_lost} >"$ROOT/stats/unattributed"
	cat >"$ROOT/vms/list" <<-END
		#                 id        pid vcpus   reads writes denied dropped masked audited
		                   3       4242     2   1 2 3 4 5 9007199254740993
	END
}

# run [ARGUMENT...]: the command; sets RC, and the files out and err.
run()
{
	RC=0
	"$WORK/msrguard" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || RC=$?
}

# ok NAME COMMAND...: one test.
ok()
{
	local name=$1
	shift
	TESTS=$((TESTS + 1))
	if "$@"; then
		echo "ok $TESTS - $name"
	else
		FAILED=$((FAILED + 1))
		echo "not ok $TESTS - $name"
		echo "# not so: $*"
		echo "# exit status $RC"
		sed 's/^/# stdout: /' "$WORK/out"
		sed 's/^/# stderr: /' "$WORK/err"
	fi
}

# ended RC [REGEX]: exit status, and a line on stderr.
ended()
{
	[[ $RC == "$1" ]] || return 1
	[[ $# == 1 ]] || grep -Eq -- "$2" "$WORK/err"
}

prints() { grep -Eq -- "$1" "$WORK/out"; }
prints_not() { ! prints "$1"; }
silent() { [[ ! -s $WORK/$1 ]]; }
file_is() { [[ $(<"$ROOT/$1") == "$2" ]]; }
# err_is: all of stderr is what stands on stdin.
err_is() { diff "$WORK/err" - >"$WORK/diff"; }
# json EXPRESSION: of the parsed output, called d.
json() { python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$WORK/out" "$1"; }

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
	for command in status load show add del mode watch; do
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
	ok "hooks" prints '^bitmap +kvm_msr_allowed +callback +attached +18446744073709551615$'
	ok "VMs" prints '^ +3 +4242 +2 +1 +2 +3 +4 +5 +9007199254740993$'
	run status --json
	ok "healthy in JSON" ended 0
	ok "is JSON" json 'd["ok"] and d["loaded"] and d["mode"] == "enforce" and d["problems"] == []'
	ok "JSON policy" json 'd["policy"] == {"generation": "0x7", "hash": "'"$HASH"'", "rules": 2, "default": {"read": "deny", "write": "drop"}, "last_error": None}'
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
	sed -i 's/^bitmap.*/bitmap kvm_msr_allowed callback detached 3/' "$ROOT/hooks"
	run status --json
	ok "a detached hook is wrong" ended 1
	ok "and named" json '[p for p in d["problems"] if p["severity"] == "wrong" and "bitmap" in p["what"] and p["do"]]'
	fresh
	sed -i 's/^exit-read.*/exit-read kvm_emulate_rdmsr direct shared 3/' "$ROOT/hooks"
	run status
	ok "a shared hook is not wrong" ended 0
	ok "but told" prints '^note:  hook exit-read: a tracer'
	fresh
	echo '# hook function mechanism state calls' >"$ROOT/hooks"
	run status
	ok "no hook is wrong" ended 1
	fresh
	echo 4 >"$ROOT/stats/events_lost"
	run status
	ok "lost events are wrong" ended 1
	ok "and counted" prints '^wrong: 4 events did not reach'
	fresh
	printf 'default\t\t\tallow\tallow\n' >"$ROOT/policy/active"
	run status
	ok "the first policy is wrong" ended 1
	ok "and says how to load one" prints '^   do: msrguard load FILE'
	printf 'default\t\t\tallow\tallow\n0x10\tdeny\tdeny\n' >"$ROOT/policy/active"
	run status
	ok "allowing by default is not" ended 0
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
	for command in status show mode 'mode off' "load $WORK/policy" 'add 0x10 allow deny' 'del 0x10'; do
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
	for command in status 'status --json' show mode 'mode off' "load $WORK/policy" 'add 0x10 allow deny' 'del 0x10'; do
		RC=0
		# shellcheck disable=SC2086 # the words of a command
		"${as_nobody[@]}" "$WORK/msrguard" $command >"$WORK/out" 2>"$WORK/err" || RC=$?
		ok "$command without permission" ended 4
		ok "says why" grep -q 'permission denied' "$WORK"/{out,err}
	done
}

test_load()
{
	fresh
	printf '# a policy\ndefault deny deny\n' >"$WORK/policy"
	run load "$WORK/policy"
	ok "load" ended 0
	ok "reads back what is in force" prints "^policy loaded: generation 7, hash $HASH\$"
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

test_load_lock()
{
	local holder loader waits=1
	fresh
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
test_load_lock
test_diagnosis
test_rules
test_show_mode
# Only where this kernel does not really have the module.
[[ -d /sys/kernel/msrguard ]] || test_watch_without_module
echo "1..$TESTS"
echo "# $((TESTS - FAILED)) passed, $FAILED failed"
[[ $FAILED == 0 ]]
