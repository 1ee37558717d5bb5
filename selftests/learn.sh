#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftests/learn.sh, as root in a host with KVM
#
# "msrguard learn" against the real module: what it proposes for what a guest does, that the
# proposal allows that and nothing else, and that what was in force before is put back, however
# it ends. Prints TAP.
#
#   MSRGUARD_BIN  the command (default: msrguard in PATH)
#   MSRGUARD_KO   the module

set -euo pipefail

# shellcheck source=selftests/files/tap.sh
. "$(dirname "$0")/files/tap.sh"

need_root
BIN=$(command -v "${MSRGUARD_BIN:-msrguard}") || die "no command msrguard; set MSRGUARD_BIN"
KO=${MSRGUARD_KO:?set it to the msrguard.ko to test}
need_programs python3 jq
GUEST=$(cd "$(dirname "$0")" && pwd)/files/guest-access
[[ -x $GUEST ]] || die "$GUEST is missing: copy the folder files with this script"

WORK=$(mktemp -d)
SYS=/sys/kernel/msrguard
KEPT=/run/msrguard-learn.policy
LSTAR=0xc0000082
FMASK=0xc0000084
RC=0
if grep -q AuthenticAMD /proc/cpuinfo; then
	UCODE=0xc0010020
else
	UCODE=0x79
fi

cleanup()
{
	# shellcheck disable=SC2046 # words
	end_jobs $(jobs -p)
	[[ ! -d /sys/module/msrguard ]] || rmmod msrguard || true
	rm -rf "$WORK" "$KEPT"
}
trap cleanup EXIT

# run [ARGUMENT...]: the command; sets RC, and the files out and err.
run()
{
	RC=0
	"$BIN" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || RC=$?
}

say_more() { say_output; }

