#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftests/cmd.sh, as root in a host with KVM
#
# The command msrguard against the real module: every subcommand with good and bad
# input, its exit status and what it says; who may not use it. Prints TAP.
#
#   MSRGUARD_BIN  the command (default: msrguard in PATH)
#   MSRGUARD_KO   the module

set -euo pipefail

# shellcheck source=selftests/files/command.sh
. "$(dirname "$0")/files/command.sh"
HOLE=$HERE/modules/bitmap_hole.ko
[[ -f $HOLE ]] || die "$HOLE is missing: copy the folder modules with this script"

test_not_loaded()
{
	run status
	ok "status without the module" ended 3
	ok "says how to load it" prints 'do: modprobe msrguard'
	run status --json
	ok "status --json without the module" ended 3
	ok "is JSON" json 'not d["loaded"]'
	for command in show mode 'mode off' "load $WORK/none" 'add 0x10 allow deny' 'del 0x10' verify watch; do
		echo 'default deny deny' >"$WORK/none"
		# shellcheck disable=SC2086 # the words of a command
		run $command
		ok "${command%% *} without the module" ended 3 'the module is not loaded'
	done
}

# Whether the hardware serves the guests' x2APICs itself, by the vendor module's parameter.
has_apicv()
{
	local file
	for file in /sys/module/kvm_intel/parameters/enable_apicv /sys/module/kvm_amd/parameters/avic; do
		[[ ! -f $file || $(<"$file") != [Y1]* ]] || return 0
	done
	return 1
}

test_status()
{
	run status
	ok "status of a fresh module" ended 1
	ok "it guards nothing, and that is told" prints '^wrong: the policy allows everything'
	ok "nothing else is wrong" equal "$(grep -c '^wrong:' "$WORK/out")" 1
	echo 'default allow deny' >"$WORK/policy"
	run load "$WORK/policy"
	run status
	ok "status with a policy" ended 0
	ok "nothing is wrong" prints '^nothing is wrong$'
	run status --json
	ok "every hook is attached" json 'len(d["hooks"]) > 5 and all(h["state"] == "attached" for h in d["hooks"])'
	ok "generation and hash are the module's" json 'int(d["policy"]["generation"], 0) == '"$(<"$SYS/policy/generation")"' and d["policy"]["hash"] == "'"$(<"$SYS/policy/hash")"'"'
	ok "every hook that decides is a direct call" json '{h["mechanism"] for h in d["hooks"]} == {"direct", "observer"}'
	# The default line guards x2APIC registers too.
	ok "warnings are counted" json 'd["policy"]["warnings"] == '"$(has_apicv && echo 1 || echo 0)"
	ok "no VM" json 'd["vms"] == []'
	run verify
	ok "verify without a VM" ended 0
	ok "says so" prints '^no VM is running'
	modprobe -r "${LAB_VENDOR_MODULE:-kvm_amd}"
	run status
	ok "without KVM's vendor module" prints '^note:  neither kvm_amd nor kvm_intel is loaded'
	modprobe "${LAB_VENDOR_MODULE:-kvm_amd}"
}

test_load()
{
	local before after
	cat >"$WORK/policy" <<-END
		# a policy
		0x10		allow	deny
		default		deny	drop	# comment
		0x1a0		allow	mask=0x400000000,deny
		0x800-0x83f	allow	allow	quiet
	END
	before=$(<"$SYS/policy/generation")
	run load "$WORK/policy"
	ok "load" ended 0
	ok "reads back what is in force" prints "^policy loaded: generation $((before + 1)), hash $(<"$SYS/policy/hash")\$"
	run show
	ok "show" ended 0
	ok "has the rules" equal "$(grep -vc '^#' "$WORK/out")" 4
	ok "is the text that the hash is of" equal "$(sha256sum <"$WORK/out")" "$(<"$SYS/policy/hash")  -"
	cp "$WORK/out" "$WORK/canonical"
	before=$(<"$SYS/policy/hash")
	run load "$WORK/canonical"
	ok "what show prints can be loaded" ended 0
	ok "and is the same policy" equal "$before" "$(<"$SYS/policy/hash")"
	RC=0
	"$BIN" load - <"$WORK/policy" >"$WORK/out" 2>"$WORK/err" || RC=$?
	ok "load from standard input" ended 0
	{
		echo default deny deny
		printf '%d allow allow\n' {1..100000}
	} >"$WORK/policy"
	run load "$WORK/policy"
	ok "load of 100000 rules" ended 0
	run status --json
	after=$RC
	ok "status counts them" json 'd["policy"]["rules"] == 100000'
	ok "and is content" equal "$after" 0
}

