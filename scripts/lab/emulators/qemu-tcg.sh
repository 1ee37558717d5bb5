# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# An AMD host under QEMU's TCG. Sourced by "boot", which has set VENDOR, KERNEL, CPU,
# SMP, MEMORY, ICOUNT, INTERACTIVE, PARAMS and APPEND, and later RUN. Every emulator
# defines the three functions below.

# A limit to know: with two CPUs in the host, a guest in it that takes interrupts
# dies early. TCG's VMRUN delivers the interrupt KVM injects, but leaves it noted as
# pending; if the thread is asked to turn to the other CPU before the guest's next
# exit, the interrupt is delivered again, whatever the guest's IF says. So a host
# with a real guest gets one CPU. Guests that take only exceptions are safe.

# One thread for all CPUs: with one thread a CPU, TCG executes half-patched code
# while the kernel toggles its hooks, and the host dies of it.
EMULATOR_ACCEL=tcg,thread=single,tb-size=512

# The selftests' time limits times this, and how long a second of the host's may take.
EMULATOR_PATIENCE=1
EMULATOR_SECOND=1

emulator_check()
{
	command -v qemu-system-x86_64 >/dev/null ||
		die "no qemu-system-x86_64: run scripts/deps lab"
}

make_tsc_khz()
{
	[[ -x $1 ]] || {
		gcc -std=gnu11 -O2 -Wall -Wextra -Werror -o "$1.new" "$MG_LAB/tsc-khz.c"
		mv "$1.new" "$1"
	}
	touch "$1"
}

# emulator_prepare: makes what is needed, once the kernel is there.
emulator_prepare()
{
	local images measure
	images=$("$MG_LAB/image" "$KERNEL")
	{ read -r VMLINUX && read -r INITRD; } <<<"$images"
	measure=$MG_CACHE/boot/tsc-khz-$(sha256sum <"$MG_LAB/tsc-khz.c" | cut -c1-10)
	with_lock tsc-khz make_tsc_khz "$measure"
	# By --icount it is another clock, which no load disturbs.
	[[ ${ICOUNT:-} ]] || APPEND+=" tsc_early_khz=$("$measure")"
}

# emulator_command: sets COMMAND. It runs until the host powers off or panics,
# with the host's serial console on its standard input and output.
emulator_command()
{
	# Without the check it is silent about the model's features that TCG has not.
	COMMAND=(qemu-system-x86_64 -accel "$EMULATOR_ACCEL" -machine q35 -cpu "$CPU,check=off"
		-smp "$SMP" -m "$MEMORY" -nodefaults -no-user-config -display none -no-reboot
		-kernel "$VMLINUX" -initrd "$INITRD"
		-fsdev "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"
		-device "virtio-9p-pci,fsdev=root,mount_tag=hostroot"
		-fsdev "local,id=lab,path=$RUN,security_model=none,multidevs=remap"
		-device "virtio-9p-pci,fsdev=lab,mount_tag=lab"
		-append "console=ttyS0 loglevel=5 log_buf_len=16M mitigations=off nokaslr tsc=reliable
			random.trust_cpu=on no_timer_check audit=0 apparmor=0 rcupdate.rcu_expedited=1
			oops=panic panic=-1 sysrq_always_enabled $APPEND")
	COMMAND=("${COMMAND[@]//$'\n'/ }")
	COMMAND=("${COMMAND[@]//$'\t'/}")
	if [[ $ICOUNT ]]; then
		COMMAND+=(-icount "shift=0,sleep=off")
	fi
	if [[ $INTERACTIVE ]]; then
		COMMAND+=(-serial mon:stdio)
	else
		COMMAND+=(-serial stdio)
		# For "autopsy". The path of a socket has an end, at 108 bytes.
		((${#RUN} > 90)) || COMMAND+=(-qmp "unix:$RUN/monitor,server=on,wait=off")
	fi
}
