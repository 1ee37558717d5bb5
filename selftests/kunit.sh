#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftests/kunit.sh, as root in a host whose kernel has KUnit
#
# Loads the KUnit tests (scripts/lab/build --kunit), which run in the real kernel then:
# with its SRCU, its per-CPU data, its tracepoints, and whatever its debugging finds.
# Prints each test as a line of TAP.

set -euo pipefail
cd "$(dirname "$0")"

SUITES=(msrguard-policy msrguard-policy-errors msrguard-policy-many msrguard-policy-memory
	msrguard-policy-model msrguard-image msrguard-image-pe msrguard-image-linux
	msrguard-image-torn msrguard-guard msrguard-staging msrguard-report)
RESULTS=/sys/kernel/debug/kunit

echo "TAP version 13"
# Only hosts whose kernel has KUnit run this ("only.kunit.sh" in settings).
for need in "modprobe kunit enable=1" "test -f modules/msrguard_test.ko"; do
	if ! said=$($need 2>&1); then
		echo "1..1"
		echo "not ok 1 $need: ${said//$'\n'/; }"
		exit 1
	fi
done
[[ ! -d /sys/module/msrguard ]] || rmmod msrguard

work=$(mktemp -d)
trap 'rmmod msrguard_test 2>/dev/null || true; rm -rf "$work"' EXIT
loaded=ok
insmod modules/msrguard_test.ko 2>"$work/insmod" || loaded="not ok"
for suite in "${SUITES[@]}"; do
	# One that was switched off, or filtered away, has no results or empty ones.
	grep -s . "$RESULTS/$suite/results" >"$work/suite" || true
	if grep -qE "^(not )?ok [0-9]+ $suite\$" "$work/suite"; then
		cat "$work/suite"
	else
		echo "lost $suite"
	fi
done >"$work/results"
# One that is missing in the list above would have run for nobody.
for dir in "$RESULTS"/msrguard-*; do
	[[ " ${SUITES[*]} " == *" ${dir##*/} "* ]] || echo "unread ${dir##*/}"
done >>"$work/results"
echo "$loaded - the module with the tests loads $(<"$work/insmod")" >"$work/tap"

# The results are TAP nested by four blanks a level. One that has others under it says
# nothing new, unless it fails though none of them did.
awk '
	function depth_of(line) { match(line, /^ */); return int(RLENGTH / 4) }
	function name_of(line) { sub(/^ *(not )?ok [0-9]+ *(- )?/, "", line); return line }
	function lost(depth)
	{
		if (got[depth] < planned[depth])
			printf "not ok - %s: %d planned results are missing\n", subtest[depth],
				planned[depth] - got[depth]
		got[depth] = planned[depth] = bad_below[depth] = 0
	}
	{ sub(/\r$/, "") }
	/^unread / { printf "not ok - %s: this script does not know the suite\n", $2; next }
	/^lost / { printf "not ok - %s: no such suite ran\n", $2; next }
	/^ *# Subtest: / { name = $0; sub(/^ *# Subtest: /, "", name); subtest[depth_of($0)] = name; next }
	/^ *1\.\.[0-9]+/ {
		depth = depth_of($0)
		plan = $0
		sub(/^ *1\.\./, "", plan)
		planned[depth] = plan + 0
		got[depth] = 0
		next
	}
	/^ *(not )?ok [0-9]+/ {
		depth = depth_of($0)
		bad = $0 ~ /^ *not ok/
		got[depth]++
		path = ""
		for (i = 1; i <= depth; i++)
			path = path subtest[i] ": "
		if (planned[depth + 1] || got[depth + 1]) {
			if (bad && !bad_below[depth + 1])
				print "not ok - " path name_of($0) " failed as a whole"
			lost(depth + 1)
		} else {
			print (bad ? "not ok" : "ok") " - " path name_of($0)
		}
		if (bad)
			bad_below[depth] = 1
		next
	}
	/^ *(KTAP version|# module: )/ { next }
	/[^ ]/ { sub(/^ *(# )?/, ""); print "# " $0 }
' "$work/results" >>"$work/tap"

removed=ok
rmmod msrguard_test 2>"$work/rmmod" || removed="not ok"
echo "$removed - the module with the tests unloads $(<"$work/rmmod")" >>"$work/tap"

echo "1..$(grep -cE '^(not )?ok ' "$work/tap")"
awk '/^not ok / { sub(/^not ok /, ""); print "not ok " ++n " " $0; bad = 1; next }
	/^ok / { sub(/^ok /, ""); print "ok " ++n " " $0; next }
	{ print }
	END { exit bad }' "$work/tap"