test_warnings()
{
	printf '# a policy\ndefault allow allow\n0x10 allow allow\n\n0x800-0x83f allow deny\n' >"$WORK/policy"
	run load "$WORK/policy"
	ok "load of an x2APIC range" ended 0
	if has_apicv; then
		ok "warns, at its line" complains "^$WORK/policy:5: warning: .*x2APIC"
		ok "of nothing else" lines_are err 1
		run status
		ok "status counts the warning" prints '^note:  the policy has 1 warning: '
		sed -i '/^0x800/d' "$WORK/policy"
		run load "$WORK/policy"
	else
		ok "warns of nothing, with the hardware serving no x2APIC here" lines_are err 0
	fi
	run status --json
	ok "status counts the warnings" json 'd["policy"]["warnings"] == 0'
}

# refused NAME PLACE-AND-REASON: $WORK/policy is, and changes nothing.
refused()
{
	local before
	before=$(state)
	run load "$WORK/policy"
	ok "$1 is refused" ended 1 "^$WORK/policy$2"
	ok "$1: the policy in force stays" equal "$(state)" "$before"
}

test_load_bad()
{
	local i
	printf 'default allow deny\n' >"$WORK/policy"
	run load "$WORK/policy"
	printf 'default deny deny\n0x10\tallow\tdney\n' >"$WORK/policy"
	refused "an unknown word" ':2:12: .*dney'
	ok "an unknown word: the line and a caret" diff <(tail -n 2 "$WORK/err") - <<-END
		  0x10    allow   dney
		                  ^
	END
	printf 'default deny deny\n0x100000000 allow deny\n' >"$WORK/policy"
	refused "an index over 32 bits" ':2:1: .*32 bits'
	printf 'default deny deny\n0x10 allow mask=0x10000000000000000,deny\n' >"$WORK/policy"
	refused "a mask over 64 bits" ':2:17: .*64 bits'
	printf 'default deny deny\n0x20-0x10 allow deny\n' >"$WORK/policy"
	refused "a reversed range" ':2:[0-9]+: '
	printf 'default deny deny\n0x10-0x20 allow deny\n0x18-0x28 allow deny\n' >"$WORK/policy"
	refused "an overlap" ':3:[0-9]+: '
	printf 'default deny deny\n0x10 allow deny\n0x10 deny deny\n' >"$WORK/policy"
	refused "a duplicate" ':3:[0-9]+: '
	printf '0x10 allow deny\n' >"$WORK/policy"
	refused "no default" ': .*default'
	printf 'default deny deny\ndefault deny deny\n' >"$WORK/policy"
	refused "two defaults" ':2:[0-9]+: .*default'
	printf 'default deny deny\n0x10 al\0ow deny\n' >"$WORK/policy"
	refused "a NUL" ':2:8: .*NUL'
	printf 'default deny deny\n010 allow deny\n' >"$WORK/policy"
	refused "an octal number" ':2:1: '
	head -c 10485760 /dev/urandom >"$WORK/policy"
	refused "10 MB of noise" ':[0-9]+:[0-9]+: '
	{
		echo default deny deny
		head -c 1048576 /dev/zero | tr '\0' 1
		echo ' allow deny'
	} >"$WORK/policy"
	refused "a line of 1 MB" ':2:[0-9]+: .*longer'
	: >"$WORK/policy"
	refused "an empty file" ': .*default'
	printf 'default deny deny\n0x10 allow deny\n0x1' >"$WORK/policy"
	refused "a truncated file" ':3:4: the read column is missing'
	printf 'default deny deny\n0x10 allow deny\nMSR_EFFER allow deny\n' >"$WORK/policy"
	refused "a name for an index" ':3:1: unknown word "MSR_EFFER"'
	printf 'include "none.policy"\n' >"$WORK/policy"
	refused "a file that is not there" ':1:.*none\.policy'
	printf '[intel family=0x3 model=0x1]\n0x10 allow deny\n[amd family=0x3]\n0x10 allow deny\n' \
		>"$WORK/policy"
	refused "sections for other CPUs only" ':1: no section is for this CPU'
	{
		echo default allow allow
		for ((i = 0; i < 50000; i++)); do
			printf '0x%x deny deny\n' $((0x10000 + 2 * i))
		done
	} >"$WORK/many"
	{ cat "$WORK/many"; echo '0x10000 allow deny'; } >"$WORK/policy"
	refused "50,000 rules, and one of them again" ':50002:[0-9]+: '
	run load "$WORK/many"
	ok "50,000 rules" ended 0
	ok "are in force" equal "$(grep -c '^0x' "$SYS/policy/active")" 50000
	printf 'default allow deny\n' >"$WORK/policy"
	run load "$WORK/policy"
	ok "and replaced" ended 0
	truncate -s 33554433 "$WORK/policy"
	run load "$WORK/policy"
	ok "more than 32 MiB is refused" ended 1 'larger than 32 MiB'
	rm "$WORK/policy"
}

