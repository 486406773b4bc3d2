# SPDX-License-Identifier: Apache-2.0
"""A hand-over between two hosts, on a LUN that offers the least (tgtd) and on
one that offers the most (LIO with its APTPL folder).

In every test a third initiator is registered with a key of its own; it has to
be unharmed at the end. PRMIG_FULL=1: every row on both LUNs.
"""

import os

import pytest
from rig import pr
from rig.lio import Lio
from rig import initiator
from rig.prmig import Prmig
from two_hosts import (
    BYSTANDER_KEY,
    GUEST_KEY,
    NOTHING,
    STRANGER_KEY,
    Case,
    Port,
    Side,
    Site,
    fields,
    initiator_name,
    refused,
    sealed,
)

FULL = os.environ.get("PRMIG_FULL") == "1"

ROW_1 = Case("not registered", registered=False)
ROW_1_SHUT_OUT = Case("not registered, shut out by type 5", False, 5, "bystander")
ROW_2 = Case("registered")
ROW_2_OF_THREE = Case("registered, another holds type 5", True, 5, "bystander")
ROW_2_SHUT_OUT = Case("registered, another holds type 1", True, 1, "bystander")
ROW_3 = {kind: Case(f"holder of type {kind}", True, kind) for kind in (1, 3, 5, 6)}
ROW_4 = {kind: Case(f"holder of type {kind} with all", True, kind) for kind in (7, 8)}

ALL = [ROW_1, ROW_1_SHUT_OUT, ROW_2, ROW_2_SHUT_OUT, *ROW_3.values(), *ROW_4.values()]
SOME_HERE = [ROW_1, ROW_2_SHUT_OUT, ROW_3[1], ROW_3[6], ROW_4[8]]
SOME_THERE = [ROW_1_SHUT_OUT, ROW_2, ROW_3[5], ROW_4[7]]


def on(*pairs):
    """Parameters (site, case), a case given as a list too."""
    every = []
    for name, cases in pairs:
        every += [pytest.param(name, case, id=f"{name}-{case.name}") for case in cases]
    return pytest.mark.parametrize("site, case", every, indirect=["site"])


def on_lun(*names):
    return pytest.mark.parametrize("site", names, indirect=True)


BOTH = ("lio", "tgtd") if FULL else ("lio",)
THREE = [ROW_2, ROW_3[5], ROW_4[7]] if FULL else [ROW_2, ROW_3[5]]


# ---- the stage ----


@pytest.fixture(scope="module")
def hosts(rig, deb):
    """prmig on two machines."""
    machines = [rig.vm(name) for name in ("source", "destination")]
    rig.boot(*machines)
    return [Prmig(machine, deb) for machine in machines]


def assemble(name, hosts, login, bystander):
    """A Site; the stranger is at the destination's host."""
    site = Site(name, hosts, login, bystander)
    site.stranger_disk, sg = login(hosts[1].vm, "stranger")
    site.stranger = Port(hosts[1].vm, sg)
    return site


@pytest.fixture(scope="module")
def tgtd(rig, hosts):
    """tgtd on the outer machine: all six types, and little else."""
    daemon = rig.tgtd()

    def login(vm, who):
        second = who in ("bystander", "stranger")
        return initiator.login(
            vm, initiator_name(who), vm.OUTSIDE, daemon.port, daemon.IQN, daemon.LUN, second
        )

    source = hosts[0].vm
    bystander = Port(source, login(source, "bystander")[1])
    site = assemble("tgtd", hosts, login, bystander)
    site.has_full_status = False
    return site


@pytest.fixture(scope="module")
def target(rig):
    """LIO's side of the LUN that offers the most, in a machine of its own."""
    machine = rig.vm("target", forward=[3260])
    rig.boot(machine)
    return Lio(machine)


@pytest.fixture(scope="module")
def lio(hosts, target):
    """LIO's iSCSI target; the bystander is at the target itself, by tcm_loop."""
    backstore = target.fileio("array")
    iqn = initiator_name("array")
    for who in ("source", "destination", "stranger"):
        target.iscsi_acl(iqn, initiator_name(who), backstore)

    def login(vm, who):
        port = target.vm.ports[3260]
        return initiator.login(
            vm, initiator_name(who), vm.OUTSIDE, port, iqn, 0, second=who == "stranger"
        )

    bystander = Port(target.vm, target.loopback(backstore, "bystander").sg)
    return assemble("lio", hosts, login, bystander)


