# SPDX-License-Identifier: Apache-2.0
"""libiscsi's iscsi-test-cu says the same of prmig as of the LUN beneath it.

Two initiators reach LIO's iSCSI target in one machine, each by an ACL that maps
a prmig backstore of its own to the same LUN number; the two backstores sit on
two nexuses of one LUN. The same suite, with the same two initiator names, runs
against the bare LUN. Each of its tests must end alike (passed, failed, skipped),
and one that fails must fail at the same places of its source. What does not is
explained in iscsi-test-cu.differences: an unexplained difference fails, and so
does an explanation of one that is not seen any more.

A file LUN, whose reservations are prmig's own, has no bare one to compare with: two
backstores on one file, and every test passes but for those that iscsi-test-cu.emulated
names, each with the reason; a line there that is not true fails, too.

The bare LUN:
lio   a fileio backstore, thin, exported by LIO's iSCSI target: prmig reaches it
      by two tcm_loop nexuses. What differs can come from prmig, from TCMU or from
      Linux' own SCSI initiator in between. Every family runs on it.
tgtd  reached by two sessions of open-iscsi. It knows what LIO's core of this kernel
      does not (REPORT SUPPORTED OPERATION CODES, GET LBA STATUS, ORWRITE, PRE-FETCH,
      VERIFY (12), WRITE AND VERIFY (12)): those families would say nothing on lio,
      where they skip themselves. With them run the reservations, and what a LUN says
      of itself.

Every family of the suite is in the tables below, and is run; the short form
(without PRMIG_FULL=1) leaves those of LONG_FORM out. What could do harm:
- Sanitize: without --allow-sanitize its tests skip themselves. prmig refuses SANITIZE,
  neither LUN knows it, and its test of reservations would leave one behind.
- Reserve6: its tests that end a session or reset the LUN leave a SCSI-2 reservation
  behind prmig, where neither is heard of. They are run one at a time, and after one that
  fails the first initiator takes and gives up the reservation (Reserve6.Simple).
- iSCSIResiduals, iSCSIcmdsn, iSCSIdatasn, iSCSITMF send what no initiator sends. This
  kernel survives them; one that does not shows as a family that does not end.
- PreventAllow, NoMedia and ReadOnly skip themselves on such a LUN, before they reset or
  log out.
"""

import os
import re
import shlex
from pathlib import Path

import pytest
from rig import RigError, initiator
from rig.prmig import Prmig

FULL = os.environ.get("PRMIG_FULL") == "1"
DIFFERENCES = Path(__file__).with_name("iscsi-test-cu.differences")
NOT_PASSED = Path(__file__).with_name("iscsi-test-cu.emulated")
INITIATORS = ("iqn.2026-11.org.example:first", "iqn.2026-11.org.example:second")
HOSTS = ("iqn.2026-11.org.example:host-one", "iqn.2026-11.org.example:host-two")
BARE = "iqn.2026-11.org.example:bare"
PRMIG = "iqn.2026-11.org.example:prmig-{}"
FAMILY_SECONDS = 900

RESERVATIONS = """PrinReadKeys PrinReportCapabilities PrinServiceactionRange ProutClear
    ProutPreempt ProutRegister ProutReserve Reserve6""".split()
ITSELF = """Inquiry Mandatory ModeSense6 ReadCapacity10 ReadCapacity16 ReportSupportedOpcodes
    StartStopUnit TestUnitReady""".split()
NOT_IN_LIO = """GetLBAStatus OrWrite Prefetch10 Prefetch16 ReadDefectData10 ReadDefectData12 Verify12
    WriteVerify12""".split()
DATA = """CompareAndWrite ExtendedCopy NoMedia PreventAllow Read6 Read10 Read12 Read16 ReadOnly
    ReceiveCopyResults Sanitize Unmap Verify10 Verify16 Write10 Write12 Write16 WriteAtomic16
    WriteSame10 WriteSame16 WriteVerify10 WriteVerify16""".split()
# Of the iSCSI target rather than of the LUN.
TARGET = "MultipathIO iSCSIResiduals iSCSITMF iSCSIcmdsn iSCSIdatasn".split()