test_two_writers()
{
	local before writer job jobs=()
	echo 'default allow deny' >"$WORK/policy"
	before=$(state)
	# A writer that stages and lives, without the lock that the command takes.
	exec {writer}>"$SYS/policy/load"
	echo 'default deny deny' >&"$writer"
	run load "$WORK/policy"
	ok "load beside another writer" ended 1 "process $$ is staging"
	ok "changes nothing" equal "$(state)" "$before"
	echo 0 >"$SYS/policy/commit"
	exec {writer}>&-
	run load "$WORK/policy"
	ok "load after it" ended 0
	before=$(<"$SYS/policy/generation")
	for job in {1..8}; do
		"$BIN" load "$WORK/policy" >/dev/null 2>>"$WORK/many.err" &
		jobs+=($!)
	done
	RC=0
	for job in "${jobs[@]}"; do
		wait "$job" || RC=$?
	done
	ok "eight loads at once all succeed" equal "$RC" 0
	ok "one after the other" equal "$(<"$SYS/policy/generation")" $((before + 8))
}

test_rules()
{
	local before
	echo 'default allow allow' >"$WORK/policy"
	run load "$WORK/policy"
	run add 0x10 allow deny audit
	ok "add of words" ended 0
	ok "reads back what is in force" prints "^policy changed: generation $(<"$SYS/policy/generation"), hash $(<"$SYS/policy/hash")\$"
	run add '0x800-0x83f drop drop' '0xc0000080 mask=~1 mask=~0x1000,keep quiet'
	ok "add of two in quotes" ended 0
	run add default deny deny
	ok "add of a default" ended 0
	run show
	ok "all are there" equal "$(tr -s '\t' ' ' <"$WORK/out" | grep -v '^#')" \
		"default deny deny
0x10 allow deny audit
0x800-0x83f drop drop
0xc0000080 mask=~0x1 mask=~0x1000,keep quiet"
	before=$(state)
	run add 0x10 deny deny
	ok "add of what is there" ended 1 '^<rule>:1:'
	run add 0x820-0x900 deny deny
	ok "add of an overlap" ended 1 '^<rule>:1:'
	run add 0x11 alow deny
	ok "add of an unknown word" ended 1 '^<rule>:1:6: .*alow'
	ok "shows where" equal "$(tail -n 1 "$WORK/err")" '       ^'
	run del 0x11
	ok "del of what is not there" ended 1 '^<range>:1:'
	run del 0x800
	ok "del of a part of a rule" ended 1 '^<range>:1:'
	run del default
	ok "del of the default" ended 1 '^<range>:1:.*default'
	ok "none of these changed anything" equal "$(state)" "$before"
	run add '0x12 deny deny' '0x13 what deny' '0x14 deny deny'
	ok "the second of three rules" ended 1 '^<rule 2>:1:6:'
	ok "says what is done" complains '1 of 3'
	run show
	ok "the first is in force" prints '^0x12\s'
	ok "the third is not" equal "$(grep -c '^0x14' "$WORK/out")" 0
	run del 0x12 0x800-0x83f
	ok "del" ended 0
	run show
	ok "they are gone" equal "$(grep -cE '^0x(12|800)' "$WORK/out")" 0
}

