# SPDX-License-Identifier: Apache-2.0
"""kill -9 of tcmu-runner, and death of a whole host, at named points of a
hand-over between two hosts, on real LUNs.

The handler in these machines is one with the points of handler/points.h built
in: the daemon stands still at the point, and is killed there; or its machine
is, which boots again from its disk with what had been flushed to that. The
hand-over is then finished by Import again, or taken back by Abort. All the
while a stranger on a third machine tries to write.

This is a sample of the matrix that tests/host/test-crash.c goes through whole.
PRMIG_FULL=1: each of POINTS in each of its rows, journalled and answered, both
ends, on both LUNs; and in one of its rows with the death of the host, on LIO's
(tgtd forgets a registration with its session, so the hosts have to stay up).
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from rig import RigError, initiator, pr
from rig.lio import Lio
from rig.prmig import DBusError, Prmig
from two_hosts import NOTHING, Case, Port, Site, initiator_name, refused

from conftest import SOURCE_ROOT

FULL = os.environ.get("PRMIG_FULL") == "1"
# In all of them whoever is not registered cannot write.
CASES = {
    2: Case("registered, another holds type 5", True, 5, "bystander"),
    3: Case("holder of type 5", True, 5),
    4: Case("all registrants, type 7", True, 7),
}
BEFORE, ARRIVED, HELD, END = range(4)  # blocks
ROUNDS = 6


@dataclass(frozen=True)
class Point:
    """A step of handler/record.c, and how it is reached."""

    step: str
    side: str  # who dies
    calls: tuple  # the last one gets there
    rows: tuple


IMPORTED = ("export", "import")
POINTS = {
    point.step: point
    for point in (
        Point("export-barrier", "source", ("export",), (2, 3, 4)),
        Point("import-register", "destination", IMPORTED, (2, 3, 4)),
        Point("import-preempt", "destination", IMPORTED, (3,)),
        Point("release-unregister", "source", (*IMPORTED, "release"), (2, 4)),
        Point("abort-barrier", "source", ("export", "abort here"), (2, 4)),
        Point("abort-preempt", "source", ("export", "abort here"), (3,)),
        Point("abort-register", "source", (*IMPORTED, "abort there", "abort here"), (3,)),
        Point("abort-take-back", "source", (*IMPORTED, "abort there", "abort here"), (3,)),
        Point("abort-unregister", "destination", (*IMPORTED, "abort there"), (2, 4)),
    )
}
MOMENTS = ("journalled", "answered")
ENDS = ("Import", "Abort")

DAEMON_SAMPLE = [
    ("lio", 3, "export-barrier", "answered", "Import"),
    ("lio", 4, "import-register", "answered", "Abort"),
    ("lio", 3, "import-preempt", "journalled", "Import"),
    ("lio", 2, "release-unregister", "journalled", "Import"),
    ("lio", 3, "abort-register", "answered", "Abort"),
    ("tgtd", 3, "import-preempt", "answered", "Abort"),
    ("tgtd", 3, "abort-take-back", "journalled", "Import"),
    ("tgtd", 2, "abort-unregister", "answered", "Abort"),
]
HOST_SAMPLE = [
    ("lio", 3, "import-preempt", "answered", "Import"),
    ("lio", 3, "abort-register", "answered", "Abort"),
]


def every(lun, all_rows):
    return [
        (lun, row, point.step, moment, end)
        for point in POINTS.values()
        for row in (point.rows if all_rows else point.rows[-1:])
        for moment in MOMENTS
        for end in ENDS
    ]


def runs(sample, full):
    wanted = full if FULL else sample
    return pytest.mark.parametrize(
        "site, row, step, moment, end",
        [pytest.param(*run, id="{}-row {}-{}:{}-{}".format(*run)) for run in wanted],
        indirect=["site"],
    )


# ---- the stage ----


@pytest.fixture(scope="module")
def machines(rig):
    """Source, destination, and the machine of LIO's target and of the others."""
    found = [rig.vm("source"), rig.vm("destination"), rig.vm("target", forward=[3260])]
    rig.boot(*found)
    return found


