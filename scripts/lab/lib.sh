# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the lab's scripts share: where things are kept, the tables of hosts and
# kernels, locks and messages. Sourced, never run.
#
# A test host is described by a line of the table "hosts": a vendor, a kernel
# and an emulator. A kernel is described by a line of the table "kernels", an
# emulator by a file of the folder "emulators".

MG_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
MG_LAB=$MG_TOP/scripts/lab
MG_CACHE=${MSRGUARD_CACHE:-$HOME/.cache/msrguard}
export MG_TOP MG_LAB MG_CACHE

# Checking each access to memory, and each lock, takes its time: limits are so much longer.
# shellcheck disable=SC2034 # for the caller
MG_DEBUG_PATIENCE=4

note()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 2
}

# usage FILE: the comment at the head of a script is its help text.
usage()
{
	awk 'NR <= 2 { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$1"
}

# with_lock NAME COMMAND...: one process at a time in one cache. The lock goes
# when the command ends or this process dies. (No "||" after the command: that
# would turn off "set -e" in all of it.)
with_lock()
{
	local name=$1
	shift
	mkdir -p "$MG_CACHE/lock"
	exec {MG_LOCK_FD}>"$MG_CACHE/lock/$name"
	if ! flock -n "$MG_LOCK_FD"; then
		note "waiting for another run ($name)"
		flock "$MG_LOCK_FD"
	fi
	"$@"
	exec {MG_LOCK_FD}>&-
}

# table NAME KEY: the line of a table whose first field is KEY.
table()
{
	awk -v key="$2" '$1 == key { print; found = 1; exit } END { exit !found }' "$MG_LAB/$1"
}

# names NAME: all keys of a table.
names()
{
	awk '/^[^#[:space:]]/ { print $1 }' "$MG_LAB/$1"
}

# is_debug_host: whether the kernel of the host that is loaded is a debug kernel.
is_debug_host()
{
	kernel_load "$KERNEL"
	[[ $KERNEL_KIND == debug ]]
}

# hosts_by_kind debug|stock: the hosts with a debug kernel, or all others.
hosts_by_kind()
{
	awk -v want="$1" '
		/^(#|[[:space:]]*$)/ { next }
		FNR == NR { debug[$1] = $2 == "debug"; next }
		debug[$3] == (want == "debug") { print $1 }' "$MG_LAB/kernels" "$MG_LAB/hosts"
}

# default_hosts: the hosts "make test" runs on; those with a debug kernel are for
# "make test-debug".
default_hosts()
{
	hosts_by_kind stock
}

# host_load HOST: sets HOST, VENDOR, KERNEL, EMULATOR, TESTS and CPU. HOST is a name
# in the table "hosts", or a kernel series: its first host is meant.
host_load()
{
	local line
	line=$(table hosts "$1") ||
		line=$(awk -v k="$1" '/^[^#]/ && $3 == k { print; exit }' "$MG_LAB/hosts")
	[[ $line ]] || die "no host '$1'. There are: $(names hosts | xargs)"
	# shellcheck disable=SC2034 # for the caller
	read -r HOST VENDOR KERNEL EMULATOR TESTS CPU <<<"$line"
}

# emulator_load: what is known of the emulator of the host that is loaded.
emulator_load()
{
	# shellcheck source=scripts/lab/emulators/qemu-tcg.sh
	. "$MG_LAB/emulators/$EMULATOR.sh"
}

# kernel_load KERNEL: sets KERNEL_KIND and KERNEL_PACKAGE (see "kernels").
kernel_load()
{
	local line key
	line=$(table kernels "$1") ||
		die "no kernel '$1'. There are: $(names kernels | xargs)"
	# shellcheck disable=SC2034 # for the caller
	read -r key KERNEL_KIND KERNEL_PACKAGE <<<"$line"
}

# Where the unpacked packages of a kernel stand.
kernel_dir()
{
	printf '%s/k/%s\n' "$MG_CACHE" "$1"
}

# Where another release's Debian stands (see "chroot").
chroot_dir()
{
	printf '%s/chroot/%s\n' "$MG_CACHE" "$1"
}

# kernel_field KERNEL NAME: what fetch recorded (release, version, headers).
kernel_field()
{
	local file
	file=$(kernel_dir "$1")/.mg-release
	[[ -f $file ]] || die "kernel $1 is not there yet: run scripts/lab/fetch $1"
	sed -n "s/^$2=//p" "$file"
}

kernel_release()
{
	kernel_field "$1" release
}

# A name for this clone that no other clone on the machine has, so that several
# can share one cache.
clone_id()
{
	printf '%s-%s\n' "$(basename "$MG_TOP" | tr -c 'A-Za-z0-9._\n-' _)" \
		"$(printf %s "$MG_TOP" | sha256sum | cut -c1-10)"
}

# build_dir KERNEL: objects of this clone for one kernel (or for "user": tools
# and selftests, which no kernel version changes).
build_dir()
{
	printf '%s/build/%s/%s\n' "$MG_CACHE" "$(clone_id)" "$1"
}

# new_run_dir HOST: a fresh folder for one boot. Those of failed runs stay for some
# days.
new_run_dir()
{
	local all
	all=$MG_CACHE/run/$(clone_id)
	mkdir -p "$all"
	find "$all" -mindepth 1 -maxdepth 1 -mtime +3 -exec rm -rf {} + || true
	mktemp -d "$all/$1.$(date +%H%M%S).XXXX"
}
