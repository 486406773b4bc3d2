# SPDX-License-Identifier: Apache-2.0
"""Two hosts, one LUN, and others on it: what the tests of the hand-over share.

A Site is a LUN with everybody on it. Two Sides, source and destination, are a
prmig backstore each on a host of its own; what a guest would send, a test sends
through the backstore's tcm_loop disk. The bystander is an initiator that is
registered with a key of its own all the while and must not be hurt; the
stranger one that does what the test wants of it.
"""

import re
import zlib
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from rig import pr
from rig.lio import Backstore
from rig.prmig import DBusError, Prmig
from rig.process import wait_until

GUEST_KEY = 0xABCD1
BYSTANDER_KEY = 0xB0B
STRANGER_KEY = 0x5757
# Longer than any call takes here, so that nothing held is answered BUSY meanwhile.
HOLD_S = 20


def initiator_name(who):
    return f"iqn.2026-11.org.example:{who}"


class Port:
    """An initiator port on the LUN, or a guest's disk: for the functions of pr.

    Unit attentions that wait for this port are taken before each command, so
    that the command itself is what is answered. quiet: not, so that one would be seen.
    """

    def __init__(self, vm, node):
        self.vm = vm
        self.node = node

    def run(self, command, **options):
        drain = f"for i in 1 2 3 4 5 6; do sg_turs {self.node} </dev/null && break; done"
        return self.vm.run(f"{{ {drain}; }} >/dev/null 2>&1; {command}", **options)

    # What initiators do; each returns sg3-utils' exit status.

    def register(self, key, **options):
        return pr.register(self, self.node, key, **options).status

    def reserve(self, key, kind):
        return pr.reserve(self, self.node, key, kind).status

    def clear(self, key):
        return pr.clear(self, self.node, key).status

    def preempt(self, key, victim, kind):
        return pr.preempt(self, self.node, key, victim, kind).status

    def write(self, text, lba=0, quiet=False):
        return pr.write(self.vm if quiet else self, self.node, lba, text).status

    def read(self, lba=0):
        """The text of a block, or the exit status of a read that failed."""
        result, text = pr.read(self, self.node, lba)
        return text if result.ok else result.status


@dataclass
class Registrant:
    """One descriptor of READ FULL STATUS."""

    key: int
    who: str  # TransportID, as sg_persist prints it
    holder: bool


def registrants(status):
    """What READ FULL STATUS shows, from sg_persist's words."""
    return [
        Registrant(
            int(entry.split()[0], 16),
            re.search(r"Transport Id of initiator:\s*(.*\S)", entry).group(1),
            "Reservation holder" in entry,
        )
        for entry in re.split(r"^\s+Key=", status, flags=re.MULTILINE)[1:]
    ]


