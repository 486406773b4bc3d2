#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A long scenario of reservations, from three nexuses of one LUN; runs in a machine.

    pr_scenario.py NODE-A NODE-B NODE-C PART...

prints a line of JSON for each step: [part, what was done, what came of it]. Whatever is
between these nodes and the LUN, the lines must be the same: nothing in them
depends on device names, on the LUN's history or on time. NODE-C must reach the
LUN directly: it is also the one that looks.
"""

import hashlib
import json
import re
import subprocess
import sys

from scsi import Disk, pr_in, pr_list, pr_out

KEYS = {"A": 0xA1, "B": 0xB2, "C": 0xC3}
TYPES = (1, 3, 5, 6, 7, 8)
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, IGNORE, MOVE = range(8)
SPEC_I_PT, ALL_TG_PT, APTPL = 8, 4, 1


def short(data):
    """Data as a text; long data by its hash."""
    if not data:
        return ""
    if len(data) <= 64:
        return data.hex()
    return f"{len(data)} bytes {hashlib.sha256(data).hexdigest()[:16]}"


def block(text, count=1):
    return text.encode().ljust(512 * count, b".")


def matrix(lba):
    """Commands of every class: (name, CDB, data-out, length of data-in)."""
    at = lba.to_bytes(4, "big").hex()
    caching = bytes(4) + bytes([8, 18, 4]) + bytes(17)
    unmap = b"\0\x16\0\x10" + bytes(4) + lba.to_bytes(8, "big") + b"\0\0\0\1" + bytes(4)
    return [
        ("TEST UNIT READY", "000000000000", b"", 0),
        ("REQUEST SENSE", "030000001200", b"", 18),
        ("INQUIRY", "120000002400", b"", 36),
        ("REPORT LUNS", "a00000000000000000400000", b"", 64),
        ("READ CAPACITY(10)", "25000000000000000000", b"", 8),
        ("READ CAPACITY(16)", "9e100000000000000000000000200000", b"", 32),
        ("LOG SENSE", "4d004000000000004000", b"", 64),
        ("REPORT TARGET PORT GROUPS", "a30a00000000000000400000", b"", 64),
        ("READ KEYS", pr_in(0, 256), b"", 256),
        ("READ RESERVATION", pr_in(1, 24), b"", 24),
        ("READ(6)", f"08{at[2:]}0100", b"", 512),
        ("READ(10)", f"2800{at}00000100", b"", 512),
        ("READ(16)", f"880000000000{at}000000010000", b"", 512),
        ("VERIFY(10)", f"2f00{at}00000100", b"", 0),
        ("MODE SENSE(6)", "1a003f00c000", b"", 192),
        ("MODE SENSE(10)", "5a003f0000000000c000", b"", 192),
        ("RSOC", "a30c00000000000020000000", b"", 8192),
        ("WRITE(6)", f"0a{at[2:]}0100", block(f"w6 {lba}"), 0),
        ("WRITE(10)", f"2a00{at}00000100", block(f"w10 {lba}"), 0),
        ("WRITE(16)", f"8a0000000000{at}000000010000", block(f"w16 {lba}"), 0),
        ("WRITE AND VERIFY(10)", f"2e00{at}00000100", block(f"wv {lba}"), 0),
        ("WRITE SAME(16)", f"930000000000{at}000000010000", block(f"ws {lba}"), 0),
        ("COMPARE AND WRITE", f"890000000000{at}000000010000", block("x") + block("y"), 0),
        ("UNMAP", "42000000000000001800", unmap, 0),
        ("SYNCHRONIZE CACHE(10)", "35000000000000000000", b"", 0),
        ("SYNCHRONIZE CACHE(16)", "91" + "00" * 15, b"", 0),
        ("MODE SELECT(6)", "151000001800", caching, 0),
        ("START STOP UNIT, start", "1b0000000100", b"", 0),
        ("PREVENT ALLOW, allow", "1e0000000000", b"", 0),
        ("PREVENT ALLOW, prevent", "1e0000000100", b"", 0),
        ("RESERVE(6)", "160000000000", b"", 0),
        ("RELEASE(6)", "170000000000", b"", 0),
        ("RESERVE(10)", "56000000000000000000", b"", 0),
        ("RELEASE(10)", "57000000000000000000", b"", 0),
        # The filter's, with filter=on.
        ("FORMAT UNIT", "040000000000", b"", 0),
        ("READ BUFFER", "3c020000000000002000", b"", 32),
        ("SEND DIAGNOSTIC", "1d0400000000", b"", 0),
        ("RECEIVE COPY RESULTS", "84030000000000000000000000400000", b"", 64),
        ("EXTENDED COPY", "83000000000000000000000000100000", bytes(16), 0),
    ]


class Scenario:
    """The three nexuses, and the chapter that is going on."""

    def __init__(self, nodes):
        self.nodes = dict(zip("ABC", nodes))
        self.disks = {name: Disk(node) for name, node in self.nodes.items()}
        self.looker = self.disks["C"]
        self.part = ""
        self._chapter, self._number, self._base = "", 0, 0

    # What is printed

    def _say(self, did, result):
        self._number += 1
        step = f"{self._chapter} {self._number}: {did}"
        print(json.dumps([self.part, step, result]), flush=True)

    def _generation(self, data):
        """PRGENERATION since the chapter began, and the rest of PERSISTENT RESERVE IN's data."""
        return (int.from_bytes(data[:4], "big") - self._base) & 0xFFFFFFFF, data[4:]

    def _unit_attentions(self):
        """Takes what is pending on each nexus."""
        found = {}
        for name, disk in self.disks.items():
            answers = [str(disk.command("000000000000")) for _ in range(3)]
            bad = [answer for answer in answers if answer != "GOOD"]
            if bad:
                found[name] = bad
        return found

    def _full_status(self):
        answer = self.looker.command(pr_in(3, 4096), in_len=4096)
        if not answer.good:
            return 0, str(answer)
        generation, rest = self._generation(answer.data)
        return generation, rest[: 4 + int.from_bytes(rest[:4], "big")].hex()

    def look(self):
        """What the LUN remembers, and who was told."""
        attentions = self._unit_attentions()
        reservation = self.looker.command(pr_in(1, 24), in_len=24)
        generation, status = self._full_status()
        return {
            "told": attentions,
            "generation": generation,
            "status": status,
            "reservation": reservation.data[4:].hex() if reservation.good else str(reservation),
        }

    # Steps

    def begin(self, part):
        """The same blocks on the medium whatever was done before."""
        self.part = part
        self.chapter(part)
        answer = self.looker.command("93" + "00" * 9 + "000004000000", out=bytes(512))
        if not answer.good:
            sys.exit(f"{part}: the LUN cannot be written: {answer}")

    def chapter(self, name):
        """Begin with no registration, no reservation, no unit attention."""
        for disk in self.disks.values():
            disk.command("170000000000")
        self._unit_attentions()
        for list_, action in ((pr_list(0, 0xDEAD), IGNORE), (pr_list(0xDEAD), CLEAR)):
            answer = self.looker.command(pr_out(action, list_), out=list_)
            if not answer.good:
                sys.exit(f"{name}: the LUN cannot be cleared: {answer}")
        self._unit_attentions()
        data = self.looker.command(pr_in(0, 8), in_len=8).data
        if data[4:] != bytes(4):
            sys.exit(f"{name}: somebody is registered: {data.hex()}")
        self._base = int.from_bytes(data[:4], "big")
        self._chapter, self._number = name, 0

    def persist(self, who, words, look=True):
        """sg_persist, and what the LUN is like after it."""
        done = subprocess.run(
            ["sg_persist", "--no-inquiry", "-v", *words.split(), self.nodes[who]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        text = done.stdout.replace(self.nodes[who], "NODE")
        result = {"exit": done.returncode}
        generation = re.search(r"PR generation=0x([0-9a-f]+)", text)
        if generation:
            text = text.replace(generation[0], "PR generation=...")
            result["generation"] = (int(generation[1], 16) - self._base) & 0xFFFFFFFF
        result["text"] = text
        if look:
            result |= self.look()
        self._say(f"{who} sg_persist {words}", result)

    def out(self, who, action, kind=0, key=None, new=0, flags=()):
        """A PERSISTENT RESERVE OUT that sg_persist can express."""
        key = KEYS[who] if key is None else key
        names = ["register", "reserve", "release", "clear", "preempt", "preempt-abort"]
        name = [*names, "register-ignore"][action]
        words = f"--out --{name} --param-rk={key:#x} --param-sark={new:#x}"
        if action not in (REGISTER, IGNORE, CLEAR):
            words += f" --prout-type={kind}"
        self.persist(who, " ".join([words, *flags]))

    def register(self, *who):
        """REGISTER of keys of their own, on the way to something else."""
        for name in who:
            list_ = pr_list(0, KEYS[name])
            self.raw(name, "REGISTER", pr_out(REGISTER, list_), out=list_)

    def raw(self, who, what, cdb, out=b"", in_len=0, look=False):
        """A command by SG_IO."""
        answer = self.disks[who].command(cdb, out, in_len)
        result = {"answer": str(answer), "sense": answer.sense.hex(), "residual": answer.residual}
        # With another status than GOOD the data is nobody's.
        kept = in_len - min(max(answer.residual, 0), in_len) if answer.good else 0
        if answer.good and answer.residual > in_len:
            kept = in_len  # an overflow's
        data = answer.data[:kept]
        if cdb[0] == 0x5E and cdb[1] in (0, 1, 3) and kept >= 4:
            generation, rest = self._generation(data)
            result["generation"], data = generation, rest
        result["data"] = short(data)
        if look:
            result |= self.look()
        self._say(f"{who} {what}", result)

    def pr_out(self, who, what, action, list_, kind=0, scope=0, length=None):
        """A PERSISTENT RESERVE OUT by SG_IO, whatever its list is."""
        cdb = pr_out(action, list_, kind, scope, length)
        self.raw(who, what, cdb, out=list_, look=True)

    def everything(self, who, lba, without=()):
        """All commands of the matrix from one nexus."""
        for name, cdb, out, in_len in matrix(lba):
            if name.startswith(without):
                continue
            cdb = bytes.fromhex(cdb) if isinstance(cdb, str) else cdb
            self.raw(who, name, cdb, out, in_len)


# Parts: each of one or more chapters


def looking(s):
    s.chapter("looking")
    for who in "AB":
        for words in ("--read-keys", "--read-reservation", "--read-full-status"):
            s.persist(who, f"--in {words}", look=False)
        s.persist(who, "--in --report-capabilities", look=False)
    for action in range(32):
        s.raw("A", f"PR IN {action:#x}", pr_in(action, 1024), in_len=1024)
    s.register("A", "B")
    s.out("A", RESERVE, 5)
    for action in range(4):
        for length in (0, 1, 3, 5, 7, 8, 11, 12, 15, 16, 23, 24, 32, 80, 8192):
            s.raw("A", f"PR IN {action} {length}", pr_in(action, length), in_len=length)
    # More room than the CDB asks for, and less.
    s.raw("A", "READ KEYS 8, room for 64", pr_in(0, 8), in_len=64)
    s.raw("A", "READ KEYS 64, room for 8", pr_in(0, 64), in_len=8)
    s.raw("A", "REPORT CAPABILITIES 8, room for 64", pr_in(2, 8), in_len=64)


def register(s):
    s.chapter("register")
    s.out("A", REGISTER, key=KEYS["A"], new=KEYS["A"])
    s.out("A", REGISTER, key=0, new=0)
    s.register("A")
    s.out("A", REGISTER, key=0, new=0xF)
    s.out("A", REGISTER, key=0x99, new=0xF)
    s.out("A", REGISTER, new=0xF)
    s.out("A", REGISTER, key=0xF, new=0xF)
    s.out("A", IGNORE, key=0x77, new=KEYS["A"])
    s.out("A", REGISTER, new=0)
    s.out("A", IGNORE, key=0x77, new=KEYS["A"])
    s.out("A", IGNORE, key=0, new=0)
    s.out("A", IGNORE, key=0, new=0)
    s.out("A", REGISTER, key=0, new=0x5A)
    s.out("B", REGISTER, key=0, new=0x5A)
    s.persist("B", "--in --read-keys", look=False)
    s.persist("A", "--in --read-full-status", look=False)
    s.out("A", REGISTER, key=0x5A, new=0)
    s.register("A")
    s.out("A", RESERVE, 3)
    s.register("C")
    s.out("A", REGISTER, new=0xAA)
    s.out("A", REGISTER, key=0xAA, new=0xFFFFFFFFFFFFFFFF)


def aptpl(s):
    s.chapter("aptpl")
    s.out("A", REGISTER, key=0, new=KEYS["A"], flags=["--param-aptpl"])
    s.persist("A", "--in --report-capabilities", look=False)
    s.register("B")
    s.persist("B", "--in --report-capabilities", look=False)
    s.out("B", IGNORE, new=KEYS["B"], flags=["--param-aptpl"])
    s.out("A", RESERVE, 5, flags=["--param-aptpl"])
    s.persist("B", "--in --report-capabilities", look=False)
    s.out("A", CLEAR)
    s.persist("B", "--in --report-capabilities", look=False)


def reserve(s):
    s.chapter("reserve")
    # LIO answers NOT READY to the unregistered where nothing is reserved.
    for action in (RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT):
        s.out("A", action, 1, new=KEYS["B"])
    s.register("A", "B")
    s.out("A", RESERVE, 5, key=0x99)
    for kind in (0, 2, 4, 9, 15):
        s.out("A", RESERVE, kind)
    s.pr_out("A", "RESERVE scope 1", RESERVE, pr_list(KEYS["A"]), 1, scope=1)
    for kind in TYPES:
        s.out("A", RESERVE, kind)
        s.persist("B", "--in --read-reservation", look=False)
        s.out("A", RESERVE, kind)
        s.out("A", RESERVE, 1 if kind != 1 else 3)
        s.out("B", RESERVE, kind)
        s.out("C", RESERVE, kind)
        s.out("B", RELEASE, kind)
        s.out("C", RELEASE, kind)
        s.out("A", RELEASE, 1 if kind != 1 else 3)
        s.out("A", RELEASE, kind, key=0x99)
        s.out("A", RELEASE, kind)
    s.out("A", RELEASE, 1)
    s.out("A", RELEASE, 1, key=0x99)


def rights(s, roles=("ABC", "BCA")):
    """Every command from holder, registrant and stranger: each is A or B once."""
    for kind in TYPES:
        for holder, registrant, stranger in roles:
            s.chapter(f"rights type {kind} {holder}{registrant}{stranger}")
            s.register(holder, registrant)
            s.out(holder, RESERVE, kind)
            for i, who in enumerate((holder, registrant, stranger)):
                s.everything(who, 100 * kind + i)
            s.out(registrant, RELEASE, kind)
            s.out(stranger, CLEAR)
            s.out(holder, RELEASE, kind)


def rights_more(s):
    rights(s, ["CAB"])


def unregister(s):
    for kind in TYPES:
        s.chapter(f"unregister type {kind}")
        s.register("A", "B", "C")
        s.out("A", RESERVE, kind)
        s.out("B", REGISTER, new=0)
        s.out("A", REGISTER, new=0)
        s.raw("B", "WRITE(10)", bytes.fromhex("2a000000000700000100"), block("b"))
        s.raw("C", "WRITE(10)", bytes.fromhex("2a000000000700000100"), block("c"))
        s.out("C", REGISTER, new=0)


def clear(s):
    for kind in (0, 1, 3, 5, 8):
        for who in "AB":
            s.chapter(f"clear type {kind} by {who}")
            s.register("A", "B", "C")
            if kind:
                s.out("A", RESERVE, kind)
            s.out(who, CLEAR, key=0x99)
            s.out(who, CLEAR)
            s.out(who, CLEAR)


def preempt(s, action=PREEMPT, name="preempt", types=TYPES):
    for victim in (KEYS["A"], KEYS["B"], KEYS["C"], 0, 0x99):
        s.chapter(f"{name} {victim:#x}, nothing reserved")
        s.register("A", "B", "C")
        s.out("B", action, 3, new=victim)
    for kind in types:
        new_kind = {1: 3, 3: 3, 5: 6, 6: 1, 7: 5, 8: 8}[kind]
        for victim in (KEYS["A"], KEYS["B"], KEYS["C"], 0, 0x99):
            s.chapter(f"{name} {victim:#x}, type {kind} held")
            s.register("A", "B", "C")
            s.out("A", RESERVE, kind)
            s.out("B", action, new_kind, new=victim)
            s.raw("A", "WRITE(10)", bytes.fromhex("2a000000000900000100"), block("a"))
            s.raw("A", "READ(10)", bytes.fromhex("28000000000900000100"), in_len=512)


def preempt_and_abort(s):
    """Not on a LUN of LIO's tcm_loop: Linux 6.1 waits there for the very work that it runs in."""
    preempt(s, PREEMPT_AND_ABORT, "preempt and abort", (5, 8))


def preempt_and_abort_more(s):
    preempt(s, PREEMPT_AND_ABORT, "preempt and abort", (1, 3, 6, 7))


def preempt_more(s):
    s.chapter("preempt, wrong words")
    s.register("A", "B")
    s.out("A", RESERVE, 1)
    s.out("B", PREEMPT, 1, key=0x99, new=KEYS["A"])
    s.out("C", PREEMPT, 1, new=KEYS["A"])
    s.out("B", PREEMPT, 4, new=KEYS["A"])
    s.pr_out("B", "PREEMPT scope 2", PREEMPT, pr_list(KEYS["B"], KEYS["A"]), 1, scope=2)
    s.chapter("preempt self")
    s.register("A", "B")
    s.out("A", RESERVE, 5)
    s.out("A", PREEMPT, 6, new=KEYS["A"])
    s.out("A", PREEMPT, 6, new=KEYS["A"])
    for by in "ABC":
        s.chapter(f"preempt a key that two have, by {by}")
        s.out("A", REGISTER, key=0, new=0x5A)
        s.out("B", REGISTER, key=0, new=0x5A)
        s.register("C")
        s.out("A", RESERVE, 5)
        s.out(by, PREEMPT, 5, key=0x5A if by != "C" else KEYS["C"], new=0x5A)
    s.chapter("preempted by the stranger and back")
    s.register("A", "C")
    s.out("A", RESERVE, 5)
    s.out("C", PREEMPT, 5, new=KEYS["A"])
    s.raw("A", "WRITE(10)", bytes.fromhex("2a000000000900000100"), block("a"))
    s.out("A", RESERVE, 5)
    s.register("A")
    s.out("A", PREEMPT, 5, new=KEYS["C"])
    s.raw("A", "WRITE(10)", bytes.fromhex("2a000000000900000100"), block("a"))


def attentions(s):
    """Unit attentions that are still there when the next command comes."""
    follow = {
        "WRITE(10)": (bytes.fromhex("2a000000000900000100"), block("z"), 0),
        "READ(10)": (bytes.fromhex("28000000000900000100"), b"", 512),
        "INQUIRY": (bytes.fromhex("120000002400"), b"", 36),
        "REQUEST SENSE": (bytes.fromhex("030000001200"), b"", 18),
        "REQUEST SENSE, descriptor format": (bytes.fromhex("030100001200"), b"", 18),
        "REPORT LUNS": (bytes.fromhex("a00000000000000000400000"), b"", 64),
        "READ KEYS": (pr_in(0, 256), b"", 256),
        "REPORT CAPABILITIES": (pr_in(2, 8), b"", 8),
        "REGISTER": (pr_out(REGISTER, pr_list()), pr_list(0, KEYS["A"]), 0),
        "CLEAR": (pr_out(CLEAR, pr_list()), pr_list(KEYS["A"]), 0),
        "RESERVE(6)": (bytes.fromhex("160000000000"), b"", 0),
    }
    for name, (cdb, out, in_len) in follow.items():
        s.chapter(f"preempted, then {name}")
        s.register("A", "B")
        s.out("A", RESERVE, 3)
        list_ = pr_list(KEYS["B"], KEYS["A"])
        s.raw("B", "PREEMPT", pr_out(PREEMPT, list_, 3), out=list_)
        for _ in range(3):
            s.raw("A", name, cdb, out, in_len)


def scsi2(s):
    for who, other in ("AB", "BC", "CA"):
        s.chapter(f"SCSI-2 reservation of {who}")
        s.raw(who, "RESERVE(6)", bytes.fromhex("160000000000"))
        s.raw(who, "RESERVE(10)", bytes.fromhex("56000000000000000000"))
        for one in (who, other):
            s.everything(one, 900, without=("RESERVE", "RELEASE"))
            list_ = pr_list(0, KEYS[one])
            s.raw(one, "REGISTER", pr_out(REGISTER, list_), out=list_)
            s.raw(one, "RESERVE(6)", bytes.fromhex("160000000000"))
        s.raw(other, "RELEASE(6)", bytes.fromhex("170000000000"))
        s.raw(other, "WRITE(10)", bytes.fromhex("2a000000000900000100"), block("o"))
        s.raw(who, "RELEASE(6)", bytes.fromhex("170000000000"), look=True)
        s.raw(other, "WRITE(10)", bytes.fromhex("2a000000000900000100"), block("o"))
    s.chapter("SCSI-2 reserve beside registrations")
    s.register("A", "B")
    for who in "ABC":
        s.raw(who, "RESERVE(6)", bytes.fromhex("160000000000"), look=True)
        s.raw(who, "RELEASE(6)", bytes.fromhex("170000000000"), look=True)
    s.out("A", RESERVE, 5)
    for who in "ABC":
        s.raw(who, "RESERVE(6)", bytes.fromhex("160000000000"), look=True)
        s.raw(who, "RELEASE(10)", bytes.fromhex("57000000000000000000"), look=True)


def bad_lists(s):
    s.chapter("parameter lists")
    lengths = (0, 1, 8, 16, 20, 21, 23, 24, 25, 28, 32, 512, 4096, 8192)
    s.register("B")
    for action in (*range(10), 0x1F):
        for length in lengths:
            list_ = pr_list(0, KEYS["A"], rest=bytes(8192))[:length]
            s.pr_out("A", f"PR OUT {action:#x}, {length} bytes", action, list_, 1)
        s.out("A", IGNORE, new=0)
    for action in range(8):
        for flags in (0x02, 0x10, 0xF0):
            s.pr_out("A", f"PR OUT {action}, flags {flags:#x}", action, pr_list(0, 0xA, flags), 1)
        s.out("A", IGNORE, new=0)


def lying_lists(s):
    """The CDB says more or less than what is sent."""
    s.chapter("lengths that lie")
    for says, sends in ((24, 8), (24, 512), (0, 24), (8192, 24), (0xFFFFFFFF, 24), (0x1000000, 512)):
        list_ = pr_list(0, KEYS["A"], rest=bytes(8192))[:sends]
        s.pr_out("A", f"REGISTER says {says:#x}, sends {sends}", REGISTER, list_, length=says)
        s.out("A", IGNORE, new=0)


def flags(s):
    """What a guest is not offered while migrate-pr is on."""
    for flag, name in ((ALL_TG_PT, "ALL_TG_PT"), (SPEC_I_PT, "SPEC_I_PT")):
        for action in (REGISTER, IGNORE, RESERVE, RELEASE, CLEAR, PREEMPT):
            s.chapter(f"{name} with PR OUT {action}")
            s.register("B")
            key = 0
            if action not in (REGISTER, IGNORE):
                s.register("A")
                key = KEYS["A"]
            rest = bytes(4) if flag == SPEC_I_PT else b""
            new = KEYS["B"] if action == PREEMPT else KEYS["A"]
            s.pr_out("A", f"{name}", action, pr_list(key, new, flag, rest), 1)


def move(s):
    def list_(new, unregister=0, port=1, transport_id=b""):
        return (
            KEYS["A"].to_bytes(8, "big")
            + new.to_bytes(8, "big")
            + bytes([0, unregister << 1])
            + port.to_bytes(2, "big")
            + len(transport_id).to_bytes(4, "big")
            + transport_id
        )

    s.chapter("move, unregistered")
    s.pr_out("A", "REGISTER AND MOVE", MOVE, list_(KEYS["B"], transport_id=bytes(24)))
    s.chapter("move, nothing reserved")
    s.register("A")
    s.pr_out("A", "REGISTER AND MOVE", MOVE, list_(KEYS["B"], transport_id=bytes(24)))
    for unregister in (0, 1):
        s.chapter(f"move, unregister {unregister}")
        s.register("B")
        status = s.looker.command(pr_in(3, 512), in_len=512).data
        port = int.from_bytes(status[8 + 18 : 8 + 20], "big")
        length = int.from_bytes(status[8 + 20 : 8 + 24], "big")
        transport_id = status[8 + 24 : 8 + 24 + length]
        s.register("A")
        s.out("A", RESERVE, 5)
        s.pr_out(
            "A", "REGISTER AND MOVE, new 0", MOVE, list_(0, unregister, port, transport_id)
        )
        s.pr_out(
            "A", "REGISTER AND MOVE", MOVE, list_(KEYS["B"], unregister, port, transport_id)
        )


def inquiries(s):
    s.chapter("inquiries")
    for page in (0x00, 0x80, 0x83, 0x86, 0xB0, 0xB1, 0xB2, 0x8F, 0xFF):
        for length in (4, 16, 255, 512):
            cdb = bytes([0x12, 1, page]) + length.to_bytes(2, "big") + b"\0"
            s.raw("A", f"INQUIRY page {page:#x} {length}", cdb, in_len=length)
    for length in (5, 36, 96, 255):
        s.raw("A", f"INQUIRY {length}", bytes([0x12, 0, 0, 0, length, 0]), in_len=length)
    for page in (0x01, 0x08, 0x0A, 0x1C, 0x3F, 0x22):
        cdb = bytes([0x5A, 0, page, 0, 0, 0, 0, 0, 200, 0])
        s.raw("A", f"MODE SENSE page {page:#x}", cdb, in_len=200)
    s.raw("A", "READ(10) past the end", bytes.fromhex("2800ffffff0000000100"), in_len=512)
    s.raw("A", "WRITE(10) past the end", bytes.fromhex("2a00ffffff0000000100"), block("e"))
    s.raw("A", "READ(10) of nothing", bytes.fromhex("28000000000000000000"))
    for option in range(4):
        cdb = bytes([0xA3, 0x0C, option, 0x5F, 0, 7, 0, 0, 2, 0, 0, 0])
        s.raw("A", f"RSOC option {option}", cdb, in_len=512)


PARTS = {
    part.__name__: part
    for part in (
        *(looking, register, aptpl, reserve, unregister, clear, preempt, preempt_more),
        *(preempt_and_abort, preempt_and_abort_more, attentions, scsi2, bad_lists, lying_lists, flags, move, inquiries),
        *(rights, rights_more),
    )
}


def main():
    scenario = Scenario(sys.argv[1:4])
    for name in sys.argv[4:]:
        scenario.begin(name)
        PARTS[name](scenario)


main()
