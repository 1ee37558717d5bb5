# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A Debian guest under QEMU and KVM, for scripts that run in a host. Sourced. The
# run directory holds its parts: guest-vmlinux and guest-initrd (see guest-image).

# The guest's kernel command line.
GUEST_APPEND="console=ttyS0 quiet loglevel=4 mitigations=off nokaslr panic=-1 tsc=reliable no_timer_check msr.allow_writes=on"

# What such a guest goes without in the emulated AMD host: XSAVE is not whole there, and 7.3
# dies of it at boot. To be put behind the model's name.
# shellcheck disable=SC2034 # for the caller
GUEST_CPU_LESS=,-xsave,-avx,-avx2,-fma,-f16c

# guest_start [QEMU-ARGUMENT...]: boots it; returns when it takes commands.
guest_start()
{
	guest_boot -kernel guest-vmlinux -initrd guest-initrd -append "$GUEST_APPEND" "$@"
}

# guest_boot QEMU-ARGUMENT...: the same for a guest whose arguments say what it boots from.
guest_boot()
{
	coproc GUEST {
		exec qemu-system-x86_64 -accel kvm -cpu host -m 160 -smp 1 \
			-machine pc -nodefaults -no-user-config -display none -no-reboot \
			-serial stdio "$@" 2>guest-qemu.log
	}
	# shellcheck disable=SC2153 # set by coproc
	GUEST_VMM=$GUEST_PID
	# Subshells do not get a coproc's own descriptors.
	exec {GUEST_OUT}<&"${GUEST[0]}" {GUEST_IN}>&"${GUEST[1]}"
	guest_answer || true
	# shellcheck disable=SC2034 # for the caller
	case $GUEST_ANSWER in
	*'@@ ready '*) GUEST_NAME=${GUEST_ANSWER##*@@ ready } ;;
	*) echo "the guest did not start:"; cat guest-qemu.log; return 1 ;;
	esac
}

# guest_answer: reads up to the next "@@" line into GUEST_ANSWER; sets GUEST_STATUS. Fails
# when no line comes for GUEST_TIMEOUT seconds (default 400).
guest_answer()
{
	local line
	GUEST_ANSWER=
	GUEST_STATUS=
	while IFS= read -r -t "${GUEST_TIMEOUT:-400}" -u "$GUEST_OUT" line; do
		line=${line%$'\r'}
		case $line in
		*'@@ ready '*) GUEST_ANSWER=$line; return ;;
		'@@ '*) GUEST_STATUS=${line#@@ }; return ;;
		esac
		GUEST_ANSWER+=${GUEST_ANSWER:+$'\n'}$line
	done
	return 1
}

# guest COMMAND...: runs a line in the guest, prints what it printed, returns its status.
guest()
{
	printf '%s\n' "$*" >&"$GUEST_IN"
	guest_answer || { echo "the guest does not answer; its last words: $GUEST_ANSWER"; return 125; }
	[[ ! $GUEST_ANSWER ]] || printf '%s\n' "$GUEST_ANSWER"
	return "$GUEST_STATUS"
}

guest_stop()
{
	printf 'poweroff\n' >&"$GUEST_IN"
	wait "$GUEST_VMM"
}
