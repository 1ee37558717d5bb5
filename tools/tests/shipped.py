#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: MSRGUARD_BIN=FILE tools/tests/shipped.py

Tests the policies that are shipped: that each rule has the name of its MSR, a reason and a
source, that "msrguard check" has nothing to say of them, that strict allows no more than the
baseline and the baseline no more than hosting, that what is dangerous is denied, and that guests get no fault
where they have no handler for one. Needs no module. Prints TAP.
"""

import json
import os
import re
import subprocess
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
POLICIES = os.path.join(TOP, "policies")
BIN = os.environ.get("MSRGUARD_BIN")
VENDORS = ("amd", "intel")
PROFILES = ("strict", "baseline", "hosting")
# Family, model and stepping of a CPU of each.
CPUS = {"amd": "amd:0x19:0x21:0x2", "intel": "intel:6:0x8f:8"}
SOURCE = re.compile(
    r"^((SDM|APM) Vol\. \d|(PPR|BKDG) Family [0-9A-F]+h |TLFS, |Linux [\w/.]+|AMD SSBD white paper|"
    r"coreboot, |CVE-\d{4}-\d{4,}|Hertzbleed, CVE-)")

tests = 0
failed = 0


def ok(name, problems):
    """One test: passed if there are no problems."""
    global tests, failed
    tests += 1
    print(f"{'not ok' if problems else 'ok'} {tests} - {name}")
    if problems:
        failed += 1
        for problem in problems:
            print(f"# {problem}")


def run(*arguments, cpu=None):
    env = dict(os.environ, LC_ALL="C.UTF-8")
    env.pop("MSRGUARD_CPU", None)
    if cpu:
        env["MSRGUARD_CPU"] = cpu
    return subprocess.run([BIN, *arguments], capture_output=True, text=True, env=env,
                          stdin=subprocess.DEVNULL)


def rule_lines(text):
    """The lines that are rules, with their numbers."""
    for number, line in enumerate(text.splitlines(), 1):
        if line and line[0].isdigit():
            yield number, line


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def vendor_of(name):
    for vendor in VENDORS:
        if vendor in name:
            return vendor
    return None


names = {}


def learn_names(indices):
    """Asks the command for all names at once."""
    answer = run("explain", "--json", *[hex(i) for i in sorted(indices)])
    for msr in json.loads(answer.stdout)["msrs"]:
        names[int(msr["msr"], 0)] = msr["names"]


def index_of(line):
    return int(re.match(r"(0x)?[0-9a-fA-F]+", line).group(), 0)


def faults_of_comment(line, vendor):
    """What a rule's comment lacks."""
    comment = line.partition("#")[2]
    match = re.fullmatch(r" (\w+): (.+); ([^;]+)", comment)
    if not match:
        return ["no comment of the form \"# NAME: reason; source\""]
    name, reason, source = match.groups()
    faults = []
    known = [n["name"] for n in names.get(index_of(line), [])
             if not n["old"] and (not vendor or n["vendor"].lower() in (vendor, "any"))]
    if name not in known:
        faults.append(f"{name} is not the name of {hex(index_of(line))}; known: {known}")
    if len(reason.split()) < 2:
        faults.append(f"no reason: {reason}")
    if not SOURCE.match(source):
        faults.append(f"no source: {source}")
    return faults


def check_comments():
    files = sorted(f for f in os.listdir(POLICIES) if f.endswith(".policy"))
    rules = {f: list(rule_lines(read(POLICIES, f))) for f in files}
    learn_names({index_of(line) for lines in rules.values() for _, line in lines} | {0x10, 0x79})
    for file, lines in rules.items():
        ok(f"{file}: {len(lines)} rules have name, reason and source",
           [f"{file}:{number}: {fault}" for number, line in lines
            for fault in faults_of_comment(line, vendor_of(file))])
    ok("there are some hundred rules",
       [] if sum(map(len, rules.values())) > 250 else ["so few?"])


def check_that_it_can_fail():
    good = "0x79 deny deny # MSR_IA32_UCODE_WRITE: loads microcode; SDM Vol. 3A, Microcode"
    ok("a good comment is good", faults_of_comment(good, "intel"))
    for what, line in (
            ("another MSR's name", good.replace("0x79", "0x10")),
            ("no name", good.replace("MSR_IA32_UCODE_WRITE: ", "")),
            ("no reason", good.replace("loads microcode", "denied")),
            ("no source", good.replace("; SDM Vol. 3A, Microcode", "")),
            ("no such source", good.replace("SDM Vol. 3A, Microcode", "everybody knows"))):
        ok(f"{what} is found", [] if faults_of_comment(line, "intel") else [line])


def policy(profile, vendor):
    return os.path.join(POLICIES, f"{profile}-{vendor}.policy")


