# SPDX-License-Identifier: Apache-2.0
"""A nexus that moves whole between two hosts by logout and login, on LIO, which
keeps registrations beyond a session: every row of the hand-over's table, Abort
after each step, daemons that are killed at its points. All the while a stranger
tries to write, and another guest of the first host keeps its own session.
"""

import ast
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from rig import pr
from rig.lio import Lio
from rig.prmig import DBusError, Prmig
from rig.process import wait_until
from two_hosts import BYSTANDER_KEY, GUEST_KEY, Case, Port, initiator_name, refused, registrants

from conftest import SOURCE_ROOT

FULL = os.environ.get("PRMIG_FULL") == "1"
IQN = initiator_name("array")
# The line that README shows.
MOVE = re.search(r"^    (move=\S+)$", (SOURCE_ROOT / "README.md").read_text(), re.MULTILINE).group(1)
STRANGER_BLOCK = 1
CASES = [
    Case("not registered", registered=False),
    Case("registered"),
    Case("registered, a peer holds type 5", True, 5, "bystander"),
    Case("holder, type 1", True, 1),
    Case("holder, type 3", True, 3),
    Case("holder, type 5", True, 5),
    Case("holder, type 6", True, 6),
    Case("all registrants, type 7", True, 7),
    Case("all registrants, type 8", True, 8),
]
SAMPLE = [CASES[i] for i in (2, 5, 7)]
HOLDER = CASES[5]
# Step, who dies there, and the calls of which the last one gets there.
POINTS = [
    ("export-leave", "source", ("export",)),
    ("export-leave-again", "source", ("export", "export")),
    ("import-arrive", "destination", ("export", "import")),
    ("abort-come-back", "source", ("export", "abort here")),
    ("abort-hand-back", "destination", ("export", "import", "abort there")),
    ("release-left", "source", ("export", "import", "release")),
]
KILLS = [(*point, moment, end) for point in POINTS for moment in ("journalled", "answered") for end in ("Import", "Abort")]
KILL_SAMPLE = [KILLS[i] for i in (2, 11, 14, 19)]


class Host:
    """A host with the guest's backstore."""

    def __init__(self, prmig, portal, **options):
        self.prmig = prmig
        prmig.vm.put_data(
            f"[lun]\nbackend=iscsi\nportal={portal}\ntarget={IQN}\nlun=0\n"
            f"initiator={initiator_name('vm1')}\n"
            f"{MOVE}\n",
            "/etc/prmig/vm1-disk.conf",
            mode="600",
        )
        words = "".join(f";{key}={value}" for key, value in options.items())
        prmig.create_raw("vm1", "64M", f"vm1-disk{words}")
        self.guest = Port(prmig.vm, prmig.lio.loopback(prmig.lio.backstore("vm1")).sg)

    def get(self, name):
        return self.prmig.get("vm1", name)

    def state(self):
        found = self.prmig.properties("vm1")
        return {name: found[name] for name in ("State", "Key", "Holder", "Fenced", "Failure")}


