# SPDX-License-Identifier: Apache-2.0
"""Emulated reservations on the real kernel: README's lines for a file and a LUN, guests that share one
path, a second host that is refused, a hand-over to it, a daemon that is killed. One machine is the
first host and has the LUN, a LIO LUN that the second reaches by iSCSI.
"""

import re

import pytest
from conftest import SOURCE_ROOT
from rig import initiator, pr
from rig.lio import Lio
from rig.prmig import DBusError, Prmig
from two_hosts import Port, initiator_name

IQN = initiator_name("array")
KEY, TYPE, KEY_2 = 0xABCD1, 1, 0xABCD2
LINK = "/dev/disk/by-id/wwn-0x600..."


def shown():
    """The lines of README's section, and the command that it has in its text."""
    text = (SOURCE_ROOT / "README.md").read_text()
    section = re.search(r"^## Emulated reservations$(.*?)^## ", text, re.M | re.S).group(1)
    truncate = re.search(r"`(truncate [^`]*)`", section).group(1)
    return truncate, re.findall(r"^    (\S.*)$", section, re.M)


class Stage:
    """Both hosts; the guests' disks by name."""

    def __init__(self, one, two, deb):
        array = Lio(one)
        lun = array.fileio("array", size="20G")
        self.node = array.loopback(lun, "first").disk
        array.iscsi_acl(IQN, initiator_name("two"), lun)
        login = initiator.login(
            two, initiator_name("two"), two.OUTSIDE, one.ports[3260], IQN, 0
        )
        self.other_node = login[0]
        self.seen = Port(one, array.loopback(lun, "seen").sg)
        self.first, self.second = Prmig(one, deb), Prmig(two, deb)
        self.guests = {}

    @staticmethod
    def guest(host, name):
        host.wait_open(name)
        return Port(host.vm, host.lio.loopback(host.lio.backstore(name)).sg)


@pytest.fixture(scope="module")
def stage(rig, deb):
    one = rig.vm("one", forward=[3260])
    two = rig.vm("two")
    rig.boot(one, two)
    return Stage(one, two, deb)


def test_lines(stage):
    truncate, lines = shown()
    assert [line.split()[2] for line in lines] == ["name=vm1", "name=vm2", "name=vm3"]
    stage.first.vm.run(truncate)
    commands = "\n".join([*lines, "exit"]).replace(LINK, stage.node)
    stage.first.vm.run("targetcli", stdin=commands)
    for name in ("vm1", "vm2", "vm3"):
        stage.guests[name] = stage.guest(stage.first, name)
        assert stage.first.get(name, "Emulated") is True
    assert stage.first.get("vm1", "Lun") == stage.first.get("vm2", "Lun")
    assert stage.first.get("vm1", "Lun") != stage.first.get("vm3", "Lun")


def test_two_guests_on_one_file(stage):
    vm1, vm2 = stage.guests["vm1"], stage.guests["vm2"]
    assert vm1.register(KEY) == pr.GOOD
    assert vm1.reserve(KEY, TYPE) == pr.GOOD
    assert vm1.write("one") == pr.GOOD
    assert vm2.write("two") == pr.RESERVATION_CONFLICT
    assert vm2.read() == "one"
    assert vm2.register(KEY_2) == pr.GOOD
    assert vm2.preempt(KEY_2, KEY, TYPE) == pr.GOOD
    assert vm1.write("one") == pr.RESERVATION_CONFLICT
    assert vm2.write("two") == pr.GOOD


def test_killed(stage):
    stage.first.vm.run("systemctl kill --kill-whom=main -s KILL tcmu-runner.service")
    stage.first.wait_bus()
    for name in ("vm1", "vm2", "vm3"):
        stage.first.wait_open(name)
    assert stage.guests["vm1"].write("one") == pr.RESERVATION_CONFLICT
    assert stage.guests["vm2"].write("two") == pr.GOOD
    assert stage.first.get("vm2", "Holder") is True


def test_claim(stage):
    """What is on the LUN is prmig's own; a second host is refused, with the first one's initiator."""
    vm3 = stage.guests["vm3"]
    assert vm3.register(KEY) == pr.GOOD
    assert vm3.reserve(KEY, TYPE) == pr.GOOD
    assert vm3.write("three") == pr.GOOD
    key, kind = pr.read_reservation(stage.seen, stage.seen.node)
    assert key not in (0, KEY) and kind == 5
    # The LUN itself shuts out who has no claim.
    assert stage.seen.write("stranger") == pr.RESERVATION_CONFLICT
    stage.second.create_raw("vm3", "20G", f"{stage.other_node};pr=emulate", check=False)
    assert "vm3" not in stage.second.names()
    stage.second.vm.run("grep -q 'is claimed by initiator' /var/log/tcmu-runner.log")
    assert pr.read_reservation(stage.seen, stage.seen.node) == (key, 5)


def test_hand_over(stage):
    words = f"{stage.other_node};pr=emulate;incoming=on"
    stage.second.create_raw("vm3", "20G", words)
    there = stage.guest(stage.second, "vm3")
    assert there.read() == "three"
    with pytest.raises(DBusError, match="is claimed by initiator"):
        stage.second.abort("vm3")
    line = stage.first.export("vm3")
    stage.second.check("vm3", line)
    stage.second.import_("vm3", line)
    stage.first.release("vm3")
    assert stage.second.get("vm3", "Key") == KEY
    assert there.write("there") == pr.GOOD
    assert pr.read_reservation(there, there.node) == (KEY, TYPE)
    with pytest.raises(DBusError, match="Stale|WrongState|ticket no more"):
        stage.first.import_("vm3", line)
    assert stage.seen.read() == "there"
    # And back.
    stage.first.import_("vm3", stage.second.export("vm3"))
    stage.second.release("vm3")
    assert stage.guests["vm3"].write("back") == pr.GOOD
    assert pr.read_reservation(stage.guests["vm3"], stage.guests["vm3"].node) == (KEY, TYPE)