test_mode()
{
	local mode
	for mode in off audit enforce; do
		run mode "$mode"
		ok "mode $mode" ended 0
		ok "is in force" equal "$(<"$SYS/mode")" "$mode"
		run mode
		ok "and shown" equal "$(<"$WORK/out")" "$mode"
	done
	run mode off
	run status
	ok "off is wrong" ended 1
	ok "and told" prints '^wrong: mode is off'
	run mode enforce
	run mode Enforce
	ok "no such mode" ended 2 'it is off, audit or enforce'
}

# What is shown is of one policy, also while it changes all the time.
test_show_consistent()
{
	local one two changer shown i good=1
	{ echo default deny deny; printf '%d allow allow\n' {1..3000}; } >"$WORK/one"
	{ echo default deny deny; printf '%d allow deny\n' {1..3000}; } >"$WORK/two"
	run load "$WORK/one"
	one=$(<"$SYS/policy/hash")
	run load "$WORK/two"
	two=$(<"$SYS/policy/hash")
	while :; do
		"$BIN" load "$WORK/one"
		"$BIN" load "$WORK/two"
	done >/dev/null 2>&1 &
	changer=$!
	for ((i = 0; i < 10; i++)); do
		run show
		shown=$(sha256sum <"$WORK/out")
		[[ $RC == 0 && ( ${shown%% *} == "$one" || ${shown%% *} == "$two" ) ]] || good=0
	done
	end_jobs "$changer"
	ok "show while the policy changes" equal "$good" 1
}

has_hole() { [[ $(</sys/module/bitmap_hole/parameters/holes) == 1 ]]; }

