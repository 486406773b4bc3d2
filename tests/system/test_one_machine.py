# SPDX-License-Identifier: Apache-2.0
"""The same scenario of reservations against the bare LUN and through prmig, on one machine.

A LUN of LIO with three nexuses, A, B and C. First the scenario runs on A, B and C
themselves; then A and B are reached through a prmig backstore each, exported by
tcm_loop once more. Every step must print the same, but for what EXPECTED lists,
each with its reason; what is listed and does not show is a failure, too.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pytest

from rig import initiator
from rig.lio import Lio
from rig.prmig import Prmig

INSIDE = Path(__file__).parent / "inside"
FULL = os.environ.get("PRMIG_FULL") == "1"
INITIATOR = "iqn.2026-11.org.example:one"

PARTS = (
    "looking register aptpl reserve unregister clear preempt preempt_more attentions scsi2 "
    "bad_lists lying_lists flags move inquiries rights"
).split()
# What migrate-pr=off could change: less is enough.
PARTS_OFF = (
    "looking reserve scsi2 bad_lists lying_lists flags move inquiries rights"
).split()
# Needs a LUN by iSCSI: see pr_scenario.py.
PARTS_ABORT = ["preempt_and_abort"]
if FULL:
    PARTS.append("rights_more")
    PARTS_OFF = PARTS
    PARTS_ABORT.append("preempt_and_abort_more")

INVALID_OPERATION_CODE = "CHECK 5/20/00"
INVALID_FIELD_IN_CDB = "CHECK 5/24/00"
INVALID_FIELD_IN_LIST = "CHECK 5/26/00"
LIST_LENGTH_ERROR = "CHECK 5/1A/00"


@dataclass
class Expected:
    """A difference that is meant."""

    step: str  # regular expression of the whole step
    holds: Callable  # (bare, through) -> whether it is exactly this difference
    reason: str
    modes: tuple = ("on",)


def answered(answer):
    """Through prmig, this is the answer; what the LUN did on the bare one does not matter."""
    return lambda bare, through: through["answer"] == answer


def same_but(**fields):
    """Nothing else differs; fields: what is there, bare and through prmig."""

    def holds(bare, through):
        return all(
            (bare[field], through[field]) == fields[field] if field in fields
            else bare[field] == through[field]
            for field in bare
        )  # fmt: skip

    return holds


def capabilities_masked(bare, through):
    """SIP_C and ATP_C are cleared, and nothing else is."""
    if "text" in bare:
        text = bare["text"].replace("(SIP_C): 1", "(SIP_C): 0").replace("(ATP_C): 1", "(ATP_C): 0")
        return text == through["text"]
    data = bytearray.fromhex(bare["data"])
    if len(data) < 3:
        return False
    data[2] &= ~0x0C
    return same_but(data=(bare["data"], data.hex()))(bare, through)


def limits_clamped(bare, through):
    """Only MAXIMUM TRANSFER LENGTH and what belongs to it, and only downwards."""
    was, now = bytes.fromhex(bare["data"]), bytes.fromhex(through["data"])
    allowed = set(range(5, 16))  # COMPARE AND WRITE, granularity, maximum, optimal, prefetch
    return len(was) == len(now) and all(
        i in allowed for i in range(len(was)) if was[i] != now[i]
    ) and 0 < int.from_bytes(now[8:12], "big") <= int.from_bytes(was[8:12], "big")  # fmt: skip


BOTH = ("on", "off")
NEVER_REACHES_THE_LUN = (
    "CONFLICT",
    "GOOD",
    INVALID_OPERATION_CODE,
    INVALID_FIELD_IN_CDB,
    INVALID_FIELD_IN_LIST,
)

EXPECTED = [
    # What cannot follow a guest is not offered to it (migrate-pr=on).
    Expected(
        r".*: [AB] (REPORT CAPABILITIES.*|sg_persist --in --report-capabilities"
        r"|PR IN (0x)?2( \d+)?)",
        capabilities_masked,
        "REPORT CAPABILITIES does not show SIP_C and ATP_C",
    ),
    Expected(
        r"(SPEC_I_PT|ALL_TG_PT) with PR OUT [06] \d+: A (SPEC_I_PT|ALL_TG_PT)",
        lambda bare, through: through["answer"] == INVALID_FIELD_IN_LIST
        and f"{0xA1:016x}" not in through["status"],
        "REGISTER and REGISTER AND IGNORE EXISTING KEY with SPEC_I_PT or ALL_TG_PT are refused",
    ),
    Expected(
        r"(move.*: A REGISTER AND MOVE.*|parameter lists \d+: A PR OUT (0x)?7, .*)",
        answered(INVALID_FIELD_IN_CDB),
        "REGISTER AND MOVE is refused",
    ),
    # filter=on.
    Expected(
        r".*: [AB] (EXTENDED COPY|RECEIVE COPY RESULTS|FORMAT UNIT|READ BUFFER|SEND DIAGNOSTIC)",
        lambda bare, through: through["answer"] == INVALID_OPERATION_CODE
        and bare["answer"] in NEVER_REACHES_THE_LUN,
        "filter=on refuses what an initiator of a disk does not need, before a reservation counts",
    ),
    # Not a matter of reservations: whatever migrate-pr says.
    Expected(
        r".*: [AB] REPORT LUNS",
        lambda bare, through: (bare["answer"], through["answer"]) == ("CONFLICT", "GOOD"),
        "the kernel answers REPORT LUNS for every backstore; LIO's own LUN lets it conflict",
        BOTH,
    ),
    Expected(
        r"inquiries \d+: A INQUIRY page 0xb0 \d+",
        limits_clamped,
        "VPD page B0h is clamped to what ring and SG_IO take",
        BOTH,
    ),
    Expected(
        r".*: [AB] VERIFY\(10\)",
        same_but(residual=(512, 0)),
        "a residual for a command without data: LIO's count of an overflow, which TCMU cannot carry",
        BOTH,
    ),
    Expected(
        r"looking \d+: A READ KEYS 64, room for 8",
        lambda bare, through: (bare["residual"], through["residual"]) == (56, 0)
        and bytes.fromhex(through["data"]) != bytes(8),
        "more asked for than there is room: LIO's count of an overflow, which TCMU cannot carry",
        BOTH,
    ),
    Expected(
        r"lengths that lie \d+: A REGISTER says (0x18, sends 512|0x0, sends 24)",
        lambda bare, through: same_but(residual=(bare["residual"], 0))(bare, through),
        "more sent than the CDB says: LIO's count of what is left over, which TCMU cannot carry",
        BOTH,
    ),
    Expected(
        r"lengths that lie \d+: A REGISTER says .*",
        lambda bare, through: (bare["answer"], through["answer"])
        == (INVALID_FIELD_IN_CDB, LIST_LENGTH_ERROR)
        and (bare["told"], bare["status"], bare["reservation"])
        == (through["told"], through["status"], through["reservation"]),
        "less sent than the CDB says: prmig answers PARAMETER LIST LENGTH ERROR, LIO another one",
        BOTH,
    ),
]

# Where the bare LUN did what prmig refuses, PRGENERATION has moved there and not here.
REFUSED_CHAPTERS = re.compile(r"(SPEC_I_PT|ALL_TG_PT|move)\b")


def check_generation(step, bare, through, mode):
    """PRGENERATION; returns what is wrong with it."""
    was, now = bare.pop("generation", None), through.pop("generation", None)
    if was == now:
        return None
    if mode == "on" and now is not None and was is not None:
        if REFUSED_CHAPTERS.match(step):
            return None
        # After a RESERVATION CONFLICT prmig proves its registration by REGISTER (K -> K), at most once
        # a second, where the LUN's own list does not: that moves it too.
        if now > was:
            return None
    return f"generation: {was} on the bare LUN, {now} through prmig"


def compare(bare, through, mode):
    """Fails with every difference that is not expected; returns the reasons that were seen."""
    assert [step for _, step, _ in bare] == [step for _, step, _ in through]
    seen, wrong = set(), []
    for (_, step, was), (_, _, now) in zip(bare, through):
        was, now = dict(was), dict(now)
        bad = check_generation(step, was, now, mode)
        if bad:
            wrong.append(f"{step}\n  {bad}")
        if was == now:
            continue
        for expected in EXPECTED:
            if mode in expected.modes and re.fullmatch(expected.step, step):
                if expected.holds(was, now):
                    seen.add(expected.reason)
                    break
        else:
            fields = [field for field in {**was, **now} if was.get(field) != now.get(field)]
            wrong.append(
                "\n".join(
                    [step]
                    + [f"  {f}, bare LUN: {was.get(f)}" for f in fields]
                    + [f"  {f}, through prmig: {now.get(f)}" for f in fields]
                )
            )
    assert not wrong, f"{len(wrong)} of {len(bare)} steps differ:\n" + "\n".join(wrong[:40])
    return seen


class Machine:
    """The machine, and the scenario in it."""

    def __init__(self, vm, deb):
        self.vm = vm
        self.lio = Lio(vm)
        self.prmig = Prmig(vm, deb)
        for path in INSIDE.glob("*.py"):
            vm.put(path, f"/usr/local/lib/prmig-test/{path.name}")

    def scenario(self, nodes, parts):
        """[(part, step, result), ...]"""
        done = self.vm.run(
            ["python3", "-B", "/usr/local/lib/prmig-test/pr_scenario.py", *nodes, *parts],
            timeout=600,
        )
        return [tuple(json.loads(line)) for line in done.lines]

    def through(self, lun, parts, **options):
        """The scenario with prmig above the first two of the LUN's three nexuses."""
        fronts = []
        for name, nexus in zip("ab", lun):
            backstore = self.prmig.create(name, nexus[0], **options)
            fronts.append((name, self.lio.loopback(backstore)))
        nodes = [front.sg for _, front in fronts] + [lun[2][1]]
        steps = self.scenario(nodes, parts)
        for name, front in fronts:
            self.lio.remove_loopback(front)
            self.prmig.delete(name)
        # The next ones of this name begin anew.
        self.vm.run("rm -f /var/lib/prmig/nexus/*")
        return steps


