# SPDX-License-Identifier: Apache-2.0
"""The commands but migrate and resume: what they call, what they print, how they end."""

import json
import signal
import subprocess
import time

import pytest
from model import KEY
from world import ERROR, PRMIGCTL

from prmig import bus


def there(world):
    return ["--transport", world.transport()]


def run(world, *words, status=0, **options):
    done = world.run(*words, **options)
    print(f"--- {words}: {done.returncode}\n{done.stdout}{done.stderr}")
    assert done.returncode == status
    assert bool(done.stderr) == bool(status)
    return done.stdout if not status else done.stderr


def test_list(world):
    world.reset(3, "vm1")
    world.nexuses["here"][1].fenced = True
    lines = run(world, "list").splitlines()
    assert lines[0].split() == "NAME GROUP STATE KEY RESERVATION LUN DEVICE".split()
    assert lines[1].split()[:4] == ["vm1-a", "vm1", "active", "0xabcd1"]
    assert lines[2].split()[:4] == ["vm1-b", "vm1", "active", "fenced"]
    (first, _) = json.loads(run(world, "list", "--json"))
    assert (first["Name"], first["Key"], first["Holder"]) == ("vm1-a", KEY, True)
    assert "incoming" in run(world, "list", *there(world))


def test_show(world):
    text = run(world, "show", "vm1")
    assert "nexus vm1 on this host" in text
    assert "registered with key 0xabcd1, holds the reservation: Write Exclusive" in text
    assert "the LUN was not asked: /dev/null: SG_IO" in text
    (found,) = json.loads(run(world, "show", "--json"))
    assert found["Lun"] == "naa.0" and "SG_IO" in found["OnLun"]["error"]
    assert "it is a device of the other host" in run(world, "show", *there(world), "vm1")


@pytest.mark.parametrize("group", ["", "vm1"])
def test_a_hand_over_step_by_step(world, group):
    world.reset(3, group)
    run(world, "check", *there(world), "vm1")
    state = run(world, "export", "vm1").strip()
    assert "'" not in state and " " not in state
    assert json.loads(run(world, "export", "--json", "vm1"))["state"].startswith("prmig1,")
    assert "Stale" in run(world, "import", *there(world), "vm1", state, status=1)
    run(world, "import", *there(world), "vm1", "-", stdin=run(world, "export", "vm1"))
    run(world, "release", "vm1")
    world.qemu.there, world.qemu.runs_here = "running", False
    world.expect_moved()


@pytest.mark.parametrize("group", ["", "vm1"])
def test_abort(world, group):
    world.reset(3, group)
    run(world, "export", "vm1")
    run(world, "abort", "vm1")
    world.expect_here()


def test_abort_of_one_hand_over(world):
    run(world, "export", "vm1")
    assert "knows no hand-over" in run(world, "abort", "--id", "00", "vm1", status=1)
    run(world, "abort", "--id", world.nexuses["here"][0].out_id, "vm1")
    world.expect_here()
    world.reset(3, "vm1")
    assert "takes no --id" in run(world, "abort", "--id", "00", "vm1", status=2)


def test_resync_of_each_of_a_group(world):
    world.reset(3, "vm1")
    run(world, "resync", "vm1")
    assert world.log.count("here.Resync") == 2


def test_a_group_comes_before_a_nexus_of_its_name(world):
    world.reset(3, "vm1")
    world.nexuses["here"][0].name = "vm1"
    run(world, "resync", "vm1")
    assert world.log.count("here.Resync") == 2
    run(world, "resync", "--nexus", "vm1")
    assert world.log.count("here.Resync") == 3


def test_refusals(world):
    text = run(world, "release", "vm1", status=1)
    assert text == (
        "prmigctl release: Release on this host: WrongState: there is nothing to release\n"
    )
    assert "(there are vm1)" in run(world, "check", "vm2", status=1)
    world.at("here.Resync", ERROR)
    assert "lets here.Resync fail" in run(world, "resync", "vm1", status=1)


@pytest.mark.parametrize("words", [
    [], ["nonsense"], ["check"], ["check", "a/b"], ["list", "--host", "-x"], ["import", "vm1", ""],
    ["check", "--group", "--nexus", "vm1"], ["migrate", "vm1"], ["list", "--transport", ""],
    ["migrate", "--qmp", "x", "--uri", "y", "vm1"], ["migrate", "--qmp", "/x", "--uri", "y", "vm1"],
])
def test_usage(world, words):
    run(world, *words, status=2)


def test_no_prmig_and_no_bus(world):
    environment = {**world.environment(), "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
    text = run(world, "list", environment=environment, status=1)
    assert "the system bus cannot be reached" in text
    with world.unreachable():
        assert "cannot be reached by 'false'" in run(
            world, "list", "--transport", world.transport(), status=1
        )


@pytest.mark.parametrize("host, words", [
    ("dest", ["--", "dest"]),
    ("root@dest", ["--", "root@dest"]),
    ("root@dest:2222", ["-p", "2222", "--", "root@dest"]),
    ("[2001:db8::1]:22", ["-p", "22", "--", "[2001:db8::1]"]),
    ("2001:db8::1", ["--", "2001:db8::1"]),
])
def test_ssh_as_busctl_runs_it(host, words):
    command = bus.ssh_command(host)
    assert command[:2] == ["ssh", "-xT"] and command[-1] == "systemd-stdio-bridge"
    assert command[4:-1] == words


@pytest.mark.parametrize("as_json", [False, True])
def test_watch(world, as_json):
    with subprocess.Popen(
        [PRMIGCTL, "watch", *(["--json"] if as_json else []), "vm1"], text=True,
        stdout=subprocess.PIPE, env=world.environment(),
    ) as watch:
        time.sleep(1.5)
        here = world.nexuses["here"][0]
        world.emit(here, {"State": ("s", "exported")})
        world.emit_fenced(here, True)
        first, second = watch.stdout.readline(), watch.stdout.readline()
        watch.send_signal(signal.SIGINT)
        assert watch.wait(10) == 0
    if as_json:
        assert json.loads(first)["properties"] == {"State": "exported"}
        assert json.loads(second)["fenced"] is True
    else:
        assert first.rstrip().endswith("vm1: State active -> exported")
        assert second.rstrip().endswith("vm1: key 0xabcd1 was removed by another initiator")


def test_output_that_nobody_can_read(world):
    done = subprocess.run(
        f"{PRMIGCTL} export vm1 >/dev/full", shell=True, env=world.environment(),
        capture_output=True, text=True,
    )
    assert done.returncode == 1
    assert done.stderr == "prmigctl export: it cannot be printed: No space left on device\n"


def test_migration_that_nobody_watches(world):
    """The terminal has gone: that is no reason to leave a guest half-way."""
    qmp = world.folder / "qmp"
    done = subprocess.run(
        f"exec {PRMIGCTL} migrate --qmp {qmp} --uri tcp:x:1 --transport '{world.transport()}' vm1"
        " >/dev/full 2>/dev/full",
        shell=True, env=world.environment(),
    )
    assert done.returncode == 0
    world.expect_moved()
