# SPDX-License-Identifier: Apache-2.0
"""What clusters really send, with hand-overs in the middle of it: pacemaker's fence_scsi agent, as
Debian ships it, and the persistent reservations of a Windows cluster's storage validation.

A node is a guest with two prmig backstores, one where it runs and one where it can go, each on a
session of its own to LIO's iSCSI target in another machine. A hand-over is the README's three calls.
LVM's own persistent reservation handling (lvmpersist) is not in Debian 12's lvm2 (2.03.16).
"""

import os
from pathlib import Path

import pytest
from rig import initiator, pr
from rig.lio import Lio
from rig.prmig import Prmig
from two_hosts import NOTHING, Port, Side, initiator_name

FULL = os.environ.get("PRMIG_FULL") == "1"
VALIDATION = Path(__file__).with_name("cluster-validation.commands")
CALL = "busctl call org.prmig1 /org/prmig1/nexus/{} org.prmig1.Nexus"
IQN = initiator_name("array")


class Node:
    """A guest of a cluster, and the two nexuses that it can be at."""

    def __init__(self, number, sides):
        self.number = number
        self.at, self.other = sides
        self.vm = self.at.vm
        self._run = f"/var/lib/rig/node{number}"
        # fence_scsi keeps its key in /run: each node has its own, and its disk in it.
        self.vm.run(f"mkdir -p {self._run}")
        self._show_disk()

    def _show_disk(self):
        self.vm.run(f"ln -sfn {self.at.guest_disk} {self._run}/disk")

    @property
    def port(self):
        return self.at.guest

    def hand_over(self):
        """As the README says it."""
        source, destination = CALL.format(self.at.name), CALL.format(self.other.name)
        self.vm.run(
            f"""set -e
            state=$({source} Export 'a{{sv}}' 0 | cut -d'"' -f2)
            {destination} Import 'sa{{sv}}' "$state" 0
            {source} Release 'a{{sv}}' 0
            """
        )
        self.at, self.other = self.other, self.at
        self._show_disk()
        self.other.expect(State="active", **NOTHING)

    def fence_scsi(self, action, key):
        """The agent on this node, called as pacemaker calls it; returns its exit status."""
        done = self.vm.run(
            f"unshare --mount sh -c 'mount --bind {self._run} /run && exec fence_scsi'",
            stdin=f"action={action}\nkey={key:x}\ndevices=/run/disk\n",
            check=False,
        )
        print(f"node {self.number}: {action} {key:x}: {done.status}\n{done.stderr}")
        return done.status

    def start_writing(self, lba):
        """Numbers, one after the other, until a write fails."""
        return self.vm.spawn(
            "i=0; while i=$((i + 1)); printf %-512s $i | dd of=" + self.at.guest_disk +
            f" bs=512 count=1 seek={lba} oflag=direct iflag=fullblock conv=notrunc status=none; "
            "do :; done"
        )

    def wait_written(self, lba, text=""):
        """Until another number than this one stands there; returns it."""
        return self.vm.wait_for(
            f"t=$(dd if={self.at.guest_disk} bs=512 count=1 skip={lba} iflag=direct status=none "
            f"| tr -d '\\0 '); [ \"$t\" != '{text}' ] && echo $t",
            60,
            "a write by the guest",
        ).stdout.strip()


@pytest.fixture(scope="module")
def target(rig):
    """LIO in a machine of its own."""
    machine = rig.vm("target", forward=[3260])
    rig.boot(machine)
    return Lio(machine)


@pytest.fixture(scope="module")
def lun(target):
    return target.fileio("array", "16M")


@pytest.fixture(scope="module")
def nodes(rig, deb, target, lun):
    """Three nodes, each with two nexuses."""
    vm = rig.vm("hosts")
    rig.boot(vm)
    prmig = Prmig(vm, deb)
    made = []
    for number in (1, 2, 3):
        sides = []
        for where in "ab":
            name = f"node{number}{where}"
            who = initiator_name(name)
            target.iscsi_acl(IQN, who, lun)
            first = not made and not sides
            device = initiator.login(
                vm, who, vm.OUTSIDE, target.vm.ports[3260], IQN, 0, second=not first
            )
            side = Side(prmig, name, who, device)
            side.create()
            sides.append(side)
        made.append(Node(number, sides))
    return made


# ---- fence_scsi ----

ON, OFF = 0, 2  # exit statuses of action=status
KEYS = {1: 0xC1A50001, 2: 0xC1A50002}


def keys(node):
    return sorted(pr.read_keys(node.port, node.port.node)[1])


def reservation(node):
    return pr.read_reservation(node.port, node.port.node)


def expect_fenced(node):
    node.at.expect_soon(State="active", **{**NOTHING, "Fenced": True})
    assert node.port.write("fenced") == pr.RESERVATION_CONFLICT