# A guest that runs all the time, and a hole in the bitmap that the hardware uses for it.
test_verify()
{
	local guest
	run verify 77
	ok "verify of a VM that is not there" ended 1 'no VM of this host has'
	printf 'default allow allow\n0xc0000082 deny deny\n0x12345 deny deny\n' >"$WORK/policy"
	run load "$WORK/policy"
	taskset -c 0 "$GUEST" write 0x174 1 4000000000 >/dev/null 2>&1 &
	guest=$!
	until_it lists "$guest" || die "the guest does not start"
	run verify "$guest" --wait 60
	ok "verify of a running guest" ended 0
	ok "it matches" prints "^vm [0-9]+ pid $guest vcpu 0: matches, 2 guarded accesses are intercepted \\(generation $(<"$SYS/policy/generation")\\)\$"
	run verify --json
	ok "verify of all" ended 0
	ok "finds it" json '[(v["pid"], [c["state"] for c in v["vcpus"]]) for v in d["vms"]] == [('"$guest"', ["matches"])]'
	run_as setpriv --bounding-set=-net_admin --inh-caps=-net_admin -- +++ verify
	ok "verify as root without CAP_NET_ADMIN" ended 4 'not permitted'
	run_as unshare --net +++ verify
	ok "verify in another network namespace" ended 1 'network namespace'

	insmod "$HOLE" pid="$guest" msr=0xc0000082 write=1 || die "$HOLE cannot be loaded"
	# Whoever else runs on its CPU takes the guest off it.
	taskset -c 0 bash -c 'while :; do sleep 0.01; done' &
	until_it has_hole || die "no hole was made"
	end_jobs $!
	rmmod bitmap_hole
	run verify
	ok "a hole in the bitmap" ended 5
	ok "is named" prints '^  msr 0xc0000082 write: the hardware does it without an exit'
	ok "and nothing else" equal "$(grep -c '^  msr' "$WORK/out")" 1
	ok "among what is guarded" prints 'vcpu 0: DIFFERS, 1 of 2 guarded accesses'
	run verify --json
	ok "in JSON too" json 'd["vms"][0]["vcpus"][0]["accesses"] == [{"msr": "0xc0000082", "dir": "write"}]'
	run verify --wait 1
	ok "it stays" ended 5
	run load "$WORK/policy"
	run verify
	ok "a policy published anew closes it" ended 0

	kill -STOP "$guest"
	run verify
	ok "a guest that is stopped is no difference" ended 0
	ok "and named" prints "^vm [0-9]+ pid $guest vcpu 0: not running"
	kill -CONT "$guest"
	run verify --wait 60
	ok "when it goes on, it matches again" prints ' vcpu 0: matches'
	end_jobs "$guest"
	run verify "pid:$guest"
	ok "verify after its end" ended 1 'no VM of this host has'
}

test_permission()
{
	local command files
	echo 'default deny deny' >"$WORK/policy"
	chmod 644 "$WORK/policy"
	for command in status 'status --json' show mode 'mode off' "load $WORK/policy" \
		'add 0x10 allow deny' 'del 0x10' verify watch 'watch --json' vms rules 'top --once'; do
		# shellcheck disable=SC2086 # the words of a command
		run_as "${NOBODY[@]}" +++ $command
		ok "$command as nobody" ended 4
		ok "$command as nobody says why" grep -Eq 'permission denied|not permitted' "$WORK"/{out,err}
	done
	mapfile -t files < <(find "$SYS" -type f)
	# shellcheck disable=SC2016 # for the shell within
	"${NOBODY[@]}" bash -c '
		for file; do
			! read -r <"$file" || echo "$file can be read"
			! : >"$file" || echo "$file can be written"
		done' - "${files[@]}" >"$WORK/out" 2>"$WORK/err"
	ok "the module has files" [ ${#files[@]} -gt 15 ]
	ok "nobody can use any file of the module" lines_are out 0
	run_as setpriv --bounding-set=-net_admin --inh-caps=-net_admin -- +++ watch
	ok "watch as root without CAP_NET_ADMIN" ended 4 'not permitted'
	run_as unshare --net +++ watch
	ok "watch in another network namespace" ended 1 'network namespace'
}

# Callbacks where there could be direct calls.
test_not_direct()
{
	insmod "$KO" direct=0 || die "the module cannot be loaded with direct=0"
	echo 'default allow deny' >"$WORK/policy"
	run load "$WORK/policy"
	run status
	ok "status with direct=0" ended 0
	ok "says what is a callback, and why" prints '^note:  exit-read, .*as the parameter direct=0 asks'
	ok "and lists them" prints '^exit-read +kvm_emulate_rdmsr +callback +attached'
	ok "the guest faults" equal "$("$GUEST" write 0x174 1 3)" "accesses=3 faults=3"
	rmmod msrguard
}

[[ ! -d /sys/module/msrguard ]] || rmmod msrguard
test_not_loaded
insmod "$KO" || die "the module cannot be loaded: $(dmesg | grep msrguard | tail -n 1)"
test_status
test_load
test_warnings
test_load_bad
test_two_writers
test_rules
test_mode
test_show_consistent
test_verify
test_permission
rmmod msrguard
test_not_direct
end_tests
