# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests of "msrguard learn" share: the stand-ins, and what happens meanwhile. Sourced, behind
# lib.sh and events.sh.

FAKE_MODULE=${FAKE_SO%/*}/fake_module.so
[[ -f $FAKE_MODULE ]] || { echo "Bail out! $FAKE_MODULE is missing; run: make -C tools test"; exit 1; }
export MSRGUARD_CPU=amd:0x19:0x21:0x2
KEPT=$MSRGUARD_RUN/msrguard-learn.policy
OLD='default\t\t\tdeny\tdrop\n0x10\t\t\tallow\tdeny\n'
cd "$WORK" || exit 1

# begin: a healthy module with the policy OLD in force, and nothing left from before.
begin()
{
	fresh
	in_force "$OLD"
	mkdir -p "$ROOT/events"
	echo 1000 >"$ROOT/events/window"
}

# learn [ARGUMENT...]: with the events on which $WORK/kernel decides.
# shellcheck disable=SC2034 # RC is for ended()
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
# All is as it was.
put_back()
{
	[[ $(<"$ROOT/policy/active") == "$(printf '%b' "$OLD")" && $(<"$ROOT/mode") == "${1:-enforce}" &&
		$(<"$ROOT/events/window") == 1000 && ! -e $KEPT ]]
}
