# SPDX-License-Identifier: Apache-2.0
"""prmigctl migrate and resume: the order of the calls, and where guest and reservation are at the
end, whatever fails, is interrupted or killed on the way."""

import fcntl
import json
import os

import pytest
from model import Lun
from world import ERROR, INTERRUPT, KILL_AFTER, KILL_BEFORE, LOST

FULL = os.environ.get("PRMIG_FULL") == "1"

# All that a migration without trouble asks for, in its order.
BEFORE = [
    "here.list",
    "there.list",
    "qmp.qmp_capabilities",
    "here.list",
    "there.list",
    "qmp.query-migrate@none",
    "there.Check",
    "there.Prepare",
    "qmp.query-status",
    "qmp.query-migrate-capabilities",
]
BEGUN = [
    "qmp.migrate-set-capabilities",
    "qmp.migrate",
    "qmp.query-migrate@active",
    "qmp.query-migrate@active",
    "qmp.query-migrate@pre-switchover",
    "here.Export",
    "here.list",
    "there.Import",
]
SWITCHED = [
    "qmp.migrate-continue",
    "qmp.query-migrate@device",
    "qmp.query-migrate@completed",
    "here.list",
    "here.Release",
]
POINTS = BEFORE + BEGUN + SWITCHED

CALLS = [
    "there.Check",
    "there.Prepare",
    "qmp.migrate-set-capabilities",
    "qmp.migrate",
    "here.Export",
    "there.Import",
    "qmp.migrate-continue",
    "here.Release",
]
# After a failure; the capabilities are as they were before.
UNDONE = ["there.Abort", "here.Abort", "qmp.migrate-set-capabilities"]


def counted(points):
    """(index, point, which time it is)."""
    return [(i, p, points[: i + 1].count(p)) for i, p in enumerate(points)]


def each(points):
    return pytest.mark.parametrize(
        "index, point, count",
        [pytest.param(*entry, id=f"{entry[0]}-{entry[1]}") for entry in counted(points)],
    )