class Side:
    """One host's prmig backstore on the LUN, and the disk that a guest would have."""

    def __init__(self, prmig, name, initiator, nodes):
        self.prmig = prmig
        self.vm = prmig.vm
        self.name = name
        self.initiator = initiator
        self.disk, sg = nodes
        self.own = Port(self.vm, sg)  # the host's own, beside prmig: only to look
        self._nexus = self._path = self.guest = self.guest_disk = None

    def create(self, **options):
        """Written into configfs, as the rig does: targetcli takes seconds."""
        words = "".join(f";{key.replace('_', '-')}={value}" for key, value in options.items())
        done = self.vm.run(
            f"""set -e
            cd /sys/kernel/config/target/core
            n=0; while [ -d user_$n ]; do n=$((n + 1)); done
            mkdir -p user_$n/{self.name}; cd user_$n/{self.name}
            echo dev_config=prmig/{self.disk}';hold-timeout={HOLD_S}{words}' >control
            echo dev_size=$(blockdev --getsize64 {self.disk}) >control
            echo 1 >enable
            pwd
            """
        )
        self._path = done.stdout.strip()
        self._nexus = self.prmig.lio.loopback(Backstore(self.name, self._path))
        self.guest = Port(self.vm, self._nexus.sg)
        self.guest_disk = self._nexus.disk

    def come_back(self, nodes, **options):
        """After a reboot of the host, on the LUN's nodes as they are called now."""
        self.prmig = Prmig(self.vm)
        self.disk, sg = nodes
        self.own = Port(self.vm, sg)
        self.create(**options)

    def remove(self):
        """And all that is remembered of it."""
        self.prmig.lio.remove_loopback(self._nexus)
        self.vm.run(
            f"rmdir {self._path} $(dirname {self._path}) && rm /var/lib/prmig/nexus/{self.name}"
        )

    # D-Bus

    def export(self, **options):
        return self.prmig.export(self.name, **options)

    def import_(self, line, **options):
        self.prmig.import_(self.name, line, **options)

    def release(self, **options):
        self.prmig.release(self.name, **options)

    def abort(self, **options):
        self.prmig.abort(self.name, **options)

    def check(self, line="", **options):
        self.prmig.check(self.name, line, **options)

    def forget(self):
        self.prmig.forget(self.name, force=True)

    def get(self, prop):
        return self.prmig.get(self.name, prop)

    def expect(self, **wanted):
        """These properties have these values."""
        found = self.prmig.properties(self.name)
        wrong = {name: found[name] for name in wanted if found[name] != wanted[name]}
        assert not wrong, f"{self.initiator}: {wrong} where {wanted} is right"

    def expect_soon(self, seconds=15, **wanted):
        """The same, where prmig learns of it by its timer."""

        def so():
            found = self.prmig.properties(self.name)
            return all(found[name] == value for name, value in wanted.items())

        wait_until(so, seconds, f"{self.initiator}: {wanted}")

    # Commands of the guest at a closed gate

    def hold_write(self, text, lba):
        """Send a write that the closed gate has to hold; returns when it does."""
        before = self.get("InFlight")
        write = pr.start_write(self.vm, self.guest.node, lba, text)
        wait_until(
            lambda: self.get("InFlight") == before + 1 or not write.running,
            20,
            f"{self.initiator}: the gate holds a write",
        )
        assert write.running, f"a write passed the closed gate: {write.wait(check=False)}"
        return write


class Site:
    """A LUN, and those on it."""

    def __init__(self, name, hosts, login, bystander):
        """hosts: Prmig of source and destination; login(vm, who): the nodes of
        the LUN on a machine, under an initiator name of its own."""
        source, destination = (
            Side(prmig, name, initiator_name(who), login(prmig.vm, who))
            for prmig, who in zip(hosts, ("source", "destination"))
        )
        source.create()
        destination.create(incoming="on")
        self.name = name
        self.source = source
        self.destination = destination
        self.bystander = bystander
        self.stranger = self.stranger_disk = None
        self.has_full_status = True
        # How the LUN answers a REGISTER that takes effect.
        self.register_status = pr.GOOD

    def begin(self, incoming=False):
        """Nobody but the bystander is registered, nothing is reserved, the
        guest is at the source, and nothing is remembered of an earlier test."""
        self.bystander.register(BYSTANDER_KEY, ignore=True)
        assert self.bystander.clear(BYSTANDER_KEY) == pr.GOOD
        self.source.forget()
        if not incoming:
            self.destination.forget()
        for side in (self.source, self.destination):
            side.own.read()  # takes the unit attentions of what was before
        if incoming:
            self.destination.remove()
            self.destination.create(incoming="on")
        self.source.guest.read()
        assert self.bystander.register(BYSTANDER_KEY) == self.register_status
        assert pr.look(self.bystander, self.bystander.node)[:2] == ([BYSTANDER_KEY], None)

    def end(self):
        """Whatever the test did: the bystander is there, once."""
        assert self.keys().count(BYSTANDER_KEY) == 1, "the bystander was hurt"

    # What stands on the LUN, asked for by the bystander

    def keys(self):
        return sorted(pr.read_keys(self.bystander, self.bystander.node)[1])

    def generation(self):
        return pr.read_keys(self.bystander, self.bystander.node)[0]

    def reservation(self):
        """(key, type) or None."""
        return pr.read_reservation(self.bystander, self.bystander.node)

    def ptpl_active(self):
        text = pr.capabilities(self.bystander, self.bystander.node)
        return bool(re.search(r"\(PTPL_A\): 1", text))

    def expect_guest_at(self, *sides, case):
        """The guest's key is registered by these sides and no other, and who
        holds what is as the case has it."""
        keys, reservation, status = pr.look(
            self.bystander, self.bystander.node, full=self.has_full_status
        )
        assert sorted(keys) == sorted([GUEST_KEY] * len(sides) + [BYSTANDER_KEY])
        assert reservation == case.reservation
        if not self.has_full_status:
            return
        found = [one for one in registrants(status) if one.key == GUEST_KEY]
        assert len(found) == len(sides)
        for side in sides:
            (own,) = [one for one in found if f"{side.initiator}," in one.who]
            assert own.holder == case.guest_holds


