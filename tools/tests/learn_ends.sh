#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: MSRGUARD_BIN=FILE tools/tests/learn_ends.sh
#
# Tests how "msrguard learn" ends, and what it puts back, without the module, with stand-ins for the
# kernel's netlink and for what publishes a policy. Prints TAP.

set -euo pipefail

# shellcheck source=tools/tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/tests/events.sh
. "$(dirname "$0")/events.sh"
# shellcheck source=tools/tests/learning.sh
. "$(dirname "$0")/learning.sh"

LEARNING='default\t\t\tdeny\tdeny\taudit\n'
OTHER='default\t\t\tallow\tdeny\n0x79\t\t\tdeny\tdeny\n'

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

test_learn_ends
test_learn_output
test_learn_disturbed
test_learn_unread
test_learn_rule_meanwhile
test_learn_set_meanwhile
test_learn_signals
test_learn_status
end_tests