def show(done):
    print(f"--- {' '.join(done.args)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


@pytest.fixture
def shared_key(world):
    """Another node of the cluster has the guest's key: Export moves the reservation itself."""
    world.luns[0].shared = True
    return world


def settle(world, *words):
    """Resume: settled one way or the other. True: the guest has moved."""
    world.happens.clear()
    done = show(world.resume(*words))
    assert done.returncode == 0, done.stderr
    if "finished: " in done.stdout:
        world.expect_moved()
        return True
    assert "undone (" in done.stdout or "no migration of 'vm1'" in done.stdout
    world.expect_here()
    return False


def check_outcome(world, done):
    """What prmigctl says is so; what it left is settled by resume. True: moved."""
    if world.journal.exists():
        assert done.returncode != 0 and "prmigctl resume vm1" in done.stderr
        return settle(world)
    if done.returncode == 0:
        world.expect_moved()
        return True
    assert done.returncode == 1
    world.expect_here()
    return False


# The whole of it


@pytest.mark.parametrize("row", [1, 2, 3, 4])
@pytest.mark.parametrize("group", ["", "vm1"])
def test_moves(world, row, group):
    world.reset(row, group)
    done = show(world.migrate())
    assert done.returncode == 0
    assert done.stderr == ""
    assert world.calls() == CALLS
    if not group:
        assert world.log == POINTS
    world.expect_moved()
    assert "done: the guest runs at the other host" in done.stdout


def test_says_what_happens_as_json(world):
    done = show(world.migrate("--json"))
    events = [json.loads(line) for line in done.stdout.splitlines()]
    names = [event["event"] for event in events if event["event"] != "progress"]
    assert names == "checked migrating exported imported continued released done".split()
    progress = [event["status"] for event in events if event["event"] == "progress"]
    assert progress == ["active", "pre-switchover", "device", "completed"]


def test_another_name_at_the_destination(world):
    world.reset()
    world.nexuses["there"][0].name = "vm1-a"
    assert world.migrate().returncode == 1
    assert show(world.migrate("--as", "vm1-a")).returncode == 0
    world.expect_moved()


def test_stale_lines_are_made_anew(world):
    for count in (1, 2, 3):
        world.at("there.Import", None, count, action=world.luns[0].meddle)
    done = show(world.migrate())
    assert done.returncode == 0
    assert world.calls()[4:-2] == ["here.Export", "there.Import"] * 4
    world.expect_moved()


def test_a_line_that_stays_stale_is_given_up(world):
    for count in range(1, 30):
        world.at("there.Import", None, count, action=world.luns[0].meddle)
    done = show(world.migrate())
    assert done.returncode == 1 and "Stale" in done.stderr
    assert world.log.count("there.Import") == 10
    world.expect_here()


# Refused before anything is begun


def test_refused_by_check(world):
    world.nexuses["there"][0].state, world.nexuses["there"][0].key = "active", 5
    done = show(world.migrate())
    assert done.returncode == 1 and "WrongState" in done.stderr
    assert "qmp.migrate" not in world.log and not world.journal.exists()


def test_refused_with_other_luns(world):
    world.nexuses["there"][0].lun = Lun("naa.other", 1)
    done = show(world.migrate())
    assert done.returncode == 1 and "must be the same" in done.stderr
    assert "qmp.migrate" not in world.log and not world.journal.exists()


def test_refused_with_one_nexus_of_a_group(world):
    world.reset(3, "vm1")
    done = show(world.migrate(name="vm1-a"))
    assert done.returncode == 1 and "belongs to group 'vm1'" in done.stderr


def test_refused_while_qemu_migrates(world):
    world.qemu.status = "active"
    world.qemu.capabilities["pause-before-switchover"] = True
    done = show(world.migrate())
    assert done.returncode == 1 and "migrating already" in done.stderr
    assert "there.Check" not in world.log


def test_refused_when_the_destination_is_not_reached(world):
    with world.unreachable():
        done = show(world.migrate())
    assert done.returncode == 1 and "cannot be reached" in done.stderr
    assert "qmp.migrate" not in world.log
    world.expect_here_untouched()


def test_a_guest_that_has_arrived_can_go_on(world):
    """Its QEMU says "completed", of the migration that brought it."""
    world.qemu.status = "completed"
    done = show(world.migrate())
    assert done.returncode == 0
    world.expect_moved()


# Something fails


@each(POINTS)
@pytest.mark.parametrize("what", [ERROR, LOST])
def test_one_failure(world, what, index, point, count):
    world.at(point, what, count)
    done = show(world.migrate())
    moved = check_outcome(world, done)
    if index < len(BEFORE):
        assert not moved or what == LOST  # QMP is connected to again
        assert moved or "qmp.migrate" not in world.log
    elif index >= len(BEFORE + BEGUN):
        assert moved


@pytest.mark.parametrize("row", [1, 2, 3, 4])
@pytest.mark.parametrize("group", ["", "vm1"])
def test_export_refused(world, row, group):
    world.reset(row, group)
    world.at("here.Export", ERROR)
    done = show(world.migrate())
    assert done.returncode == 1 and "lets here.Export fail" in done.stderr
    assert world.calls() == [*CALLS[:5], "qmp.migrate_cancel", "qmp.migrate-set-capabilities"]
    world.expect_here()


@pytest.mark.parametrize("row", [1, 2, 3, 4])
@pytest.mark.parametrize("group", ["", "vm1"])
def test_import_refused(world, row, group):
    """Nothing is there: no Abort there, which would open the gate."""
    world.reset(row, group)
    world.at("there.Import", ERROR)
    done = show(world.migrate())
    assert done.returncode == 1 and "lets there.Import fail" in done.stderr
    assert world.calls("Resync") == [
        *CALLS[:6], "qmp.migrate_cancel", "here.Abort", "qmp.migrate-set-capabilities"
    ]
    world.expect_here()
    assert world.qemu.capabilities["pause-before-switchover"] is False


@pytest.mark.parametrize("row", [1, 2, 3, 4])
@pytest.mark.parametrize("group", ["", "vm1"])
def test_import_done_and_its_answers_lost(world, row, group):
    world.reset(row, group)
    world.at("there.Import", LOST, 1)
    world.at("there.Import", LOST, 2)
    done = show(world.migrate())
    assert done.returncode == 1
    order = list(dict.fromkeys(world.calls("Resync")[7:]))
    assert order == ["qmp.migrate_cancel", *UNDONE]
    world.expect_here()


@pytest.mark.parametrize("row", [1, 2, 3, 4])
@pytest.mark.parametrize("group", ["", "vm1"])
def test_qemu_fails_while_it_switches(world, row, group):
    world.reset(row, group)
    world.qemu.fails = "device"
    done = show(world.migrate())
    assert done.returncode == 1 and "lets the migration fail" in done.stderr
    assert "qmp.migrate_cancel" not in world.log
    assert list(dict.fromkeys(world.calls("Resync")[7:])) == UNDONE
    world.expect_here()


@pytest.mark.parametrize("point", ["qmp.query-migrate@active", "here.Export", "there.Import"])
def test_qemu_fails_before(world, point):
    world.at(point, None, action=lambda: world.qemu.become("failed"))
    done = show(world.migrate())
    assert done.returncode == 1
    world.expect_here()


def test_another_abort_there_where_the_first_kept_something(world):
    """As with types 7 and 8, when it was the last registrant for a moment."""
    world.reset(4)
    world.qemu.fails = "device"
    lun = world.luns[0]
    abort = world.nexuses["here"][0].abort

    def back():
        lun.registered.add("here")
        world.nexuses["here"][0].abort = lambda ident="", force=False: abort(ident, True)

    lun.fenced = True  # for World: no registration of the source's is missed
    world.at("there.Abort", None, action=lambda: lun.registered.discard("here"))
    world.at("here.Abort", None, action=back)
    done = show(world.migrate())
    assert done.returncode == 1
    assert world.calls("Resync")[7:] == [*UNDONE[:2], *UNDONE[:1], *UNDONE[2:]]
    world.expect_here()


@pytest.mark.parametrize("row", [2, 3, 4])
def test_fenced_guest_stays_fenced(world, row):
    world.reset(row)
    world.at("there.Import", None, action=world.luns[0].fence)
    done = show(world.migrate())
    assert done.returncode == 1 and "Fenced" in done.stderr
    world.expect_here(fenced=True)


def test_the_guest_has_run_there(world):
    """QEMU says failed, and the destination has started and written: nothing is taken back."""
    world.qemu.fails, world.qemu.fails_after_start = "device", True
    done = show(world.migrate())
    assert done.returncode == 1 and "has run there" in done.stderr
    assert "here.Abort" not in world.log
    assert world.log[-1] == "qmp.stop" and not world.qemu.runs_here
    assert world.luns[0].holder == "there" and world.journal.exists()
    again = show(world.resume())
    assert again.returncode == 1 and "here.Abort" not in world.log
    # The administrator decides.
    assert show(world.run("release", "--force", "vm1")).returncode == 0


@pytest.mark.parametrize("row", [1, 2, 3, 4])
def test_destination_lost_before_the_switch(world, row):
    """It has imported, and cannot be reached any more: its guest has not run."""
    world.reset(row)
    world.at("there.Import", LOST, 1)
    for count in range(2, 99):
        world.at("there.Import", ERROR, count)
        world.at("there.list", LOST, count + 1)
    done = show(world.migrate())
    assert done.returncode == 1
    if row in (1, 3):
        assert "the guest goes on here" in done.stderr
        assert world.nexuses["here"][0].state == "active"
    assert not settle(world)


def test_destination_lost_while_qemu_switches(world):
    """Nobody can tell whether the guest runs there: nothing is taken back before it is known."""
    world.qemu.fails = "device"
    for count in range(3, 99):
        world.at("there.list", LOST, count)
    done = show(world.migrate())
    assert done.returncode == 1 and "--dead" in done.stderr
    assert "here.Abort" not in world.log
    with world.unreachable():
        assert show(world.resume()).returncode == 1
        assert "here.Abort" not in world.log
        assert show(world.resume("--dead")).returncode == 0
    assert world.nexuses["here"][0].state == "active" and world.luns[0].holder == "here"
    assert not world.journal.exists()


# Ctrl-C


@each(POINTS)
@pytest.mark.parametrize("row", [1, 2, 3, 4] if FULL else [2, 3])
def test_interrupted(world, row, index, point, count):
    world.reset(row)
    world.at(point, INTERRUPT, count)
    done = show(world.migrate())
    assert not world.journal.exists()
    if index < len(BEFORE):
        assert done.returncode == 1 and "interrupted: nothing was begun" in done.stderr
        assert "qmp.migrate" not in world.log
        world.expect_here()
    elif index < len(BEFORE + BEGUN) - 1:
        assert done.returncode == 1 and "not migrated: interrupted" in done.stderr
        world.expect_here()
    else:
        # Imported: QEMU goes on at once.
        assert done.returncode == 0
        world.expect_moved()


# kill -9


@each(POINTS)
@pytest.mark.parametrize("what", [KILL_BEFORE, KILL_AFTER])
@pytest.mark.parametrize("row, group", [
    pytest.param(3, "", id="holder"),
    pytest.param(2, "vm1", id="group of registrants"),
] + ([
    pytest.param(1, "", id="nothing"),
    pytest.param(2, "", id="registrant"),
    pytest.param(4, "", id="all"),
    pytest.param(3, "vm1", id="group of holders"),
] if FULL else []))
def test_killed(world, row, group, what, index, point, count):
    world.reset(row, group)
    world.at(point, what, count)
    done = show(world.migrate())
    if done.returncode == 0:
        assert group  # it asks less often
        return
    assert done.returncode == -9
    moved = settle(world)
    if index > len(BEFORE + BEGUN):
        assert moved


CUT = [
    ("here.Export", KILL_BEFORE),
    ("here.Export", KILL_AFTER),
    ("there.Import", KILL_BEFORE),
    ("there.Import", KILL_AFTER),
    ("qmp.migrate-continue", KILL_BEFORE),
    ("qmp.migrate-continue", KILL_AFTER),
    ("here.Release", KILL_BEFORE),
]


@pytest.mark.parametrize("point, what", CUT if FULL else CUT[3:4])
@pytest.mark.parametrize("row", [1, 2, 3, 4] if FULL else [3])
@pytest.mark.parametrize("undo", [False, True], ids=["finish", "undo"])
def test_resume_killed_at_each_of_its_points(world, row, undo, point, what):
    def begin():
        world.reset(row)
        world.at(point, what)
        assert world.migrate().returncode == -9
        world.happens.clear()
        before = len(world.log)
        world.seen.clear()
        if undo and point.startswith("there") or undo and what == KILL_BEFORE:
            # What QEMU says when its destination has gone meanwhile.
            world.qemu.fails = "pre-switchover"
        return before

    before = begin()
    settle(world)
    points = world.log[before:]
    assert points
    for _, name, count in counted(points):
        for kill in (KILL_BEFORE, KILL_AFTER) if FULL else (KILL_AFTER,):
            begin()
            world.at(name, kill, count)
            killed = show(world.resume())
            assert killed.returncode in (-9, 0)
            settle(world)


UNDO = ["qmp.migrate_cancel", "there.Resync", "there.Abort", "here.Abort", "here.list", "there.list"]


@pytest.mark.parametrize("what", [KILL_BEFORE, KILL_AFTER, ERROR, LOST, INTERRUPT])
@pytest.mark.parametrize("point", UNDO)
@pytest.mark.parametrize("row", [2, 3])
def test_trouble_while_it_is_undone(world, row, point, what):
    def arm():
        world.at(point, what, world.seen.get(point, 0) + 1)

    world.reset(row)
    world.at("there.Import", LOST, 1)
    world.at("there.Import", LOST, 2, action=arm)
    done = show(world.migrate())
    if done.returncode == -9:
        settle(world)
    else:
        assert done.returncode == 1
        assert not check_outcome(world, done)


# A key that is another node's too


def test_shared_key_moves(shared_key):
    assert show(shared_key.migrate()).returncode == 0
    shared_key.expect_moved()


@pytest.mark.parametrize("what", [INTERRUPT, ERROR, LOST, KILL_BEFORE, KILL_AFTER])
@pytest.mark.parametrize("point", ["here.Export", "there.Import", "qmp.migrate-continue"])
@pytest.mark.parametrize("fails", [None, "pre-switchover", "device"])
def test_shared_key_is_moved_back(shared_key, point, what, fails):
    def fail():
        shared_key.qemu.fails = fails

    shared_key.at(point, what, action=fail)
    done = show(shared_key.migrate())
    if done.returncode == -9:
        settle(shared_key)
    else:
        check_outcome(shared_key, done)


# Other ways to begin a resume


def test_resume_without_a_journal(world):
    world.at("there.Import", KILL_AFTER)
    assert world.migrate().returncode == -9
    qmp = world.journal_text()["qmp"]
    world.journal.unlink()
    assert "no migration" in show(world.resume()).stdout
    # What was exported is not known: it cannot be imported again, and is taken back.
    assert show(world.resume("--qmp", qmp)).returncode == 0
    world.expect_here()


def test_resume_with_a_damaged_journal(world):
    world.at("there.Import", KILL_AFTER)
    assert world.migrate().returncode == -9
    world.journal.write_text("{")
    done = show(world.resume())
    assert done.returncode == 1 and "move it away" in done.stderr


def test_migrate_is_refused_while_one_is_unfinished(world):
    world.at("there.Import", KILL_AFTER)
    assert world.migrate().returncode == -9
    done = show(world.migrate())
    assert done.returncode == 1 and "`prmigctl resume vm1` first" in done.stderr
    assert settle(world)


@pytest.mark.parametrize("point, what, moved", [
    ("here.Export", KILL_AFTER, False),
    ("there.Import", KILL_AFTER, False),
    ("qmp.query-migrate@completed", KILL_AFTER, True),
    ("here.Release", KILL_BEFORE, True),
])
def test_resume_when_qemu_has_gone(world, point, what, moved):
    world.at(point, what)
    assert world.migrate().returncode == -9
    world.end_qemu()
    world.happens.clear()
    done = show(world.resume())
    assert done.returncode == 0
    if moved:
        world.expect_moved()
    else:
        assert "QEMU has gone" in done.stdout
        world.expect_here(guest_runs=False) if world.qemu.there != "running" else None


def test_resume_leaves_another_hand_over_alone(world):
    world.at("there.Import", KILL_BEFORE)
    assert world.migrate().returncode == -9
    world.qemu.migrate_cancel()
    here = world.nexuses["here"][0]
    here.abort()
    here.export()
    done = show(world.resume())
    assert done.returncode == 1 and "another hand-over" in done.stderr
    assert here.state == "exported"


def test_one_prmigctl_at_a_time(world):
    world.journal.parent.mkdir(parents=True, exist_ok=True)
    with open(world.journal.with_suffix(".lock"), "a+", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for done in (world.migrate(), world.resume()):
            assert done.returncode == 1 and "another prmigctl" in show(done).stderr
    world.expect_here_untouched()


def test_journal_is_roots_alone(world):
    world.at("there.Import", KILL_AFTER)
    assert world.migrate().returncode == -9
    assert world.journal.stat().st_mode & 0o777 == 0o600
    assert world.journal.parent.stat().st_mode & 0o777 == 0o700
    assert settle(world)