@pytest.fixture
def site(request):
    """The LUN that the test names, with nothing of an earlier test."""
    found = request.getfixturevalue(request.param)
    found.begin()
    yield found
    found.end()


@pytest.fixture
def lio_without_folder(lio, target):
    """LIO without the folder for its APTPL files: REGISTER takes effect and
    answers NOT READY."""
    target.pr_folder(False)
    lio.register_status = pr.NOT_READY
    lio.begin()
    yield lio
    lio.end()
    target.pr_folder(True)
    lio.register_status = pr.GOOD


@pytest.fixture(scope="module")
def line_elsewhere(hosts):
    """A state line of another LUN, which only the source host has."""
    prmig = hosts[0]
    (nexus,) = prmig.lio.shared_lun("elsewhere", "16M", nexuses=1)
    prmig.create("elsewhere", nexus.disk)
    return prmig.export("elsewhere")


# ---- the rows of the table, forth and back ----


def hand_over(site, case, source, destination, held=None):
    """A whole hand-over, looked at after each call. held: a write that waits
    at the destination's closed gate, with its block and text."""
    assert source.guest.write("before", lba=1) == case.guest_writes
    assert site.stranger.write("stranger", lba=2) == case.others_write
    written = "before" if case.guest_writes == pr.GOOD else None

    line = source.export()
    ident = fields(line)["id"]
    assert fields(line)["row"] == str(case.row)
    source.expect(State="exported", HandoverId=ident, **case.properties())
    if case.registered:
        site.expect_guest_at(source, case=case)
    assert site.stranger.write("stranger", lba=2) == case.others_write
    if written:
        assert source.guest.read(lba=1) == written, "reads pass a closed gate"

    generation = site.generation()
    destination.check(line)
    assert site.generation() == generation, "Check changes nothing"

    destination.import_(line)
    destination.expect(State="active", HandoverId=ident, **case.properties())
    if case.registered:
        both = (destination,) if case.row == 3 else (source, destination)
        site.expect_guest_at(*both, case=case)
    assert site.stranger.write("stranger", lba=2) == case.others_write
    if held:
        write, lba, text = held
        assert write.wait(check=False).status == case.guest_writes
        if case.guest_writes == pr.GOOD:
            assert destination.guest.read(lba) == text

    source.release()
    source.expect(State="active", HandoverId=ident, **NOTHING)
    case.expect_running(destination)
    if case.registered:
        site.expect_guest_at(destination, case=case)
    # Not a word to the guest of what has been done behind its back.
    assert destination.guest.write("after", lba=1, quiet=True) == case.guest_writes
    if case.guest_writes == pr.GOOD:
        assert destination.guest.read(lba=1) == "after"
    assert site.stranger.write("stranger", lba=2) == case.others_write


@on(("lio", ALL if FULL else SOME_HERE), ("tgtd", ALL if FULL else SOME_THERE))
def test_row(site, case):
    """Forth to a nexus that has waited for it, incoming, and back to one that was released."""
    site.begin(incoming=True)
    source, destination = site.source, site.destination
    case.set_up(site, at=source)
    case.expect_running(source)
    destination.expect(State="incoming", HandoverId="", **NOTHING)
    held = destination.hold_write("early", 3), 3, "early"
    hand_over(site, case, source, destination, held)
    hand_over(site, case, destination, source)


@on_lun(*BOTH)
def test_fenced_nexus_stays_fenced(site):
    """Row 1: a guest that a peer has shut out is shut out where it goes."""
    source, destination = site.source, site.destination
    case = ROW_3[5]
    case.set_up(site, at=source)
    assert site.stranger.register(STRANGER_KEY) == pr.GOOD
    assert site.stranger.preempt(STRANGER_KEY, GUEST_KEY, 5) == pr.GOOD
    assert source.guest.write("fenced", quiet=True) in (
        pr.UNIT_ATTENTION,
        pr.RESERVATION_CONFLICT,
    )
    assert source.guest.write("fenced") == pr.RESERVATION_CONFLICT
    fenced = {**NOTHING, "Fenced": True}
    source.expect_soon(State="active", **fenced)

    line = source.export()
    assert fields(line)["row"] == "1"
    destination.import_(line)
    destination.expect(State="active", **fenced)
    source.release()
    source.expect(State="active", **NOTHING)
    assert destination.guest.write("fenced") == pr.RESERVATION_CONFLICT
    assert site.keys() == sorted([BYSTANDER_KEY, STRANGER_KEY])
    assert site.reservation() == (STRANGER_KEY, 5)

    # The guest itself may come back.
    assert destination.guest.register(GUEST_KEY) == pr.GOOD
    destination.expect(Fenced=False, Key=GUEST_KEY)
    assert destination.guest.write("again") == pr.GOOD