@pytest.fixture(scope="module")
def machine(rig, deb):
    vm = rig.vm("one")
    rig.boot(vm)
    return Machine(vm, deb)


@pytest.fixture(scope="module")
def lun(machine):
    """(disk, sg node) of each of the three nexuses."""
    nexuses = machine.lio.shared_lun("array", "16M", nexuses=3)
    machine.vm.run("udevadm settle")
    return [(nexus.disk, nexus.sg) for nexus in nexuses]


@pytest.fixture(scope="module")
def bare(machine, lun):
    """The scenario on the LUN itself."""
    return machine.scenario([sg for _, sg in lun], PARTS)


def test_migrate_pr_on(machine, lun, bare):
    """As by default: only what cannot follow a guest, and what the filter is for."""
    seen = compare(bare, machine.through(lun, PARTS), "on")
    listed = {expected.reason for expected in EXPECTED if "on" in expected.modes}
    assert seen == listed, f"expected, and not seen: {listed - seen}"


def test_migrate_pr_off(machine, lun, bare):
    """Nothing of reservations differs at all."""
    through = machine.through(lun, PARTS_OFF, migrate_pr="off", filter="off")
    seen = compare([step for step in bare if step[0] in PARTS_OFF], through, "off")
    assert seen == {expected.reason for expected in EXPECTED if "off" in expected.modes}


def test_preempt_and_abort(machine):
    """On a LUN by iSCSI: a target for each nexus, this very machine's own."""
    iqns = [f"iqn.2026-11.org.example:lun{i}" for i in range(3)]
    backstore = machine.lio.fileio("iscsi", "16M")
    for iqn in iqns:
        machine.lio.iscsi_acl(iqn, INITIATOR, backstore)
    lun = [initiator.login(machine.vm, INITIATOR, "127.0.0.1", 3260, iqn, 0) for iqn in iqns]
    bare = machine.scenario([sg for _, sg in lun], PARTS_ABORT)
    assert not compare(bare, machine.through(lun, PARTS_ABORT), "on")
    for iqn in iqns:
        initiator.logout(machine.vm, iqn)