def check_silence():
    for profile in PROFILES:
        whole = os.path.join(POLICIES, f"{profile}.policy")
        for vendor in VENDORS:
            for path, answer in (
                    (policy(profile, vendor), run("check", policy(profile, vendor), cpu=CPUS[vendor])),
                    (whole, run("check", whole, cpu=CPUS[vendor]))):
                ok(f"check has nothing to say of {os.path.basename(path)}, on {vendor}",
                   (answer.stdout + answer.stderr).splitlines() +
                   ([] if answer.returncode == 0 else [f"exit status {answer.returncode}"]))
        answer = run("check", whole, cpu="centaur:6:15:0")
        ok(f"{profile}.policy is refused on another CPU",
           [] if answer.returncode and "no section is for this CPU" in answer.stderr
           else [answer.stderr, answer.returncode])
    demo = os.path.join(POLICIES, "demo.policy")
    answer = run("check", demo, cpu=CPUS["amd"])
    ok("check has nothing to say of demo.policy, on amd", answer.stderr.splitlines())


def check_order():
    for vendor in VENDORS:
        for less, more in zip(PROFILES, PROFILES[1:]):
            answer = run("diff", policy(less, vendor), policy(more, vendor), cpu=CPUS[vendor])
            ok(f"{vendor}: {less} and {more} differ",
               [] if answer.returncode == 1 and "\nB allows what A does not:" in answer.stdout
               else [answer.stdout, answer.stderr])
            ok(f"{vendor}: {less} allows nothing that {more} does not",
               [line for line in answer.stdout.splitlines() if line.startswith("A allows")])


def rules_of(text):
    """[first, last, read, write] of each rule of a plain policy."""
    rules = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words and words[0] == "default":
            rules.append((0, 0xffffffff, words[1], words[2]))
        elif words:
            first, _, last = words[0].partition("-")
            rules.append((int(first, 0), int(last or first, 0), words[1], words[2]))
    return rules


def lets_through(rules, index, access, value):
    """By the narrowest rule, for a register whose bits outside a mask are 0."""
    rule = min((r for r in rules if r[0] <= index <= r[1]), key=lambda r: r[1] - r[0])
    verdict = rule[2] if access == "read" else rule[3]
    match = re.fullmatch(r"mask=(~?)(0x[0-9a-f]+|\d+),deny", verdict)
    if match and access == "write":
        mask = int(match[2], 0) ^ (0xffffffffffffffff if match[1] else 0)
        return not value & ~mask
    return verdict != "deny"


def check_dangers():
    text = read(TOP, "selftests/files/baseline-dangerous")
    dangers = [line.split() for line in text.splitlines() if not line.startswith("#")]
    for vendor in VENDORS:
        mine = [d for d in dangers if d[0] in (vendor, "any")]
        ok(f"{vendor}: there are 40 dangerous accesses", [] if len(mine) >= 40 else [len(mine)])
        for profile in ("strict", "baseline"):
            plain = run("check", "--print", policy(profile, vendor), cpu=CPUS[vendor])
            rules = rules_of(plain.stdout)
            ok(f"{vendor}: {profile} denies them",
               [" ".join(d) for d in mine
                if lets_through(rules, int(d[1], 0), d[2], int(d[3], 0) if d[3] != "-" else 0)])


# Writes for which guests, or their firmware, have no handler of faults: with what they write.
WITHOUT_FAULT = (
    ("intel", PROFILES, 0x3a, 0x100005),            # SeaBIOS
    ("intel", PROFILES, 0x8b, 0xffffffff00000000),  # intel_get_microcode_revision()
    ("intel", PROFILES, 0x1fc, 0x2),                # c1e_promotion_disable()
    ("amd", PROFILES, 0xc0010015, 0x40000),         # disable_err_thresholding()
    ("amd", PROFILES, 0xc001001f, 1 << 46),         # amd_bus_cpu_online()
    ("amd", ("hosting",), 0xc0010115, 0),           # a nested Hyper-V
)


def check_without_fault():
    for vendor, profiles, index, value in WITHOUT_FAULT:
        for profile in profiles:
            plain = run("check", "--print", policy(profile, vendor), cpu=CPUS[vendor])
            ok(f"{vendor}: under {profile}, a write of {value:#x} to {index:#x} is no fault",
               [] if lets_through(rules_of(plain.stdout), index, "write", value)
               else [line for line in plain.stdout.splitlines()
                     if line.startswith(hex(index) + "\t")])


def check_documentation():
    """The list of denials and the table of the documentation are the same."""
    listed = {tuple(line.split()) for line in
              read(TOP, "selftests/files/baseline-denials").splitlines()
              if line and not line.startswith("#")}
    told = set(re.findall(r"^   \* - ``(\w+) (0x[0-9a-f]+) (read|write) (\w+)``$",
                          read(TOP, "Documentation/baseline.rst"), re.M))
    ok("the denials on the list are those of the documentation",
       [f"only on the list: {' '.join(d)}" for d in sorted(listed - told)] +
       [f"only in the documentation: {' '.join(d)}" for d in sorted(told - listed)])
    ok("there are some", [] if listed else ["none"])


def main():
    if not BIN:
        sys.exit("set MSRGUARD_BIN to the command to test")
    check_comments()
    check_that_it_can_fail()
    check_silence()
    check_order()
    check_dangers()
    check_without_fault()
    check_documentation()
    print(f"1..{tests}")
    print(f"# {tests - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
