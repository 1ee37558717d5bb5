#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftests/tracecmd.sh, as root in a host with KVM
#
# trace-cmd on real events: record, report, stream and filter expressions, with and without the
# plug-in that names MSRs; and that what trace-cmd makes of the format is what the kernel itself
# prints. Prints TAP.
#
#   MSRGUARD_KO      the module
#   MSRGUARD_PLUGIN  the plug-in (default: plugin_msrguard.so beside the command msrguard)

set -euo pipefail

# shellcheck source=selftests/files/tap.sh
. "$(dirname "$0")/files/tap.sh"

if ! command -v trace-cmd >/dev/null; then
	echo "1..0 # SKIP trace-cmd is not installed"
	exit 4
fi
need_root
KO=${MSRGUARD_KO:?set it to the msrguard.ko to test}
BIN=$(command -v msrguard) || die "no command msrguard"
PLUGIN=${MSRGUARD_PLUGIN:-$(dirname "$BIN")/plugin_msrguard.so}
HERE=$(cd "$(dirname "$0")" && pwd)
export GUEST=$HERE/files/guest-access
[[ -x $GUEST ]] || die "$GUEST is missing: copy the folder files with this script"

WORK=$(mktemp -d)
INSTANCE=/sys/kernel/tracing/instances/mg_tracecmd
EVENT=msrguard:msrguard_access
RC=0

cleanup()
{
	[[ ! -d $INSTANCE ]] || rmdir "$INSTANCE"
	trace-cmd reset >/dev/null 2>&1 || true
	[[ ! -d /sys/module/msrguard ]] || rmmod msrguard || true
	rm -rf "$WORK"
}
trap cleanup EXIT

# run COMMAND...: sets RC, and the files out and err.
run()
{
	RC=0
	"$@" >"$WORK/out" 2>"$WORK/err" </dev/null || RC=$?
}

say_more() { say_output; }

ended() { [[ $RC == "$1" ]]; }
equal() { [[ $1 == "$2" ]]; }
prints() { grep -Eq -- "$1" "$WORK/out"; }
prints_not() { ! prints "$1"; }
# Standard input with only what an event says, without who, when and how wide.
texts() { sed -n 's/^.* msrguard_access: *//p'; }

# accesses REGEX: how many accesses the events in out that match tell of. One event may tell of
# several that are alike.
accesses()
{
	texts <"$WORK/out" | awk -v wanted="$1" '
		$0 ~ wanted { sum += match($0, / count=[0-9]+/) ? substr($0, RSTART + 7) : 1 }
		END { print sum + 0 }'
}

# Six accesses that are denied and one that is allowed, and time for the module to tell of them.
# shellcheck disable=SC2016 # for that shell
GUESTS='"$GUEST" write 0x174 0x1122 3 && "$GUEST" write 0x79 5 2 && "$GUEST" read 0x12345 0 1 &&
	"$GUEST" read 0x174 0 1 && sleep 3'

load()
{
	insmod "$KO" || die "$KO cannot be loaded"
	cat >"$WORK/policy" <<-END
		default	allow	allow
		0x79	deny	deny
		0x174	allow	deny
		0x12345	deny	deny
	END
	msrguard load "$WORK/policy" >/dev/null || die "the policy is refused"
	msrguard mode enforce >/dev/null || die "there is no mode enforce"
}

# The same events through the kernel's own text, in an instance of tracefs.
test_record()
{
	mkdir "$INSTANCE"
	echo 1 >"$INSTANCE/events/msrguard/msrguard_access/enable"
	run trace-cmd record -q -e "$EVENT" -o "$WORK/dat" sh -c "$GUESTS"
	ok "record" ended 0
	echo 0 >"$INSTANCE/events/msrguard/msrguard_access/enable"
	texts <"$INSTANCE/trace" | sort >"$WORK/kernel"
	rmdir "$INSTANCE"

	run trace-cmd report -q -N -i "$WORK/dat"
	ok "report without plug-ins" ended 0
	ok "the denied writes" equal "$(accesses '(^| )msr=0x174 .*dir=write .*verdict=denied')" 3
	ok "of another MSR" equal "$(accesses '(^| )msr=0x79 .*dir=write .*value=0x5 ')" 2
	ok "the denied read" equal "$(accesses '(^| )msr=0x12345 .*dir=read ')" 1
	ok "and no others" equal "$(accesses .)" 6
	ok "no names" prints_not ' name='
	ok "all of it is key=value" equal \
		"$(texts <"$WORK/out" | tr ' ' '\n' | grep -cvE '^[a-z_]+=[^=]+$')" 0
	texts <"$WORK/out" | sort >"$WORK/plain"
	ok "it is what the kernel prints" diff "$WORK/kernel" "$WORK/plain"

	run trace-cmd report -q -R -N -i "$WORK/dat"
	ok "report of raw fields" prints ' msr=(372|0x174) '
}