def test_fence_scsi(nodes):
    """Unfence, fence, unfence again; the survivor and the fenced one move in between."""
    one, two, _ = nodes
    for node in (one, two):
        assert node.fence_scsi("on", KEYS[node.number]) == 0
        assert node.fence_scsi("status", KEYS[node.number]) == ON
        assert node.fence_scsi("monitor", KEYS[node.number]) == 0
    assert keys(one) == sorted(KEYS.values())
    assert reservation(one) == (KEYS[1], 5)
    one.at.expect(Key=KEYS[1], Holder=True, Type=5, Fenced=False)
    two.at.expect(Key=KEYS[2], Holder=False, Fenced=False)

    # Whoever is registered writes, also after a hand-over that the other knows nothing of.
    for node in (one, two):
        node.hand_over()
        assert node.fence_scsi("status", KEYS[node.number]) == ON
        assert node.port.write("cluster", quiet=True) == pr.GOOD
    assert keys(one) == sorted(KEYS.values())
    assert reservation(two) == (KEYS[1], 5)

    # One fences two, which writes at that time.
    writing = two.start_writing(lba=8)
    one.wait_written(8, one.wait_written(8))
    assert one.fence_scsi("off", KEYS[2]) == 0
    assert writing.wait(60, check=False).stderr.count("error writing") == 1
    last = one.wait_written(8)
    expect_fenced(two)
    assert one.fence_scsi("status", KEYS[2]) == OFF
    assert keys(one) == [KEYS[1]]
    assert one.port.write("survivor") == pr.GOOD

    # Both move: the one goes on writing, the other stays fenced.
    one.hand_over()
    one.at.expect(State="active", Key=KEYS[1], Holder=True, Type=5)
    assert one.port.write("moved", quiet=True) == pr.GOOD
    two.hand_over()
    expect_fenced(two)
    assert two.fence_scsi("status", KEYS[2]) == OFF
    assert one.fence_scsi("off", KEYS[2]) == 0, "fencing the fenced"
    assert keys(one) == [KEYS[1]]
    assert reservation(one) == (KEYS[1], 5)
    assert one.wait_written(8) == last, "a write of the fenced node came through"

    # Two comes back, where it is now, and fences the holder.
    assert two.fence_scsi("on", KEYS[2]) == 0
    two.at.expect(Key=KEYS[2], Holder=False, Fenced=False)
    assert two.port.write("back") == pr.GOOD
    assert keys(two) == sorted(KEYS.values())
    assert two.fence_scsi("off", KEYS[1]) == 0
    assert keys(two) == [KEYS[2]]
    assert reservation(two) == (KEYS[2], 5)
    expect_fenced(one)
    one.hand_over()
    expect_fenced(one)
    two.hand_over()
    two.at.expect(State="active", Key=KEYS[2], Holder=True, Type=5)
    assert two.port.write("holder", quiet=True) == pr.GOOD
    assert one.fence_scsi("on", KEYS[1]) == 0
    assert one.port.write("again") == pr.GOOD
    assert reservation(one) == (KEYS[2], 5)

    for node in (one, two):
        assert node.port.register(0, ignore=True) == pr.GOOD
    assert keys(one) == []


# ---- the validation of a failover cluster's storage ----


def commands():
    """[(number of the line, text, node, words, answer), ...] of the file."""
    found = []
    for number, line in enumerate(VALIDATION.read_text(encoding="ascii").splitlines(), 1):
        text = line.split("#")[0].strip()
        if text and not text.startswith("=="):
            left, _, answer = text.partition(":")
            node, *words = left.split()
            found.append((number, text, int(node), words, answer.split()))
    return found


def key_value(text):
    """A node's key: any 64 bits; here such that one sees whose it is."""
    node, _, number = text.partition(".")
    return int(node) << 60 | 0x0DD5EED0000 | int(number)


ANSWERS = {pr.GOOD: "good", pr.RESERVATION_CONFLICT: "conflict"}


def answer_of(port, words):
    """Sends a command from this port; returns the answer, in the file's words."""
    command, *arguments = words
    values = [key_value(word) for word in arguments]
    if command == "keys":
        return sorted(pr.read_keys(port, port.node)[1])
    if command == "reservation":
        held = pr.read_reservation(port, port.node)
        if held:
            assert held[1] == 5
        return [held[0] if held else "none"]
    status = {
        "register": lambda: port.register(values[0], ignore=True),
        "unregister": lambda: port.register(0, ignore=True),
        "reserve": lambda: port.reserve(values[0], 5),
        "release": lambda: pr.release(port, port.node, values[0], 5).status,
        "preempt": lambda: port.preempt(*values, 5),
        "clear": lambda: port.clear(values[0]),
        "write": lambda: port.write("validation", lba=3),
        "read": lambda: pr.read(port, port.node, 3)[0].status,
    }[command]()
    return [ANSWERS.get(status, status)]


def run_validation(port_of, after):
    """The whole list. port_of: of a node's number; after(node): when a command has been answered."""
    for number, text, node, words, expected in commands():
        expected = [key_value(word) if "." in word else word for word in expected]
        found = answer_of(port_of(node), words)
        assert found == expected, f"{VALIDATION.name}:{number}: {text}: {found}"
        if words[0] not in ("keys", "reservation", "read", "write"):
            after(node)


def test_validation_on_the_lun(target, lun):
    """The list is right: the LUN itself answers so, to three initiator ports."""
    ports = [Port(target.vm, target.loopback(lun, f"bare{number}").sg) for number in (1, 2, 3)]
    run_validation(lambda node: ports[node - 1], lambda node: None)


def test_validation_with_hand_overs(nodes):
    """The same answers, when after each step a node is handed over: the one that took it, or, every
    other time, the next; PRMIG_FULL=1: both."""
    steps = []

    def hand_over(node):
        steps.append(node)
        if FULL or len(steps) % 2:
            nodes[node - 1].hand_over()
        if FULL or not len(steps) % 2:
            nodes[node % 3].hand_over()

    run_validation(lambda node: nodes[node - 1].port, hand_over)
    assert set(steps) == {1, 2, 3}
    for node in nodes:
        node.at.expect(State="active", Key=0, Holder=False, Failure="")