class Stage:
    """Both hosts, the other guest on the first, and the LUN's other initiators."""

    def __init__(self, hosts, target, portal):
        self.source = Host(hosts[0], portal)
        self.destination = Host(hosts[1], portal, incoming="on")
        hosts[0].vm.put_data(
            f"[lun]\nbackend=iscsi\nportal={portal}\ntarget={IQN}\nlun=0\n"
            f"initiator={initiator_name('vm2')}\n",
            "/etc/prmig/vm2-disk.conf",
            mode="600",
        )
        hosts[0].create_raw("vm2", "64M", "vm2-disk")
        self.peer = Port(hosts[0].vm, hosts[0].lio.loopback(hosts[0].lio.backstore("vm2")).sg)
        self.target = target
        self.stranger = Port(target.vm, target.loopback(target.backstore("array"), "stranger").sg)
        self.line = self.writer = None

    def begin(self, case):
        """The guest is at the source, as the case has it."""
        assert self.peer.register(BYSTANDER_KEY, ignore=True) == pr.GOOD
        assert self.peer.clear(BYSTANDER_KEY) == pr.GOOD
        # What the destination has had is gone from it, or never was there.
        self.source.prmig.forget("vm1", force=True)
        self.source.guest.read()
        self.stranger.read()
        assert self.peer.register(BYSTANDER_KEY) == pr.GOOD
        if case.by == "bystander" and case.kind:
            assert self.peer.reserve(BYSTANDER_KEY, case.kind) == pr.GOOD
        if case.registered:
            assert self.source.guest.register(GUEST_KEY) == pr.GOOD
        if case.by == "guest" and case.kind:
            assert self.source.guest.reserve(GUEST_KEY, case.kind) == pr.GOOD
        self.nexus = self.guest_nexus()
        self.watch()

    def watch(self):
        """The stranger writes from now on."""
        self.writer = self.stranger.vm.spawn(
            f"exec python3 -B /root/stranger.py {self.stranger.node} {STRANGER_BLOCK} 1"
        )

    def end(self, case, here, other):
        """All is here as at the beginning: the same nexus of the LUN, whoever has it."""
        expected = {"State": "active", "Key": GUEST_KEY if case.registered else 0}
        expected |= {"Holder": case.guest_holds, "Fenced": False, "Failure": ""}
        assert here.state() == expected
        keys, reservation = pr.look(self.peer, self.peer.node)[:2]
        assert sorted(keys) == sorted([BYSTANDER_KEY] + [GUEST_KEY] * case.registered)
        assert reservation == case.reservation
        assert self.guest_nexus() == self.nexus
        assert here.guest.write("here", lba=64) == case.guest_writes
        assert other.get("Key") == 0 and not other.get("Holder")
        self.writer.signal("TERM")
        refused_writes, taken, others = json.loads(self.writer.wait().stdout)
        self.writer = None
        assert others == {}
        if case.kind:
            assert taken == 0 and refused_writes > 10, "the LUN was free for a moment"
        # The other guest of the first host never lost its session.
        found = self.source.prmig.properties("vm2")
        assert (found["Key"], found["Fenced"], found["State"]) == (BYSTANDER_KEY, False, "active")

    def guest_nexus(self):
        """The TransportIDs, with ISID, that have the guest's key."""
        status = pr.look(self.peer, self.peer.node, full=True)[2]
        return sorted(one.who for one in registrants(status) if one.key == GUEST_KEY)

    def call(self, word):
        there = self.destination.prmig
        here = self.source.prmig
        if word == "export":
            self.line = here.export("vm1")
        elif word == "import":
            there.import_("vm1", self.line)
        elif word == "release":
            here.release("vm1")
        elif word == "abort here":
            here.abort("vm1")
        else:
            there.abort("vm1", id=fields_id(self.line))


def fields_id(line):
    return dict(field.split("=", 1) for field in line.split(","))["id"]


@pytest.fixture(scope="module")
def stage(rig, deb, points_handler):
    machines = [rig.vm("source"), rig.vm("destination"), rig.vm("target", forward=[3260])]
    rig.boot(*machines)
    lio = Lio(machines[2])
    for script in ("scsi.py", "stranger.py"):
        machines[2].put(SOURCE_ROOT / "tests/system/inside" / script, f"/root/{script}")
    backstore = lio.fileio("array")
    for who in (initiator_name("vm1"), initiator_name("vm2"), MOVE.removeprefix("move=")):
        lio.iscsi_acl(IQN, who, backstore)
    hosts = [Prmig(machine, deb) for machine in machines[:2]]
    for prmig in hosts:
        prmig.install_points(points_handler)
    portal = f"{machines[2].OUTSIDE}:{machines[2].ports[3260]}"
    found = Stage(hosts, lio, portal)
    found.backstore = backstore
    return found


def bring_home(stage):
    """The guest back to the source, so that the next test begins there."""
    line = stage.destination.prmig.export("vm1")
    stage.source.prmig.import_("vm1", line)
    stage.destination.prmig.release("vm1")


@pytest.mark.parametrize("case", CASES if FULL else SAMPLE, ids=lambda case: case.name)
def test_there_and_back(stage, case):
    stage.begin(case)
    stage.destination.prmig.check("vm1")
    stage.call("export")
    stage.destination.prmig.check("vm1", stage.line)
    # The gate is closed until Import: the nexus is not there before.
    before = stage.destination.get("InFlight")
    early = pr.start_write(stage.destination.prmig.vm, stage.destination.guest.node, 65, "early")
    wait_until(lambda: stage.destination.get("InFlight") > before, 20, "the gate holds a write")
    assert early.running
    stage.call("import")
    assert early.wait(check=False).status == case.guest_writes
    stage.call("release")
    stage.end(case, stage.destination, stage.source)
    stage.watch()
    bring_home(stage)
    stage.end(case, stage.source, stage.destination)


def test_abort_after_each_step(stage):
    stage.begin(HOLDER)
    stage.call("export")
    stage.call("abort here")
    with refused("Stale", "comes too late"):
        stage.call("import")
    stage.call("export")
    older = stage.line
    with refused("WrongState", "has not been imported"):
        stage.call("release")
    stage.call("export")
    with refused("Stale", "comes too late"):
        stage.destination.prmig.import_("vm1", older)
    stage.call("import")
    # Imported: the source stays away, and the guest at the destination is not disturbed.
    with refused("WrongState", "arrived at another host"):
        stage.call("abort here")
    with refused("WrongState", "was imported elsewhere"):
        stage.source.prmig.export("vm1")
    assert stage.destination.guest.read(64) is not None
    stage.call("abort there")
    stage.call("abort here")
    stage.end(HOLDER, stage.source, stage.destination)