test_plugin()
{
	if [[ ! -f $PLUGIN ]]; then
		TESTS=$((TESTS + 1))
		echo "ok $TESTS - the plug-in # SKIP $PLUGIN is missing: built without libtraceevent"
		return
	fi
	mkdir "$WORK/plugins"
	cp "$PLUGIN" "$WORK/plugins/"
	export TRACEEVENT_PLUGIN_DIR=$WORK/plugins
	run trace-cmd list -P
	ok "trace-cmd finds the plug-in" prints "$WORK/plugins/plugin_msrguard\\.so"
	run trace-cmd report -q -i "$WORK/dat"
	ok "report with the plug-in" ended 0
	ok "names the MSR" equal "$(accesses '(^| )msr=0x174 .* name=MSR_IA32_SYSENTER_CS$')" 3
	ok "and the other" equal "$(accesses '(^| )msr=0x79 .* name=MSR_IA32_UCODE_WRITE$')" 2
	ok "and says of what it knows no name" equal "$(accesses '(^| )msr=0x12345 .* name=unknown$')" 1
	texts <"$WORK/out" | sed 's/ name=[A-Za-z0-9_]*$//' | sort >"$WORK/named"
	ok "and changes nothing else" diff "$WORK/plain" "$WORK/named"
	run trace-cmd report -q -N -i "$WORK/dat"
	ok "-N leaves it out" prints_not ' name='
	ok "and prints the events" equal "$(accesses .)" 6
	run trace-cmd report -q -n msrguard_access -i "$WORK/dat"
	ok "-n leaves it out" prints_not ' name='
	ok "and prints the events" equal "$(accesses .)" 6
}

test_filters()
{
	run trace-cmd report -q -F 'msrguard_access: msr == 0x174' -i "$WORK/dat"
	ok "report with a filter" ended 0
	ok "prints what it wants" equal "$(accesses '(^| )msr=0x174 ')" 3
	ok "and nothing else" equal "$(accesses .)" 3

	run trace-cmd record -q -e "$EVENT" -f 'verdict == 2 && dir == 0' -o "$WORK/filtered" \
		sh -c "$GUESTS"
	ok "record with a filter" ended 0
	run trace-cmd report -q -i "$WORK/filtered"
	ok "records what it wants" equal "$(accesses '(^| )msr=0x12345 .*dir=read ')" 1
	ok "and nothing else" equal "$(accesses .)" 1

	run trace-cmd record -q -e "$EVENT" -f 'no_such_field == 1' -o "$WORK/none" true
	ok "a filter on a field that is not there is told" prints 'Field not found'
}

# It waits until the buffer is half full, unless told otherwise; it then prints what fills a page,
# some thirty events, and may lose the rest at its end (trace-cmd 3.1.6). So there are more, one an
# access, on one CPU.
test_stream()
{
	local streamed window=/sys/kernel/msrguard/events/window percent=/sys/kernel/tracing/buffer_percent
	local before
	before=$(<"$percent")
	echo 0 >"$percent"
	[[ ! -e $window ]] || echo 0 >"$window"
	# When the command has ended, trace-cmd stops in the middle of what it has to print.
	# shellcheck disable=SC2016 # for that shell
	OUT=$WORK/out run trace-cmd stream -e "$EVENT" -f 'msr == 0x174' \
		sh -c '"$GUEST" write 0x79 5 2 && taskset -c 0 "$GUEST" write 0x174 1 400 || exit
			for try in $(seq 40); do
				[ $(grep -c msr=0x174 "$OUT") -lt 250 ] || break
				sleep 0.5
			done'
	echo "$before" >"$percent"
	ok "stream with a filter" ended 0
	streamed=$(accesses '(^| )msr=0x174 .*verdict=denied')
	ok "prints events" test "$streamed" -ge 200
	texts <"$WORK/out" | grep -v ' verdict=.* name=' | sed 's/^/# cut off: /' | cut -c 1-300 || true
	# A line of it may be cut off: trace-cmd is stopped while it prints, and says what was dropped.
	ok "and nothing else" equal "$(grep -oE '\bmsr=0x[0-9a-f]+ ' "$WORK/out" | sort -u)" 'msr=0x174 '
	if [[ -f $PLUGIN ]]; then
		ok "with names" test "$(accesses ' name=MSR_IA32_SYSENTER_CS$')" -ge $((streamed - 1))
	fi
}

# The format is in the file: it is read on a machine without the module.
test_unloaded()
{
	rmmod msrguard || die "the module cannot be unloaded"
	run trace-cmd report -q -i "$WORK/dat"
	ok "report when the module is gone" equal "$(accesses .)" 6
	run trace-cmd record -q -e "$EVENT" -o "$WORK/none" true
	ok "record when it is gone is refused" test "$RC" != 0
}

[[ ! -d /sys/module/msrguard ]] || rmmod msrguard
load
test_record
test_plugin
test_filters
test_stream
test_unloaded
end_tests