@on_lun("lio", "tgtd")
def test_cluster_of_three(site):
    """A registrant that does not hold, in a type 5 cluster of three, keeps its registration."""
    assert site.stranger.register(STRANGER_KEY) == pr.GOOD
    source, destination = site.source, site.destination
    assert site.bystander.reserve(BYSTANDER_KEY, 5) == pr.GOOD
    assert source.guest.register(GUEST_KEY) == pr.GOOD
    three = sorted([GUEST_KEY, BYSTANDER_KEY, STRANGER_KEY])
    for here, there in ((source, destination), (destination, source)):
        there.import_(here.export())
        assert site.keys() == sorted([*three, GUEST_KEY])
        here.release()
        assert site.keys() == three
        assert site.reservation() == (BYSTANDER_KEY, 5)
        there.expect(State="active", Key=GUEST_KEY, Holder=False, Fenced=False)
        assert there.guest.write("cluster", quiet=True) == pr.GOOD
        assert here.guest.write("not here", lba=1) == pr.RESERVATION_CONFLICT
        # Left over from this look: Import is not for a nexus that a guest writes through.
        here.forget()
    assert site.stranger.write("peer") == pr.GOOD


@on_lun("lio")
@pytest.mark.parametrize("aptpl", [True, False])
@pytest.mark.parametrize("case", [ROW_2_OF_THREE, ROW_3[5]], ids=lambda c: c.name)
def test_aptpl_stays(site, case, aptpl):
    """The last REGISTER decides for the whole LUN: those of the hand-over change nothing."""
    source, destination = site.source, site.destination
    assert site.bystander.register(BYSTANDER_KEY, ignore=True, aptpl=aptpl) == pr.GOOD
    if case.by == "bystander":
        assert site.bystander.reserve(BYSTANDER_KEY, case.kind) == pr.GOOD
    assert source.guest.register(GUEST_KEY, aptpl=aptpl) == pr.GOOD
    if case.by == "guest" and case.kind:
        assert source.guest.reserve(GUEST_KEY, case.kind) == pr.GOOD
    assert site.ptpl_active() == aptpl
    source.expect(Ptpl=aptpl)
    for here, there in ((source, destination), (destination, source)):
        there.import_(here.export())
        assert site.ptpl_active() == aptpl
        here.release()
        assert site.ptpl_active() == aptpl
        there.expect(Ptpl=aptpl)


@pytest.mark.parametrize("case", [ROW_2, ROW_3[5]], ids=lambda c: c.name)
def test_lun_that_answers_not_ready(lio_without_folder, case):
    """Each REGISTER takes effect and says that it failed."""
    site = lio_without_folder
    case.set_up(site, at=site.source)
    case.expect_running(site.source)
    hand_over(site, case, site.source, site.destination)
    hand_over(site, case, site.destination, site.source)


@on_lun("lio")
def test_as_the_readme_says(site):
    """The words of the README: the line passes through a shell untouched."""
    case = ROW_3[5]
    case.set_up(site, at=site.source)
    call = "busctl call org.prmig1 /org/prmig1/nexus/lio org.prmig1.Nexus"
    state = site.source.vm.run(f"{call} Export 'a{{sv}}' 0 | cut -d'\"' -f2").stdout.strip()
    site.destination.vm.run(f"state={state}; {call} Import 'sa{{sv}}' \"$state\" 0")
    site.source.vm.run(f"{call} Release 'a{{sv}}' 0")
    case.expect_running(site.destination)
    site.expect_guest_at(site.destination, case=case)


# ---- the gate ----


@on_lun(*BOTH)
def test_writes_at_the_closed_gate_of_the_source(site):
    """Held while exported; Release answers them BUSY, and what the initiator
    then sends again meets the LUN as it is."""
    source, destination = site.source, site.destination
    case = ROW_3[5]
    case.set_up(site, at=source)
    assert source.guest.write("before", lba=4) == pr.GOOD
    line = source.export()
    late = source.hold_write("late", 4)
    destination.import_(line)
    assert late.running
    source.release()
    assert late.wait(check=False).status == pr.RESERVATION_CONFLICT
    assert destination.guest.read(lba=4) == "before"

    # It was a write at the source after Release: a guest seems to run there.
    line = destination.export()
    with refused("WrongState", "a guest has written", "force"):
        source.import_(line)
    source.import_(line, force=True)
    destination.release()
    site.expect_guest_at(source, case=case)


