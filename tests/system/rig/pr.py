# SPDX-License-Identifier: Apache-2.0
"""PERSISTENT RESERVE, reads and writes from one nexus, by sg3-utils.

Every function takes the machine and the device node through which the nexus
reaches the LUN. What changes something returns a Result whose status is
sg3-utils' exit status: GOOD, RESERVATION_CONFLICT, ILLEGAL_REQUEST, ...
"""

import re

GOOD = 0
NOT_READY = 2
ILLEGAL_REQUEST = 5
UNIT_ATTENTION = 6
INVALID_OPERATION_CODE = 9
ABORTED_COMMAND = 11
RESERVATION_CONFLICT = 24
TIMEOUT = 33

# As sg_persist prints them.
TYPES = {
    "write exclusive": 1,
    "exclusive access": 3,
    "write exclusive, registrants only": 5,
    "exclusive access, registrants only": 6,
    "write exclusive, all registrants": 7,
    "exclusive access, all registrants": 8,
}

_OUT = "sg_persist --no-inquiry --out"
_IN = "sg_persist --no-inquiry --in"


def _out(vm, node, words, timeout=60):
    return vm.run(f"{_OUT} {words} {node}", check=False, timeout=timeout)


def register(vm, node, key, old=0, aptpl=False, ignore=False):
    """REGISTER (old -> key), or REGISTER AND IGNORE EXISTING KEY."""
    action = "--register-ignore" if ignore else f"--register --param-rk={old:#x}"
    flag = " --param-aptpl" if aptpl else ""
    return _out(vm, node, f"{action} --param-sark={key:#x}{flag}")


def reserve(vm, node, key, kind=5):
    return _out(vm, node, f"--reserve --param-rk={key:#x} --prout-type={kind}")


def release(vm, node, key, kind=5):
    return _out(vm, node, f"--release --param-rk={key:#x} --prout-type={kind}")


def clear(vm, node, key):
    return _out(vm, node, f"--clear --param-rk={key:#x}")


def preempt(vm, node, key, victim, kind=5, abort=False):
    """PREEMPT, or PREEMPT AND ABORT, the key `victim`."""
    action = "--preempt-abort" if abort else "--preempt"
    return _out(
        vm, node, f"{action} --param-rk={key:#x} --param-sark={victim:#x} --prout-type={kind}"
    )


def read_keys(vm, node):
    """(PRGENERATION, [keys, as often as they are listed])."""
    return parse_keys(vm.run(f"{_IN} --read-keys {node}").stdout)


def parse_keys(text):
    generation = int(re.search(r"PR generation=0x([0-9a-f]+)", text).group(1), 16)
    keys = re.findall(r"^\s+0x([0-9a-f]+)\s*$", text, re.MULTILINE)
    return generation, [int(key, 16) for key in keys]


def read_reservation(vm, node):
    """(key, type) of the reservation, or None."""
    return parse_reservation(vm.run(f"{_IN} --read-reservation {node}").stdout)


def parse_reservation(text):
    if "NO reservation held" in text:
        return None
    key = re.search(r"Key\s*=\s*0x([0-9a-f]+)", text).group(1)
    kind = re.search(r"type: (.*)", text).group(1).strip().lower()
    return int(key, 16), TYPES[kind]


def full_status(vm, node):
    """READ FULL STATUS as sg_persist prints it."""
    return vm.run(f"{_IN} --read-full-status {node}").stdout


def capabilities(vm, node):
    """REPORT CAPABILITIES as sg_persist prints it."""
    return vm.run(f"{_IN} --report-capabilities {node}").stdout


def write(vm, node, lba=0, text="x", timeout=60):
    """WRITE(10) of one 512-byte block, sent as it is: no cache, no retries."""
    cdb = "2a 00 " + lba.to_bytes(4, "big").hex(" ") + " 00 00 01 00"
    return vm.run(
        f"sg_raw -t {timeout} -s 512 {node} {cdb}",
        check=False,
        stdin=text.encode().ljust(512, b"\0"),
        timeout=timeout + 20,
    )


def start_write(vm, node, lba=0, text="x", timeout=60):
    """write(), not waited for: a Spawned, whose Result has the same status."""
    cdb = "2a 00 " + lba.to_bytes(4, "big").hex(" ") + " 00 00 01 00"
    return vm.spawn(
        f"{{ printf %s '{text}'; cat /dev/zero; }} | dd bs=512 count=1 iflag=fullblock status=none"
        f" | sg_raw -t {timeout} -s 512 {node} {cdb}"
    )


def read(vm, node, lba=0, timeout=60):
    """READ(10) of one 512-byte block: (Result, its text)."""
    cdb = "28 00 " + lba.to_bytes(4, "big").hex(" ") + " 00 00 01 00"
    result = vm.run(
        f"sg_raw -t {timeout} -b -r 512 {node} {cdb}", check=False, timeout=timeout + 20
    )
    return result, result.stdout.rstrip("\0")


def look(vm, node, full=False):
    """What stands on the LUN, in one go: (keys, reservation, READ FULL STATUS as
    sg_persist prints it, or "")."""
    actions = ["--read-keys", "--read-reservation"] + (["--read-full-status"] if full else [])
    command = "; echo --; ".join(f"{_IN} {action} {node}" for action in actions)
    parts = vm.run(command).stdout.split("--\n")
    return parse_keys(parts[0])[1], parse_reservation(parts[1]), parts[2] if full else ""