FAMILIES = {
    "lio": RESERVATIONS + ITSELF + NOT_IN_LIO + DATA + TARGET,
    "tgtd": RESERVATIONS + ITSELF + NOT_IN_LIO + ["Unmap"],
    "emulated": RESERVATIONS + ITSELF + NOT_IN_LIO + DATA + ["MultipathIO"],
}
# Many commands or long waits, and a shorter family that sends the like; on tgtd, what lio covers.
LONG_FORM = {
    "lio": """CompareAndWrite Read6 Read10 Read12 Verify10 Write10 Write12 WriteSame10 WriteVerify10
        MultipathIO iSCSIcmdsn iSCSIdatasn""".split(),
    "tgtd": [
        family
        for family in FAMILIES["tgtd"]
        if family not in "GetLBAStatus Prefetch10 ReportSupportedOpcodes".split()
    ],
    "emulated": """MultipathIO Read6 Read10 Read12 Verify10 Verify12 Verify16 Write10 Write12
        WriteSame10 WriteSame16""".split(),
}
ONE_BY_ONE = {"Reserve6"}
TWO_PATHS = {"MultipathIO"}

CASES = [
    (lun, family)
    for lun, families in FAMILIES.items()
    for family in families
    if FULL or family not in LONG_FORM[lun]
]


# ---- what the suite prints ----

TEST = re.compile(r"^  Test: (\S+) \.\.\.", re.MULTILINE)
VERDICT = re.compile(r"^(passed|FAILED)", re.MULTILINE)
PLACE = re.compile(r"^ +\d+\. (\S+:\d+) ", re.MULTILINE)


def parse(output):
    """{test: (verdict, places)} of one run; places: of the source, where it failed."""
    verdicts = {}
    body, _, _ = output.partition("\nRun Summary:")
    parts = TEST.split(body)
    for name, text in zip(parts[1::2], parts[2::2]):
        found = VERDICT.search(text)
        if not found:
            raise RigError(f"{name} did not end: {text[-400:]}")
        if found.group(1) == "FAILED":
            verdicts[name] = ("failed", frozenset(PLACE.findall(text[found.end() :])))
        elif "[SKIPPED]" in text[: found.start()]:
            verdicts[name] = ("skipped", frozenset())
        else:
            verdicts[name] = ("passed", frozenset())
    return verdicts


def parse_list(text):
    """{family: {suite: [tests]}} of iscsi-test-cu --list."""
    tree = {}
    for line in text.split():
        family, *rest = line.split(".", 2)
        suites = tree.setdefault(family, {})
        if rest:
            tests = suites.setdefault(rest[0], [])
            tests += rest[1:]
    return tree


class Explained:
    """A line of the differences file: LUN SUITE.TEST BARE -> PRMIG: reason.

    BARE and PRMIG: a verdict, or several with "or" where the LUN itself answers now
    this, now that. "failed elsewhere": it fails on both, at other places.
    """

    LINE = re.compile(r"(\S+) (\S+)\.(\S+) ([a-z ]+) -> ([a-z ]+): (\S.*)")

    def __init__(self, line):
        found = self.LINE.fullmatch(line)
        if not found:
            raise RigError(f"{DIFFERENCES.name}: not understood: {line}")
        self.line = line
        self.lun, self.family, self.test, bare, prmig, self.reason = found.groups()
        self.bare = set(bare.split(" or "))
        self.prmig = set(prmig.split(" or "))
        known = {"passed", "failed", "skipped", "failed elsewhere"}
        if not self.bare | self.prmig <= known or self.bare == self.prmig:
            raise RigError(f"{DIFFERENCES.name}: no difference: {line}")

    @staticmethod
    def read():
        lines = [line for line in DIFFERENCES.read_text().splitlines() if line]
        explained = {}
        for entry in (Explained(line) for line in lines if not line.startswith("#")):
            key = entry.lun, entry.family, entry.test
            if key in explained:
                raise RigError(f"{DIFFERENCES.name}: twice: {key}")
            explained[key] = entry
        return explained


class NotPassed:
    """A line of the file for the emulated LUN: SUITE.TEST VERDICT: reason; TEST "*": each of the suite's."""

    LINE = re.compile(r"(\S+)\.(\S+) (skipped|failed): (\S.*)")

    def __init__(self, line):
        found = self.LINE.fullmatch(line)
        if not found:
            raise RigError(f"{NOT_PASSED.name}: not understood: {line}")
        self.line = line
        self.family, self.test, self.verdict, self.reason = found.groups()

    @staticmethod
    def read():
        lines = [line for line in NOT_PASSED.read_text().splitlines() if line]
        named = {}
        for entry in (NotPassed(line) for line in lines if not line.startswith("#")):
            key = entry.family, entry.test
            if key in named or (entry.family, "*") in named:
                raise RigError(f"{NOT_PASSED.name}: twice: {key}")
            named[key] = entry
        return named