def test_fence_holds(stage):
    """What a peer removes on the way stays removed, and the guest learns of it where it runs."""
    stage.begin(CASES[1])
    stage.call("export")
    assert stage.peer.preempt(BYSTANDER_KEY, GUEST_KEY, 5) == pr.GOOD
    with refused("Fenced", "removed"):
        stage.call("import")
    with refused("Fenced"):
        stage.call("abort here")
    assert stage.source.state() == {
        "State": "active", "Key": 0, "Holder": False, "Fenced": True, "Failure": ""
    }
    assert pr.look(stage.peer, stage.peer.node)[0] == [BYSTANDER_KEY]
    stage.writer.stop()


def attempt(call, *arguments, **options):
    """The error that a call answers, or None."""
    try:
        call(*arguments, **options)
    except DBusError as error:
        return error
    return None


def finish_by_import(stage):
    refusal = None
    for _ in range(3):
        refusal = attempt(stage.call, "import") if stage.line else None
        if stage.line and refusal is None:
            return stage.source.prmig.release("vm1")
        attempt(stage.call, "export")
    raise AssertionError(f"it cannot be imported: {refusal}")


@pytest.mark.parametrize(
    "step, side, calls, moment, end", KILLS if FULL else KILL_SAMPLE, ids=str
)
def test_daemon_killed(stage, step, side, calls, moment, end):
    stage.begin(HOLDER)
    stage.line = None
    for word in calls[:-1]:
        stage.call(word)
    prmig = getattr(stage, side).prmig
    prmig.arm(f"{step}:{moment}")
    with ThreadPoolExecutor(1) as other:
        call = other.submit(stage.call, calls[-1])
        pid = prmig.wait_point(f"{step}:{moment}")
        prmig.vm.run(["kill", "-KILL", pid])
        assert isinstance(call.exception(60), DBusError)
    prmig.wait_bus()
    prmig.wait_open("vm1")
    if end == "Import" or calls[-1] == "release":
        # A Release that was interrupted is repeated; it is too late for an Abort.
        if calls[-1] == "release":
            stage.call("release")
        else:
            finish_by_import(stage)
        stage.end(HOLDER, stage.destination, stage.source)
        bring_home(stage)
        return
    if stage.line:
        attempt(stage.call, "abort there")
    stage.call("abort here")
    stage.end(HOLDER, stage.source, stage.destination)


def test_group(stage):
    """Two more nexuses of one guest on the LUN, with one key: each moves by itself, all or none."""
    hosts = [stage.source.prmig, stage.destination.prmig]
    for who in ("vm3", "vm4"):
        stage.target.iscsi_acl(IQN, initiator_name(who), stage.target.backstore("array"))
        for prmig, words in zip(hosts, ("", ";incoming=on")):
            text = prmig.vm.get("/etc/prmig/vm1-disk.conf")
            text = text.replace(initiator_name("vm1"), initiator_name(who))
            prmig.vm.put_data(text, f"/etc/prmig/{who}-disk.conf", mode="600")
            prmig.create_raw(who, "64M", f"{who}-disk;group=guest{words}")
    stage.begin(Case("nothing", registered=False))
    for who in ("vm3", "vm4"):
        disk = Port(hosts[0].vm, hosts[0].lio.loopback(hosts[0].lio.backstore(who)).sg)
        assert disk.register(GUEST_KEY) == pr.GOOD
    assert disk.reserve(GUEST_KEY, 5) == pr.GOOD
    before = stage.guest_nexus()
    line = ast.literal_eval(hosts[0].manager("Export", "'guest'", "{}"))[0]
    hosts[1].manager("Import", "'guest'", f"'{line}'", "{}")
    with refused("WrongState", "arrived at another host"):
        hosts[0].manager("Abort", "'guest'", "{}")
    hosts[0].manager("Release", "'guest'", "{}")
    for who in ("vm3", "vm4"):
        found = hosts[1].properties(who)
        assert (found["State"], found["Key"], found["Fenced"]) == ("active", GUEST_KEY, False)
    assert stage.guest_nexus() == before and len(before) == 2
    keys, reservation = pr.look(stage.peer, stage.peer.node)[:2]
    assert sorted(keys) == sorted([BYSTANDER_KEY, GUEST_KEY, GUEST_KEY])
    assert reservation == (GUEST_KEY, 5)
    stage.writer.stop()