@pytest.fixture(scope="module")
def hosts(machines, deb, points_handler):
    found = [Prmig(machine, deb) for machine in machines[:2]]
    for prmig in found:
        prmig.install_points(points_handler)
    return found


@pytest.fixture(scope="module")
def target(machines):
    vm = machines[2]
    for script in ("scsi.py", "stranger.py"):
        vm.put(SOURCE_ROOT / "tests/system/inside" / script, f"/root/{script}")
    return Lio(vm)


@pytest.fixture(scope="module")
def lio(hosts, target):
    backstore = target.fileio("array")
    iqn = initiator_name("array")
    for who in ("source", "destination"):
        target.iscsi_acl(iqn, initiator_name(who), backstore)

    def login(vm, who):
        port = target.vm.ports[3260]
        return initiator.login(vm, initiator_name(who), vm.OUTSIDE, port, iqn, 0)

    bystander, stranger = (
        Port(target.vm, target.loopback(backstore, who).sg) for who in ("bystander", "stranger")
    )
    site = Site("lio", hosts, login, bystander)
    site.stranger, site.login = stranger, login
    return site


@pytest.fixture(scope="module")
def tgtd(rig, hosts, target):
    daemon = rig.tgtd()

    def login(vm, who):
        second = who == "stranger"
        return initiator.login(
            vm, initiator_name(who), vm.OUTSIDE, daemon.port, daemon.IQN, daemon.LUN, second
        )

    site = Site("tgtd", hosts, login, Port(target.vm, login(target.vm, "bystander")[1]))
    site.stranger = Port(target.vm, login(target.vm, "stranger")[1])
    site.has_full_status = False
    return site


@pytest.fixture
def site(request):
    found = request.getfixturevalue(request.param)
    found.begin(incoming=True)
    found.stranger.read()  # takes the unit attentions of what was before
    found.writer = None
    yield found
    if found.writer and found.writer.running:
        found.writer.stop()
    found.end()


# ---- one run ----