def judge_alone(family, verdicts, named):
    """What is wrong with a run on the emulated LUN, a line each; [] if nothing is."""
    wrong = []
    for test, (verdict, places) in verdicts.items():
        entry = named.get((family, test)) or named.get((family, "*"))
        expected = entry.verdict if entry else "passed"
        if verdict != expected:
            wrong.append(f"{family}.{test} {verdict}, not {expected} {sorted(places)}")
    return wrong


def judge(lun, family, bare, prmig, explained):
    """What is wrong with two runs of a family, a line each; [] if nothing is."""
    wrong = []
    for test, (left, left_places) in bare.items():
        right, right_places = prmig[test]
        if left == right == "failed" and left_places != right_places:
            right = "failed elsewhere"
        entry = explained.get((lun, family, test))
        seen = f"{lun} {family}.{test} {left} -> {right}"
        if entry is None:
            if left != right:
                wrong.append(f"not explained: {seen}: {sorted(left_places ^ right_places)}")
        elif left not in entry.bare or right not in entry.prmig:
            wrong.append(f"explained: {entry.line}\n    seen: {seen}")
    return wrong


# ---- the stage ----


class Stage:
    """One machine, both LUNs, each bare and through two prmig backstores."""

    def __init__(self, rig, deb):
        self.vm = rig.vm("suite")
        rig.boot(self.vm)
        self.prmig = Prmig(self.vm, deb)
        self.bare = {}
        self._make_lio()
        self._make_tgtd(rig)
        self._make_emulated()
        self.listed = parse_list(self.vm.run("iscsi-test-cu --list").stdout)

    def _make_lio(self):
        lio = self.prmig.lio
        array = lio.fileio("array")
        self.vm.run(f"cd {array.path}/attrib && echo 1 >emulate_tpu && echo 1 >emulate_tpws")
        for name in INITIATORS:
            lio.iscsi_acl(BARE, name, array)
        self.bare["lio"] = f"iscsi://127.0.0.1/{BARE}/0"
        disks = [lio.loopback(array, f"array{i}").disk for i in range(2)]
        self.array_disk = disks[0]
        self._make_prmig("lio", disks)

    def _make_tgtd(self, rig):
        daemon = rig.tgtd()
        self.bare["tgtd"] = f"iscsi://{self.vm.OUTSIDE}:{daemon.port}/{daemon.IQN}/{daemon.LUN}"
        disks = [
            initiator.login(
                self.vm, host, self.vm.OUTSIDE, daemon.port, daemon.IQN, daemon.LUN, second=i > 0
            )[0]
            for i, host in enumerate(HOSTS)
        ]
        self._make_prmig("tgtd", disks)

    def _make_emulated(self):
        path = "/var/lib/rig/emulated.img"
        self.vm.run(f"truncate -s 64M {path}")
        self._make_prmig("emulated", [path] * 2)

    def _make_prmig(self, lun, disks):
        for i, (disk, name) in enumerate(zip(disks, INITIATORS)):
            backstore = self.prmig.create(f"{lun}{i}", disk)
            self.prmig.lio.iscsi_acl(PRMIG.format(lun), name, backstore)

    def _iscsi_test_cu(self, url, pattern, paths=1):
        """Run tests of one suite; returns what parse() makes of it."""
        words = ["timeout", "-k", "5", str(FAMILY_SECONDS), "iscsi-test-cu"]
        words += ["--dataloss", "-i", INITIATORS[0], "-I", INITIATORS[1]]
        words += ["-t", f"ALL.{pattern}"] + [url] * paths
        result = self.vm.run(
            shlex.join(words) + " 2>&1", check=False, timeout=FAMILY_SECONDS + 30
        )
        # 1: a test has failed.
        if result.status not in (0, 1):
            raise RigError(
                f"{pattern} on {url}: exit status {result.status}\n{result.stdout[-2000:]}\n"
                f"{self.vm.console_tail()}"
            )
        return parse(result.stdout)

    def run(self, url, family):
        """All tests of a family: {test: (verdict, places)}."""
        listed = self.listed["ALL"][family]
        if family in ONE_BY_ONE:
            verdicts = {}
            for test in listed:
                verdicts |= self._iscsi_test_cu(url, f"{family}.{test}")
                if verdicts[test][0] == "failed":
                    after = self._iscsi_test_cu(url, "Reserve6.Simple")
                    assert after["Simple"][0] == "passed", f"after {family}.{test}"
        else:
            if family in TWO_PATHS:
                self._zero()
            verdicts = self._iscsi_test_cu(url, family, 2 if family in TWO_PATHS else 1)
        assert list(verdicts) == listed
        return verdicts

    def _zero(self):
        """MultipathIO.CompareAndWrite expects zeros in 257 blocks, and writes 256."""
        self.vm.run(f"dd if=/dev/zero of={self.array_disk} bs=1M count=1 oflag=direct status=none")


