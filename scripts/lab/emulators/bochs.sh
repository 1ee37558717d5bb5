# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# A host under Bochs, an emulator of CPUs to the letter: Intel with VMX, and AMD CPUs
# with what QEMU's TCG lacks. Debian 13's package, run from its chroot. Sourced by
# "boot", see emulators/qemu-tcg.sh. CPU is a CPU model of Bochs's.
#
# There is no folder to share with this machine: the host's root and its copy of the
# run directory are in its memory; what changes in the latter is written back while
# the host runs (bochs/run). One instruction takes one tick of the TSC, always, so
# with one CPU it counts instructions without being asked (--icount).

# Ticks, so instructions, a second of emulated time.
BOCHS_IPS=100000000

# See emulators/qemu-tcg.sh.
EMULATOR_PATIENCE=4
EMULATOR_SECOND=4

# Self-tests and certificates that the kernel goes through at boot: a third of it, and
# nothing to do with KVM.
BOCHS_LEAVE_OUT=jent_mod_init,crypto_kdf108_init,load_system_certificate_list,init_encrypted
BOCHS_LEAVE_OUT+=,bpf_tcp_ca_kfunc_init,bpf_dummy_struct_ops_init

emulator_check()
{
	:
}

emulator_prepare()
{
	local parts
	BOCHS_ROOT=$("$MG_LAB/chroot" trixie bochs bochsbios vgabios)
	parts=$("$MG_LAB/bochs/parts" "$KERNEL")
	{
		read -r BOCHS_ROM && read -r VMLINUX && read -r BOCHS_FLAT &&
			mapfile -t BOCHS_INITRD
	} <<<"$parts"
	# The modules stand where they belong, and so does the rest.
	HOST_KERNEL_DIR=/
	# Bochs wants a page-aligned descriptor for posted interrupts, which KVM's is not.
	PARAMS+=(kvm_intel.enable_apicv=0)
	EMULATOR_OUTPUT=emulator.log
	# Its newer models have fast short REP MOV (FSRM) with fast strings switched off
	# (MISC_ENABLE), so the kernel uses the one without the other. 6.1's memmove() then loses
	# its check for short lengths, and the boot ends without a word.
	[[ $KERNEL != 6.1 ]] || APPEND+=" clearcpuid=fsrm"
	# After an exit other than #DB, its VMRUN leaves the guest's pending single step to
	# the host, which dies of it.
	[[ $VENDOR != amd ]] ||
		HOST_ENV+=("LAB_NO_SINGLE_STEP=Bochs cannot single-step a guest under SVM")
}

emulator_command()
{
	local work=$RUN/.bochs share=$BOCHS_ROOT/usr/share part
	local lib=$BOCHS_ROOT/usr/lib/x86_64-linux-gnu
	local serial="mode=file, dev=$RUN/console.log"
	rm -rf "$work"
	mkdir -p "$work"
	# A CPU that waits by MWAIT misses that another one writes what it monitors, now and then: a
	# task that was woken on it then never runs. One that halts is woken by an interrupt.
	((SMP == 1)) || APPEND+=" idle=halt"
	[[ ! $INTERACTIVE ]] || serial="mode=term, dev=$work/terminal"
	cat >"$work/bochsrc" <<-END
		config_interface: textconfig
		display_library: rfb, options="timeout=0"
		cpu: model=$CPU, count=$SMP, ips=$BOCHS_IPS, reset_on_triple_fault=0, ignore_bad_msrs=1
		memory: guest=$MEMORY, host=$MEMORY
		romimage: file=$share/bochs/BIOS-bochs-latest, options=fastboot
		vgaromimage: file=$share/vgabios/vgabios.bin
		optromimage1: file=$BOCHS_ROM, address=0xd0000
		ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
		ata0-master: type=disk, mode=flat, path=$work/disk
		boot: disk
		floppy_bootsig_check: disabled=1
		clock: sync=none, time0=$(date +%s)
		com1: enabled=1, $serial
		parport1: enabled=0
		port_e9_hack: enabled=1
		log: $work/log
		panic: action=fatal
		error: action=ignore
		info: action=ignore
		debug: action=ignore
	END
	COMMAND=(env "LTDL_LIBRARY_PATH=$lib/bochs/plugins" "$MG_LAB/bochs/run"
		--run "$RUN" --work "$work" --disk "$work/disk" --layout "$MG_LAB/bochs/layout.h"
		--log "$RUN/emulator.log" --memory "$MEMORY"
		--kernel "$VMLINUX" --kernel-image "$(kernel_field "$KERNEL" image)" --flat "$BOCHS_FLAT"
		"${BOCHS_INITRD[@]/#/--initrd=}" ${INTERACTIVE:+--terminal="$work/terminal"}
		--append "console=ttyS0,115200 loglevel=5 log_buf_len=16M mitigations=off nokaslr
			tsc=reliable tsc_early_khz=$((BOCHS_IPS / 1000)) random.trust_cpu=on no_timer_check audit=0 apparmor=0 nowatchdog
			rcupdate.rcu_expedited=1 oops=panic panic=-1 reboot=t cryptomgr.notests initcall_blacklist=$BOCHS_LEAVE_OUT $APPEND"
		-- "$BOCHS_ROOT/lib64/ld-linux-x86-64.so.2" --library-path "$lib"
		"$BOCHS_ROOT/usr/bin/bochs-bin" -q -f "$work/bochsrc")
	COMMAND=("${COMMAND[@]//$'\n'/ }")
	COMMAND=("${COMMAND[@]//$'\t'/}")
}
