# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# TAP for the tests that are scripts. Sourced, first of all.

TESTS=0
FAILED=0

die()
{
	echo "Bail out! $*"
	exit 1
}

# For a host that is thrown away.
need_root() { [[ $(id -u) == 0 ]] || die "run this as root in a test host, not on a machine that matters"; }

# need_programs NAME...
need_programs()
{
	local program
	for program; do
		command -v "$program" >/dev/null || die "$program is missing"
	done
}

# say_more: what there is to say of a failure, each line a comment. Scripts have their own.
say_more() { :; }

# ok NAME COMMAND...: one test.
ok()
{
	local name=$1
	shift
	TESTS=$((TESTS + 1))
	if "$@"; then
		echo "ok $TESTS - $name"
		return
	fi
	FAILED=$((FAILED + 1))
	echo "not ok $TESTS - $name"
	echo "# not so: $*"
	say_more
}

# say_output: say_more() of those that keep a command's exit status in RC, and what it wrote in the
# files out and err of the folder WORK.
say_output()
{
	echo "# exit status $RC"
	head -n 20 "$WORK/out" | cut -c1-500 | sed 's/^/# stdout: /'
	head -n 20 "$WORK/err" | cut -c1-500 | sed 's/^/# stderr: /'
}

# end_jobs PID...: jobs of this shell. Not by TERM: bash has a handler for it once there is a trap on
# EXIT, a job has that handler until it calls exec, and a signal that comes in between is lost (of
# sleeps killed right after their start, 276 of 61196 lived on). TERM is for programs that have
# something to tidy up and have run for a while.
end_jobs()
{
	local pid
	for pid; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# end_tests: the plan and the sum; fails if a test has.
end_tests()
{
	echo "1..$TESTS"
	echo "# $((TESTS - FAILED)) passed, $FAILED failed"
	[[ $FAILED == 0 ]]
}