# ---- Abort ----


@on(*((name, THREE) for name in BOTH))
def test_abort_before_import(site, case):
    source, destination = site.source, site.destination
    case.set_up(site, at=source)
    line = source.export()
    ident = fields(line)["id"]
    held = source.hold_write("held", 4)
    with refused("WrongState", "0123"):
        source.abort(id="0123")
    assert held.running
    source.abort(id=ident)
    case.expect_running(source)
    site.expect_guest_at(source, case=case)
    assert held.wait(check=False).status == pr.GOOD
    assert source.guest.read(lba=4) == "held"

    source.abort(id=ident)  # again: nothing more
    source.abort()
    case.expect_running(source)
    with refused("Stale", "Export again"):
        destination.check(line)
    with refused("Stale", "Export again"):
        destination.import_(line)
    with refused("WrongState", "nothing to release"):
        source.release()
    destination.expect(State="active", **NOTHING)
    site.expect_guest_at(source, case=case)
    assert source.guest.write("on", quiet=True) == pr.GOOD


@on(*((name, [ROW_2, ROW_3[5], ROW_4[7]]) for name in BOTH))
def test_abort_after_import(site, case):
    """Here is refused where it cannot know; there, here, there ends it."""
    source, destination = site.source, site.destination
    case.set_up(site, at=source)
    line = source.export()
    held = source.hold_write("held", 4)
    destination.import_(line)
    if case.row == 3:
        with refused("WrongState", "holds the reservation", "Abort at the source"):
            destination.abort()
        site.expect_guest_at(destination, case=case)
        destination.expect(State="incoming")
    else:
        with refused("WrongState", "Abort there first"):
            source.abort()
        site.expect_guest_at(source, destination, case=case)
        assert held.running
        destination.abort()
        destination.expect(State="incoming", **NOTHING)
        site.expect_guest_at(source, case=case)
    assert site.stranger.write("gap", lba=5) == case.others_write
    source.abort()
    site.expect_guest_at(source, case=case)
    assert held.wait(check=False).status == pr.GOOD
    # It ends its Import, or, where the LUN has told it already that there is nothing to end
    # (row 3: by a unit attention, sooner or later), gives up waiting.
    destination.abort()
    destination.expect(**NOTHING)
    case.expect_running(source)
    site.expect_guest_at(source, case=case)
    assert source.guest.write("on", lba=4) == pr.GOOD
    assert source.guest.read(lba=4) == "on"

    with refused("Stale", "Export again"):
        destination.import_(line)
    # And the next one works.
    destination.import_(source.export())
    source.release()
    case.expect_running(destination)
    site.expect_guest_at(destination, case=case)


@on_lun(*BOTH)
def test_abort_at_the_source_alone(site):
    """Row 3: the holder is taken back from a destination where no guest has
    run, which waits again, and nothing is said of a fence."""
    source, destination = site.source, site.destination
    case = ROW_3[5]
    case.set_up(site, at=source)
    destination.import_(source.export())
    site.expect_guest_at(destination, case=case)
    source.abort()
    case.expect_running(source)
    site.expect_guest_at(source, case=case)
    assert source.guest.write("back", quiet=True) == pr.GOOD
    destination.expect_soon(State="incoming", **NOTHING)


@on_lun("lio")
def test_import_at_its_own_source_is_abort(site):
    case = ROW_3[5]
    case.set_up(site, at=site.source)
    line = site.source.export()
    site.source.import_(line)
    case.expect_running(site.source)
    site.expect_guest_at(site.source, case=case)
    with refused("Stale"):
        site.destination.import_(line)


# ---- twice, and too late ----


@on(*((name, THREE) for name in BOTH))
def test_export_twice_import_twice(site, case):
    source, destination = site.source, site.destination
    case.set_up(site, at=source)
    first, second = source.export(), source.export()
    assert fields(first)["id"] == fields(second)["id"]
    assert fields(first)["generation"] != fields(second)["generation"]
    with refused("Stale", "Export again"):
        destination.import_(first)
    site.expect_guest_at(source, case=case)
    destination.import_(second)
    generation = site.generation()
    destination.import_(second)
    assert site.generation() == generation
    both = (destination,) if case.row == 3 else (source, destination)
    site.expect_guest_at(*both, case=case)
    if case.row == 3:
        with refused("WrongState", "was imported", "Release"):
            source.export()
        source.expect(State="exported")
    source.release()
    source.release()
    case.expect_running(destination)
    site.expect_guest_at(destination, case=case)
    assert destination.guest.write("here", quiet=True) == pr.GOOD
    destination.import_(second)
    case.expect_running(destination)


