# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests of the command against a fake module share. Sourced, with MSRGUARD_BIN set.

: "${MSRGUARD_BIN:?set it to the command to test, or run: make -C tools test}"
for program in python3 flock script setpriv; do
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
FAKE_SO=$(cd "$(dirname "$MSRGUARD_BIN")" && pwd)/tests/fake_kernel.so
[[ -f $FAKE_SO ]] || { echo "Bail out! $FAKE_SO is missing; run: make -C tools test"; exit 1; }

export MSRGUARD_SYSFS=$WORK/sys MSRGUARD_RUN=$WORK/run LC_ALL=C.UTF-8
ROOT=$MSRGUARD_SYSFS/kernel/msrguard
HASH=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
TESTS=0
FAILED=0
RC=0

# The files of a healthy module.
fresh()
{
	rm -rf "$MSRGUARD_SYSFS" "$MSRGUARD_RUN"
	mkdir -p "$MSRGUARD_RUN" "$ROOT"/{policy,rules,stats,vms} "$MSRGUARD_SYSFS"/module/{kvm,kvm_amd}
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
		bitmap kvm_msr_allowed direct attached 18446744073709551615
		vcpu-created kvm_arch_vcpu_postcreate observer attached 2
	END
	echo 5 | tee "$ROOT"/stats/{reads,writes,denied,dropped,masked,audited,quiet} \
		>"$ROOT/stats/pending"
	echo 10 >"$ROOT/stats/sequence"
	echo 0 | tee "$ROOT"/stats/{overflowed,lost,events_sent,events_lost} >"$ROOT/stats/unattributed"
	cat >"$ROOT/vms/list" <<-END
		#                 id        pid vcpus   reads writes denied dropped masked audited
		                   3       4242     2   1 2 3 4 5 9007199254740993
	END
}

# in_force TEXT: the module has taken this policy, in its canonical form.
in_force()
{
	printf '%b' "$1" >"$ROOT/policy/active"
	sha256sum <"$ROOT/policy/active" | cut -d ' ' -f 1 >"$ROOT/policy/hash"
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

# skip NAME REASON: one test that cannot be made here.
skip()
{
	TESTS=$((TESTS + 1))
	echo "ok $TESTS - $1 # SKIP $2"
}

# ended RC [REGEX]: exit status, and a line on stderr.
ended()
{
	[[ $RC == "$1" ]] || return 1
	[[ $# == 1 ]] || grep -Eq -- "$2" "$WORK/err"
}

prints() { grep -Eq -- "$1" "$WORK/out"; }
prints_not() { ! prints "$1"; }
equal_lines() { [[ $(grep -Ec -- "$1" "$WORK/out") == "$2" ]]; }
equals() { [[ $1 == "$2" ]]; }
silent() { [[ ! -s $WORK/$1 ]]; }
file_is() { [[ $(<"$ROOT/$1") == "$2" ]]; }
err_not() { ! grep -Eq -- "$1" "$WORK/err"; }
# out_is, err_is: all of it is what stands on stdin.
out_is() { diff "$WORK/out" - >"$WORK/diff"; }
err_is() { diff "$WORK/err" - >"$WORK/diff"; }
# json EXPRESSION: of the parsed output, called d.
json() { python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$WORK/out" "$1"; }

# kernel: how the netlink family answers, see fake_kernel.c; its description stands on stdin.
kernel() { cat >"$WORK/kernel"; }

# run_fake [ARGUMENT...]: as run, with the kernel that $WORK/kernel describes.
run_fake()
{
	RC=0
	LD_PRELOAD=$FAKE_SO FAKE_KERNEL=$WORK/kernel "$WORK/msrguard" "$@" \
		>"$WORK/out" 2>"$WORK/err" </dev/null || RC=$?
}

# end_tests: the plan, and the exit status.
end_tests()
{
	echo "1..$TESTS"
	echo "# $((TESTS - FAILED)) passed, $FAILED failed"
	[[ $FAILED == 0 ]]
}