class Run:
    """A hand-over, from the set-up to the end that is made of it."""

    def __init__(self, site, case):
        self.site, self.case = site, case
        self.source, self.destination = site.source, site.destination
        self.line = None
        case.set_up(site, at=self.source)
        for lba, text in ((BEFORE, "before"), (HELD, "")):
            assert self.source.guest.write(text, lba) == pr.GOOD
        self.held = None
        site.writer = site.stranger.vm.spawn(
            f"exec python3 -B /root/stranger.py {site.stranger.node} 1 1"
        )

    def call(self, word):
        """One of a Point's calls, as an orchestrator would make it."""
        if word == "export":
            self.line = self.source.export()
        elif word == "import":
            self.destination.import_(self.line)
        elif word == "release":
            assert self.destination.guest.write("arrived", lba=ARRIVED) == pr.GOOD
            self.source.release()
        elif word == "abort here":
            self.source.abort()
        elif self.case.row == 3:
            with refused("WrongState", "holds the reservation", "Abort at the source"):
                self.destination.abort()
        else:
            self.destination.abort()

    def die(self, point, moment, kill):
        """The daemon comes to the point, and kill(pid) ends it there."""
        side = self.side(point)
        for word in point.calls[:-1]:
            self.call(word)
        side.prmig.arm(f"{point.step}:{moment}")
        with ThreadPoolExecutor(1) as other:
            call = other.submit(self.call, point.calls[-1])
            pid = side.prmig.wait_point(f"{point.step}:{moment}")
            assert not call.done()
            kill(pid)
            return call.exception(60)

    def side(self, point):
        return getattr(self, point.side)

    def hold(self, side):
        """A gate that was closed when the daemon died still is: a write waits there."""
        if side.get("State") != "active":
            self.held = side, side.hold_write("held", HELD)

    # The ends

    def finish_by_import(self):
        """Import again; where that is not taken, Export again and Import that."""
        refusal = None
        for _ in range(ROUNDS):
            if self.line:
                refusal = attempt(self.destination.import_, self.line)
                if refusal is None:
                    break
            attempt(self.call, "export")
        else:
            raise AssertionError(f"it cannot be imported: {refusal}")
        self.source.release(force=True)

    def finish_by_abort(self):
        """There, here, there."""
        there = attempt(self.destination.abort)
        here = attempt(self.source.abort)
        if here and here.name == "WrongState" and "Abort at the source now" in there.message:
            # It says there that it holds: what the generation does not prove any more.
            here = attempt(self.source.abort, force=True)
        assert here is None, here
        self.destination.abort()

    def finish_release(self):
        """The guest runs at the destination: Abort is refused and harms nothing."""
        with refused("WrongState", "has written since Import"):
            self.destination.abort()
        self.source.release(force=True)

    def finish(self, end, arrived):
        """Returns the side where the guest is then, and the other one."""
        if arrived and end == "Abort":
            self.finish_release()
        elif end == "Import":
            self.finish_by_import()
        else:
            self.finish_by_abort()
            if self.destination.get("State") != "active":
                self.destination.abort()  # it gives up waiting
        there = arrived or end == "Import"
        return (self.destination, self.source) if there else (self.source, self.destination)

    def check(self, here, other):
        """Everything is here, once, and nothing at the other side."""
        case = self.case
        case.expect_running(here)
        self.site.expect_guest_at(here, case=case)
        other.expect_soon(State="active", **NOTHING)
        if self.held:
            side, write = self.held
            passed = write.wait(check=False).status
            assert passed == (pr.GOOD if side is here else pr.RESERVATION_CONFLICT)
            assert here.guest.read(HELD) == ("held" if side is here else "")
        assert here.guest.write("end", lba=END) == pr.GOOD
        assert other.guest.write("other", lba=END) == pr.RESERVATION_CONFLICT
        assert here.guest.read(BEFORE) == "before"
        assert here.guest.read(END) == "end"
        self.site.writer.signal("TERM")
        refused_writes, taken, others = json.loads(self.site.writer.wait().stdout)
        assert (taken, others) == (0, {})
        assert refused_writes > 10
        print(f"the stranger was refused {refused_writes} times")


def attempt(call, *arguments, **options):
    """The error that a call answers, or None."""
    try:
        call(*arguments, **options)
    except DBusError as error:
        return error
    return None


def end_it(run, point, end):
    run.hold(run.side(point))
    run.check(*run.finish(end, arrived=point.calls[-1] == "release"))


@runs(DAEMON_SAMPLE, every("lio", True) + every("tgtd", True))
def test_daemon_killed(site, row, step, moment, end):
    run, point = Run(site, CASES[row]), POINTS[step]
    prmig = run.side(point).prmig
    error = run.die(point, moment, lambda pid: prmig.vm.run(["kill", "-KILL", pid]))
    assert isinstance(error, DBusError) and error.name.endswith(".NoReply"), error
    prmig.wait_open(site.name)
    end_it(run, point, end)


@runs(HOST_SAMPLE, every("lio", False))
def test_host_killed(site, row, step, moment, end):
    """As by a power failure: what the machine has not flushed to its disk is lost."""
    run, point = Run(site, CASES[row]), POINTS[step]
    side = run.side(point)
    vm = side.vm
    vm.run("echo kept >/root/flushed; sync")

    state = f"/var/lib/prmig/nexus/{site.name}"
    written = []

    def kill(_):
        written.append(vm.get(state))
        vm.run("echo lost >/root/not-flushed")
        vm.kill()

    error = run.die(point, moment, kill)
    assert isinstance(error, RigError), error
    vm.boot()
    assert not vm.run("grep lost /root/not-flushed", check=False).ok
    assert vm.get("/root/flushed") == "kept\n"
    assert [vm.get(state)] == written, "prmig had written what it had not flushed"
    side.prmig.wait_bus()
    options = {"incoming": "on"} if side is site.destination else {}
    side.come_back(site.login(vm, point.side), **options)
    side.prmig.wait_open(site.name)
    end_it(run, point, end)
