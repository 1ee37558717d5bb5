#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Usage: scripts/lab/tests/autopsy.py

What is said of a host that hangs (scripts/lab/autopsy), by a monitor that is played and a
console of a few lines. Needs no host. Prints TAP.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading

LAB = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REGISTERS = "\r\n".join((
    "", "CPU#0", "RAX=0000000000000000 RBX=0000000000000001",
    "RIP=ffffffff81c00d2f RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1", ""))
# What a kernel prints for each key; columns as sched_show_task() and show_regs() have them.
ANSWERS = {
    "9": "sysrq: Changing Loglevel\nsysrq: Loglevel set to 9\n",
    "p": "sysrq: Show Regs\n"
         "CPU: 0 PID: 0 Comm: swapper/0 Tainted: G           OE      6.12\n"
         "RIP: 0010:pv_native_safe_halt+0xf/0x20\n"
         "Call Trace:\n <TASK>\n default_idle+0x9/0x20\n do_idle+0x1f0/0x220\n </TASK>\n",
    "w": "sysrq: Show Blocked State\n"
         "task:rmmod           state:D stack:0     pid:77    tgid:77    ppid:1      flags:0x0\n"
         "Call Trace:\n <TASK>\n __schedule+0x3fb/0xb40\n schedule+0x27/0xd0\n"
         " ? up+0x1/0x2\n wait_rcu_gp+0x9/0x20\n </TASK>\n",
    "t": "sysrq: Show State\n"
         "task:kthreadd        state:S stack:0     pid:2     tgid:2     ppid:0      flags:0x0\n"
         "Call Trace:\n <TASK>\n __schedule+0x3fb/0xb40\n ret_from_fork+0x31/0x50\n"
         " ret_from_fork_asm+0x1a/0x30\n </TASK>\n"
         "task:CPU 0/KVM       state:R stack:0     pid:90    tgid:88    ppid:1      flags:0x0\n"
         "Call Trace:\n <TASK>\n __schedule+0x3fb/0xb40\n"
         " kvm_vcpu_block+0x31/0x50 [kvm]\n do_syscall_64+0x1/0x2\n </TASK>\n",
}
NUMBER = 0
FAILED = 0


def ok(name, true):
    """One test."""
    global NUMBER, FAILED  # pylint: disable=global-statement
    NUMBER += 1
    FAILED += not true
    print(f"{'ok' if true else 'not ok'} {NUMBER} - {name}")


def play(server, console, answers):
    """A monitor for one client."""
    client, _ = server.accept()
    with client, client.makefile("r") as lines:
        client.sendall(b'{"QMP": {}}\r\n')
        for line in lines:
            command = json.loads(line)
            result = {}
            if command["execute"] == "query-status":
                # Events come at any time.
                client.sendall(b'{"event": "RTC_CHANGE", "data": {}}\r\n')
                result = {"status": "running"}
            elif command["execute"] == "human-monitor-command":
                result = REGISTERS
            elif command["execute"] == "send-key":
                key = command["arguments"]["keys"][-1]["data"]
                with open(console, "a", encoding="ascii") as file:
                    file.write("".join(f"[   12.345678] {text}\r\n"
                                       for text in answers.get(key, "").splitlines()))
            client.sendall(json.dumps({"return": result}).encode() + b"\r\n")


def dissect(answers):
    """The autopsy of a host: status, what it printed, what is left of the console, its file."""
    with tempfile.TemporaryDirectory() as run:
        console = os.path.join(run, "console.log")
        with open(console, "w", encoding="ascii") as file:
            file.write("[    1.000000] lab: begin hang\n")
        with socket.socket(socket.AF_UNIX) as server:
            if answers is not None:
                server.bind(os.path.join(run, "monitor"))
                server.listen()
                threading.Thread(target=play, args=(server, console, answers), daemon=True).start()
            done = subprocess.run([os.path.join(LAB, "autopsy"), run], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
                                  env=dict(os.environ, AUTOPSY_QUIET="1"))
        path = os.path.join(run, "autopsy")
        kept = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                kept = file.read()
        with open(console, encoding="ascii") as file:
            return done.returncode, done.stdout.splitlines(), file.read(), kept


def main():
    """All tests."""
    status, lines, console, kept = dissect(ANSWERS)
    ok("it ends well", status == 0)
    ok("it says what the emulator does", lines[:1] == ["the emulator: running"])
    ok("it says where the CPU is, more than once",
       sum(line.startswith("CPU 0: RIP=ffffffff81c00d2f ") for line in lines) > 1)
    ok("the interrupted task has its functions",
       "swapper/0: pv_native_safe_halt < default_idle < do_idle" in lines)
    ok("a task that waits has its functions, without what the kernel guesses",
       "rmmod D: __schedule < schedule < wait_rcu_gp" in lines)
    ok("a task of a name with a blank has them",
       "CPU 0/KVM R: __schedule < kvm_vcpu_block < do_syscall_64" in lines)
    ok("threads of the kernel that sleep are left out", "kthreadd" not in "".join(lines))
    ok("the console is as it was", console == "[    1.000000] lab: begin hang\n")
    ok("what the kernel printed is kept", "Show Blocked State" in kept)

    status, lines, _, _ = dissect({})
    ok("a kernel that does not answer is said to",
       status == 0 and lines[-1] == "the host's kernel does not answer to the SysRq keys")

    status, lines, _, _ = dissect(None)
    ok("an emulator without a monitor is said to have none",
       status == 1 and len(lines) == 1 and lines[0].startswith("the emulator cannot be asked: "))
    print(f"1..{NUMBER}")
    return FAILED > 0


if __name__ == "__main__":
    sys.exit(main())
