# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What cmd.sh and watch.sh, the tests of the command msrguard, share. Sourced.
#
#   MSRGUARD_BIN  the command (default: msrguard in PATH)
#   MSRGUARD_KO   the module

# shellcheck source=selftests/files/tap.sh
. "$(dirname "$0")/files/tap.sh"

need_root
BIN=$(command -v "${MSRGUARD_BIN:-msrguard}") || die "no command msrguard; set MSRGUARD_BIN"
KO=${MSRGUARD_KO:?set it to the msrguard.ko to test}
need_programs python3 setpriv taskset unshare sha256sum
HERE=$(cd "$(dirname "$0")" && pwd)
GUEST=$HERE/files/guest-access
[[ -x $GUEST ]] || die "$GUEST is missing: copy the folder files with this script"

WORK=$(mktemp -d)
chmod 755 "$WORK"
# Also for a user who may not look where the command lies.
cp "$BIN" "$WORK/msrguard"
BIN=$WORK/msrguard
SYS=/sys/kernel/msrguard
TRACING=/sys/kernel/tracing
RC=0
NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups --)

cleanup()
{
	# shellcheck disable=SC2046 # words
	end_jobs $(jobs -p)
	[[ ! -d /sys/module/bitmap_hole ]] || rmmod bitmap_hole || true
	[[ ! -d /sys/module/msrguard ]] || rmmod msrguard || true
	rm -rf "$WORK"
}
trap cleanup EXIT

# run [ARGUMENT...]: the command; sets RC, and the files out and err.
run()
{
	RC=0
	"$BIN" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || RC=$?
}

# run_as PREFIX... +++ ARGUMENT...: the same under another command.
run_as()
{
	local prefix=()
	while [[ $1 != +++ ]]; do
		prefix+=("$1")
		shift
	done
	shift
	RC=0
	"${prefix[@]}" "$BIN" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || RC=$?
}

say_more() { say_output; }

# ended RC [REGEX]: exit status, and a line on stderr.
ended()
{
	[[ $RC == "$1" ]] || return 1
	[[ $# == 1 ]] || grep -Eq -- "$2" "$WORK/err"
}

prints() { grep -Eq -- "$1" "$WORK/out"; }
complains() { grep -Eq -- "$1" "$WORK/err"; }
lines_are() { [[ $(wc -l <"$WORK/$1") == "$2" ]]; }
equal() { [[ $1 == "$2" ]]; }
json() { python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$WORK/out" "$1"; }
# json_lines EXPRESSION: of the list of objects, called d.
json_lines() { python3 -c 'import json, sys; d = [json.loads(l) for l in open(sys.argv[1])]; sys.exit(not eval(sys.argv[2]))' "$WORK/watch.out" "$1"; }
state() { cat "$SYS/policy/generation" "$SYS/policy/hash"; }
sequence() { cat "$SYS/stats/sequence"; }

# watch ARGUMENT...: in the background, when it listens; sets WATCH.
watch()
{
	local try
	"$BIN" watch "$@" >"$WORK/watch.out" 2>"$WORK/watch.err" </dev/null &
	WATCH=$!
	for ((try = 0; try < 300; try++)); do
		! grep -q '^listening' "$WORK/watch.err" || return 0
		kill -0 "$WATCH" 2>/dev/null || break
		sleep 0.1
	done
	die "watch does not listen: $(<"$WORK/watch.err")"
}

# watch_end [SIGNAL]: end it, or wait for it; sets RC, out and err.
watch_end()
{
	[[ $# == 0 ]] || kill "-$1" "$WATCH"
	RC=0
	wait "$WATCH" || RC=$?
	cp "$WORK/watch.out" "$WORK/out"
	cp "$WORK/watch.err" "$WORK/err"
}

# until_it COMMAND...: try for a minute
until_it() { local try; for ((try = 0; try < 600; try++)); do "$@" && return; sleep 0.1; done; return 1; }
lists() { grep -q " $1 " "$SYS/vms/list"; }
all_told() { [[ $(<"$SYS/stats/pending") == 0 ]]; }