@on(*((name, THREE) for name in BOTH))
def test_release_before_import(site, case):
    """Refused, and the line is as good as before."""
    source, destination = site.source, site.destination
    case.set_up(site, at=source)
    with refused("WrongState", "nothing to release"):
        source.release()
    line = source.export()
    with refused("WrongState", "has not been imported"):
        source.release()
    source.expect(State="exported", **case.properties())
    site.expect_guest_at(source, case=case)
    with refused("WrongState"):
        source.release(id="0123")
    destination.import_(line)
    source.release(id=fields(line)["id"])
    site.expect_guest_at(destination, case=case)


@on(*((name, [ROW_2, ROW_3[5]]) for name in BOTH))
def test_line_that_another_host_has_imported(site, case):
    """A third host, too late with the same line, changes nothing."""
    source, destination = site.source, site.destination
    case.set_up(site, at=source)
    line = source.export()
    third = Side(destination.prmig, "third", initiator_name("stranger"), (site.stranger_disk, ""))
    third.create(incoming="on")
    try:
        destination.import_(line)
        with refused("Stale"):
            third.import_(line)
        third.expect(State="incoming", Key=0)
        source.release()
        case.expect_running(destination)
        site.expect_guest_at(destination, case=case)
        assert destination.guest.write("here", quiet=True) == pr.GOOD
    finally:
        third.remove()


@on(*((name, [ROW_2, ROW_3[5]]) for name in BOTH))
def test_line_of_a_hand_over_long_past(site, case):
    """The guest was here, and has gone on: its coming is not repeated."""
    source, destination = site.source, site.destination
    case.set_up(site, at=source)
    first = source.export()
    destination.import_(first)
    source.release()
    assert destination.guest.write("here") == pr.GOOD
    source.import_(destination.export())
    destination.release()
    with refused("Stale"):
        destination.import_(first)
    destination.expect(State="active", **NOTHING)
    destination.abort()  # of nothing
    destination.expect(State="active", **NOTHING)
    case.expect_running(source)
    site.expect_guest_at(source, case=case)


@on_lun("lio")
def test_abort_twice_where_the_guest_had_come_to(site):
    """A second Abort does not end the hand-over before the one that was aborted."""
    source, destination = site.source, site.destination
    case = ROW_3[5]
    case.set_up(site, at=source)
    destination.import_(source.export())
    source.release()
    destination.export()
    destination.abort()
    destination.abort()
    case.expect_running(destination)
    site.expect_guest_at(destination, case=case)


@on_lun(*BOTH)
def test_others_change_registrations_in_between(site):
    """Stale, as often as they do; the next line is good."""
    source, destination = site.source, site.destination
    case = ROW_3[5]
    case.set_up(site, at=source)
    line = source.export()
    assert site.stranger.register(STRANGER_KEY) == pr.GOOD
    generation = site.generation()
    with refused("Stale", "PRGENERATION", "Export again"):
        destination.import_(line)
    assert site.generation() == generation
    destination.import_(source.export())
    source.release()
    case.expect_running(destination)
    assert site.keys() == sorted([GUEST_KEY, BYSTANDER_KEY, STRANGER_KEY])
    assert site.reservation() == (GUEST_KEY, 5)


# ---- refusals ----


@on(*((name, THREE) for name in BOTH))
def test_fenced_in_between(site, case):
    """A peer removes the exported guest's key: nothing brings it back."""
    source, destination = site.source, site.destination
    case.set_up(site, at=source)
    assert site.stranger.register(STRANGER_KEY) == pr.GOOD
    line = source.export()
    assert site.stranger.preempt(STRANGER_KEY, GUEST_KEY, case.kind or 5) == pr.GOOD
    there = sorted([BYSTANDER_KEY, STRANGER_KEY])
    assert site.keys() == there
    with refused("Fenced", f"{GUEST_KEY:#x}"):
        destination.import_(line)
    assert site.keys() == there
    destination.expect(State="active", **NOTHING)
    with refused("Fenced", f"{GUEST_KEY:#x}", "fenced"):
        source.abort()
    source.expect(State="active", **{**NOTHING, "Fenced": True})
    assert site.keys() == there
    if case.kind:
        assert source.guest.write("fenced") == pr.RESERVATION_CONFLICT
        destination.import_(source.export())
        destination.expect(State="active", Fenced=True, Key=0)
        assert destination.guest.write("fenced") == pr.RESERVATION_CONFLICT