@pytest.fixture(scope="module")
def stage(rig, deb):
    return Stage(rig, deb)


@pytest.fixture(scope="module")
def explained():
    return Explained.read()


@pytest.fixture(scope="module")
def named():
    return NotPassed.read()


# ---- tests ----


def test_the_check_goes_both_ways():
    """Neither an unexplained difference passes, nor an explanation without one."""
    line = Explained("lio Family.Test passed -> failed: a reason")
    explained = {("lio", "Family", "Test"): line}
    passed, failed = ("passed", frozenset()), ("failed", frozenset(["a.c:1"]))
    elsewhere = ("failed", frozenset(["a.c:2"]))

    def wrong(bare, prmig, explained):
        return judge("lio", "Family", {"Test": bare}, {"Test": prmig}, explained)

    assert not wrong(passed, failed, explained)
    assert not wrong(failed, failed, {})
    assert wrong(passed, failed, {}) and wrong(failed, elsewhere, {})
    assert wrong(passed, passed, explained) and wrong(failed, failed, explained)
    assert wrong(passed, ("skipped", frozenset()), explained)
    with pytest.raises(RigError):
        Explained("lio Family.Test passed -> passed: no difference")


def test_the_check_of_the_emulated_lun_goes_both_ways():
    """Neither a test passes that is not named, nor a name without need."""
    named = {("Family", "Test"): NotPassed("Family.Test skipped: a reason")}
    passed, skipped = ("passed", frozenset()), ("skipped", frozenset())
    failed = ("failed", frozenset(["a.c:1"]))
    assert not judge_alone("Family", {"Test": skipped, "Other": passed}, named)
    for verdict in (passed, failed):
        assert judge_alone("Family", {"Test": verdict}, named)
    for verdict in (skipped, failed):
        assert judge_alone("Family", {"Other": verdict}, named)
    whole = {("Family", "*"): NotPassed("Family.* skipped: a reason")}
    assert not judge_alone("Family", {"Test": skipped, "Other": skipped}, whole)
    assert judge_alone("Family", {"Test": skipped, "Other": passed}, whole)
    with pytest.raises(RigError):
        NotPassed("Family.Test passed: no need")


def test_no_family_is_left_out(stage, explained, named):
    """The tables name what iscsi-test-cu --list does, and the explanations what is there."""
    listed = stage.listed["ALL"]
    assert sorted(FAMILIES["lio"]) == sorted(listed)
    assert set(FAMILIES["tgtd"]) <= set(listed)
    for family, suites in stage.listed.items():
        for suite, tests in suites.items():
            assert listed[suite] == tests, f"{family}.{suite} has tests that ALL lacks"
    for lun, families in LONG_FORM.items():
        assert set(families) <= set(FAMILIES[lun])
    for lun, family, test in explained:
        assert family in FAMILIES[lun] and test in listed[family], f"{lun} {family}.{test}"
    assert set(FAMILIES["emulated"]) <= set(listed)
    for family, test in named:
        assert family in FAMILIES["emulated"], family
        assert test == "*" or test in listed[family], f"{family}.{test}"


@pytest.mark.parametrize("lun,family", CASES)
def test_family(stage, explained, named, lun, family):
    if lun == "emulated":
        alone = stage.run(f"iscsi://127.0.0.1/{PRMIG.format(lun)}/0", family)
        wrong = judge_alone(family, alone, named)
        assert not wrong, "\n" + "\n".join(wrong)
        return
    bare = stage.run(stage.bare[lun], family)
    prmig = stage.run(f"iscsi://127.0.0.1/{PRMIG.format(lun)}/0", family)
    wrong = judge(lun, family, bare, prmig, explained)
    assert not wrong, "\n" + "\n".join(wrong)