# ended RC [REGEX]: exit status, and a line on stderr.
ended()
{
	[[ $RC == "$1" ]] || return 1
	[[ $# == 1 ]] || grep -Eq -- "$2" "$WORK/err"
}

proposes() { grep -Eq -- "$1" "$WORK/proposal"; }
proposes_not() { ! proposes "$1"; }
# guest FAULTS read|write MSR VALUE COUNT: a guest that does so gets so many #GPs.
guest() { [[ $("$GUEST" "${@:2}") == *" faults=$1" ]]; }
state() { cat "$SYS/policy/hash" "$SYS/mode" "$SYS/events/window"; }
put_back() { [[ $(state) == "$BEFORE" && ! -e $KEPT ]]; }

# learn [ARGUMENT...]: in the background, when it has begun; sets LEARN.
learn()
{
	local try
	rm -f "$WORK/proposal"
	"$BIN" learn -o "$WORK/proposal" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null &
	LEARN=$!
	for ((try = 0; try < 600; try++)); do
		! grep -q '^learning' "$WORK/err" || return 0
		kill -0 "$LEARN" 2>/dev/null || break
		sleep 0.1
	done
	die "learn does not begin: $(<"$WORK/err")"
}

# learn_end [SIGNAL]: end it, or wait for it; sets RC.
learn_end()
{
	[[ $# == 0 ]] || kill "-$1" "$LEARN"
	RC=0
	wait "$LEARN" || RC=$?
}

# begin: a policy that denies what the guests here do.
begin()
{
	printf 'default allow allow\n%s deny deny\n0x174-0x176 deny deny\n%s deny deny\n' \
		"$FMASK" "$UCODE" >"$WORK/old"
	run load "$WORK/old"
	[[ $RC == 0 ]] || die "the policy before cannot be loaded: $(<"$WORK/err")"
	BEFORE=$(state)
}

test_learn()
{
	begin
	ok "before, a guest is denied" guest 3 write $FMASK 0x1230 3
	learn
	ok "while it learns, nothing is" guest 0 write $FMASK 0x1230 3
	ok "neither reads" guest 0 read 0x174 0 5
	ok "nor an address" guest 0 write $LSTAR 0x7f001230 1
	ok "nor what is dangerous" guest 0 write $UCODE 0 1
	learn_end INT
	ok "learn, ended by SIGINT" ended 0
	ok "what was in force is put back" put_back
	ok "and holds" guest 3 write $FMASK 0x1230 3
	ok "a write is proposed with the bits it changed" \
		proposes "^${FMASK}[[:blank:]]+deny[[:blank:]]+mask=0x1230,deny[[:blank:]]+# MSR_SYSCALL_MASK: 3 writes; VM [0-9]+;"
	ok "a read is proposed" proposes '^0x174[[:blank:]]+allow[[:blank:]]+deny[[:blank:]]+# .*: 5 reads;'
	ok "an address, with all its bits" \
		proposes "^${LSTAR}[[:blank:]]+deny[[:blank:]]+allow[[:blank:]]+# MSR_LSTAR: 1 write; .*; holds an address, allowed whole"
	ok "what is dangerous is a comment" proposes "^# $UCODE.* not proposed: .*microcode"
	ok "and nothing else" proposes_not "^$UCODE"
	run check --json "$WORK/proposal"
	ok "it is a policy, and allows nothing dangerous" \
		[ "$(jq '[.files[0].findings[] | select(.severity == "error" or .id == "dangerous")] | length' "$WORK/out")" = 0 ]
	cp "$WORK/proposal" "$WORK/learned"
	run load "$WORK/learned"
	ok "that can be loaded" ended 0
	ok "under it the guest does what it did" guest 0 write $FMASK 0x1230 3
	ok "all of it" guest 0 read 0x174 0 5
	ok "with another address, as after another boot" guest 0 write $LSTAR 0xffff888012345000 1
	ok "a bit of another kind is denied" guest 1 write $FMASK 0x1 1
	ok "as is the other direction" guest 1 write 0x174 0 1
	ok "another MSR" guest 1 read 0x175 0 1
	ok "and what is dangerous" guest 1 write $UCODE 0 1
}

test_learn_base()
{
	begin
	printf 'default deny deny\n0x174 allow deny\n%s deny deny\n' "$UCODE" >"$WORK/base"
	learn --base "$WORK/base"
	ok "with a base, nothing is denied either" guest 0 write $UCODE 0 2
	ok "not by default" guest 0 read $FMASK 0 1
	ok "nor what it allows" guest 0 read 0x174 0 1
	learn_end INT
	ok "learn with a base" ended 0
	ok "what was in force is put back" put_back
	ok "what the base allows is not proposed again" proposes_not '^0x174'
	ok "what it denies is left so" proposes "^# $UCODE: 2 writes, which the rule for $UCODE does not allow"
	run diff "$WORK/base" "$WORK/proposal"
	ok "the difference is what was seen" \
		grep -q "^  $FMASK (MSR_SYSCALL_MASK): reads (A: deny; B: allow)\$" "$WORK/out"
	ok "and no more" [ "$(grep -c '^  ' "$WORK/out")" = 1 ]
}

test_learn_disturbed()
{
	begin
	learn --for 2
	learn_end
	ok "learn, after some time" ended 0
	ok "puts back" put_back
	learn
	echo '0x999 deny deny' >$SYS/rules/add
	learn_end TERM
	ok "another rule meanwhile" ended 1 'somebody else has changed the policy of the learning meanwhile'
	ok "is dropped, and named" grep -q '^  dropped: 0x999 deny deny$' "$WORK/err"
	ok "what was in force is put back" put_back
	ok "and holds" guest 3 write $FMASK 0x1230 3
	learn
	printf 'default allow allow\n0x999 deny deny\n' >$SYS/policy/load
	echo 1 >$SYS/policy/commit
	learn_end TERM
	ok "another policy meanwhile" ended 1 'somebody else has published a policy meanwhile'
	ok "is left in force" grep -q '^0x999' $SYS/policy/active
	ok "the policy before is kept" grep -q "^$FMASK" $KEPT
	run learn --for 1
	ok "and not overwritten" ended 1 'a learning was killed'
	run load $KEPT
	ok "it can be loaded" ended 0
	rm $KEPT
	[[ $(<$SYS/policy/hash) == $(head -n 1 <<<"$BEFORE") ]] || die "the policy kept is another one"
	echo off >$SYS/mode
	BEFORE=$(state)
	learn
	ok "from mode off" guest 0 read $FMASK 0 1
	learn_end INT
	ok "the mode is put back" put_back
	ok "and there is a proposal" proposes "^$FMASK"
	echo enforce >$SYS/mode
	BEFORE=$(state)
	learn
	learn_end KILL
	ok "a learning that is killed blocks nothing" guest 0 write $FMASK 0x1230 1
	run load $KEPT
	ok "until what it kept is loaded" guest 1 write $FMASK 0x1230 1
	rm $KEPT
	echo 1000 >$SYS/events/window
	learn
	rmmod msrguard || die "the module cannot be unloaded"
	learn_end
	ok "a module that goes" ended 3 'the module was unloaded'
	ok "leaves nothing to put back" [ ! -e $KEPT ]
}

rm -f $KEPT
insmod "$KO" || die "the module cannot be loaded: $(dmesg | grep msrguard | tail -n 1)"
test_learn
test_learn_base
test_learn_disturbed
end_tests