@on_lun(*BOTH)
def test_fenced_after_import(site):
    """Rows 2 and 4 have two registrations then; a PREEMPT takes both."""
    source, destination = site.source, site.destination
    ROW_4[7].set_up(site, at=source)
    assert site.stranger.register(STRANGER_KEY) == pr.GOOD
    destination.import_(source.export())
    assert destination.guest.write("here") == pr.GOOD
    assert site.stranger.preempt(STRANGER_KEY, GUEST_KEY, 7) == pr.GOOD
    source.release()
    source.expect(State="active", **NOTHING)
    assert destination.guest.write("fenced") == pr.RESERVATION_CONFLICT
    destination.expect_soon(State="active", **{**NOTHING, "Fenced": True})
    assert site.keys() == sorted([BYSTANDER_KEY, STRANGER_KEY])


@on_lun(*BOTH)
def test_key_of_another(site):
    """Row 3, and a peer has the same key: to PREEMPT it would throw the peer out."""
    source, destination = site.source, site.destination
    case = ROW_3[5]
    case.set_up(site, at=source)
    assert site.stranger.register(GUEST_KEY) == pr.GOOD
    line = source.export()
    with refused("KeyShared", f"{GUEST_KEY:#x}"):
        destination.import_(line)
    source.abort()
    case.expect_running(source)
    assert site.keys() == sorted([GUEST_KEY, GUEST_KEY, BYSTANDER_KEY])
    assert site.reservation() == (GUEST_KEY, 5)
    assert site.stranger.write("peer") == pr.GOOD


@on_lun(*BOTH)
def test_states_that_do_not_fit(site):
    source, destination = site.source, site.destination
    case = ROW_3[5]
    site.begin(incoming=True)
    with refused("WrongState", "incoming"):
        destination.export()
    with refused("WrongState", "incoming"):
        destination.release()
    destination.check()
    case.set_up(site, at=source)
    with refused("WrongState", f"{GUEST_KEY:#x}"):
        source.check()
    destination.abort()  # it gives up waiting
    assert destination.guest.register(STRANGER_KEY) == pr.GOOD
    line = source.export()
    with refused("WrongState", "registered with key", f"{STRANGER_KEY:#x}"):
        destination.import_(line)
    assert site.keys() == sorted([GUEST_KEY, BYSTANDER_KEY, STRANGER_KEY])
    source.abort()
    site.source.expect(State="active")


@on_lun("lio")
def test_lines_that_are_not_taken(site, line_elsewhere):
    """Refused by name, with nothing sent; and the line itself is taken afterwards."""
    source, destination = site.source, site.destination
    case = ROW_3[5]
    case.set_up(site, at=source)
    line = source.export()
    generation = site.generation()

    def refuse(text, name, *words):
        for call in (destination.check, destination.import_):
            if text or call == destination.import_:  # Check takes an empty one
                with refused(name, *words):
                    call(text)

    mine, theirs = fields(line)["lun"], fields(line_elsewhere)["lun"]
    refuse(line_elsewhere, "WrongLun", mine, theirs)
    refuse("", "BadState")
    refuse("x" * 5000, "BadState")
    refuse("hello", "BadState", "not a state line")
    refuse(line[:-1], "BadState", "damaged")
    refuse(line[: len(line) // 2], "BadState", "damaged")
    refuse(line.replace(f"key={GUEST_KEY:#x}", "key=0x1"), "BadState", "damaged")
    refuse(line.replace("prmig=1.", "prmig=3."), "BadState", "version 3")
    refuse(sealed(line.replace("prmig=1.", "prmig=3.")), "BadState", "version 3")
    refuse(sealed(line.replace("row=3", "row=9")), "BadState", "row")
    refuse(sealed(line.replace("type=5", "type=4")), "BadState", "contradicts")
    past = int(fields(line)["time"]) - 3600
    refuse(sealed(line.replace(f"time={past + 3600}", f"time={past}")), "Stale", str(past), "clock")

    assert site.generation() == generation
    destination.expect(State="active", **NOTHING)
    # Of a newer minor version, with a field that is not known here.
    destination.import_(sealed(line.replace("prmig=1.0,", "prmig=1.7,new=1,")))
    source.release()
    case.expect_running(destination)
    site.expect_guest_at(destination, case=case)