@dataclass
class Case:
    """What the guest is on the LUN: a row of the hand-over's table."""

    name: str
    registered: bool = True
    kind: int = 0  # type of the reservation, 0: none
    by: str = "guest"  # who made it

    @property
    def row(self):
        if not self.registered:
            return 1
        return {False: 2, True: 4 if self.kind in (7, 8) else 3}[self.guest_holds]

    @property
    def guest_holds(self):
        return self.registered and bool(self.kind) and (self.by == "guest" or self.kind in (7, 8))

    @property
    def reservation(self):
        """What READ RESERVATION shows."""
        if not self.kind:
            return None
        key = GUEST_KEY if self.by == "guest" else BYSTANDER_KEY
        return (0 if self.kind in (7, 8) else key, self.kind)

    @property
    def guest_writes(self):
        """The status of a write from where the guest is registered."""
        good = self.guest_holds or not self.kind or (self.registered and self.kind in (5, 6))
        return pr.GOOD if good else pr.RESERVATION_CONFLICT

    @property
    def others_write(self):
        """The status of a write from a nexus that is not registered."""
        return pr.RESERVATION_CONFLICT if self.kind else pr.GOOD

    def set_up(self, site, at):
        """The guest runs at this side."""
        if self.by == "bystander" and self.kind:
            assert site.bystander.reserve(BYSTANDER_KEY, self.kind) == pr.GOOD
        if self.registered:
            assert at.guest.register(GUEST_KEY) == site.register_status
        if self.by == "guest" and self.kind:
            assert at.guest.reserve(GUEST_KEY, self.kind) == pr.GOOD
        if self.registered:
            site.expect_guest_at(at, case=self)

    def properties(self):
        """Of the nexus where the guest runs."""
        return {
            "Key": GUEST_KEY if self.registered else 0,
            "Holder": self.guest_holds,
            "Type": self.kind if self.guest_holds else 0,
            "Fenced": False,
            "Failure": "",
        }

    def expect_running(self, side):
        side.expect(State="active", **self.properties())


NOTHING = {"Key": 0, "Holder": False, "Type": 0, "Fenced": False, "Failure": ""}


@contextmanager
def refused(name, *words):
    """The call answers this error, with these words in its message."""
    with pytest.raises(DBusError) as caught:
        yield
    assert caught.value.name == name, caught.value
    for word in words:
        assert word in caught.value.message, caught.value.message


def fields(line):
    """A state line's fields."""
    return dict(field.split("=", 1) for field in line.split(","))


def sealed(text):
    """A state line with a checksum that is right."""
    body = text.rsplit(",crc=", 1)[0]
    return f"{body},crc={zlib.crc32(body.encode()):08x}"
