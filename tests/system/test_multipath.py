# SPDX-License-Identifier: Apache-2.0
"""A LUN by dm-multipath: two hosts with multipathd, each with two iSCSI paths, by two target
ports, to one LUN of LIO's in a third machine.

Data goes by either path in turn (round-robin) while both ports give the same access, so that a path
which is not registered is met at once. A path is lost by setting its SCSI disk offline, by cutting its
connection, or by the state of its target port (ALUA).
PRMIG_FULL=1: either path is lost, and all of what else there is.
"""

import os
import re

import pytest
from rig import initiator, pr
from rig.lio import Lio
from rig.prmig import Prmig
from rig.process import wait_until
from two_hosts import (
    BYSTANDER_KEY,
    GUEST_KEY,
    NOTHING,
    Port,
    Side,
    initiator_name,
    refused,
    registrants,
)

# Path 0 of each host is by the first, path 1 by the second.
IQNS = [initiator_name("array"), initiator_name("array-b")]
IQN = IQNS[0]
PORTS = {"source": (3260, 3261), "destination": (3262, 3263)}
# Which path is lost: the one that holds, or (PRMIG_FULL=1) each.
FULL = os.environ.get("PRMIG_FULL") == "1"
PATHS = (0, 1) if FULL else (0,)
HOLDER = {"Key": GUEST_KEY, "Holder": True, "Type": 5, "Fenced": False, "Failure": ""}


def long_form(test):
    """A test that is there with PRMIG_FULL=1 alone."""
    return test if FULL else None


# tcm_loop's disks are scsi:unspec: the guest's, which says that it is the LUN, is no path to it.
MULTIPATH_CONF = """
defaults {
    user_friendly_names no
    find_multipaths no
    polling_interval 1
    max_polling_interval 1
}
blacklist {
    devnode "^vd"
    protocol "scsi:unspec"
}
overrides {
    path_grouping_policy group_by_prio
    failback immediate
    path_selector "round-robin 0"
    path_checker tur
    rr_min_io_rq 1
    fast_io_fail_tmo 2
    no_path_retry 30
}
"""


class Path:
    """One of a host's paths: its portal on the array, its disk on the host.

    Each is an initiator of its own name: LIO takes the sessions of one name for one
    nexus when it checks a reservation.
    """

    def __init__(self, host, target, name, iqn, port):
        self._host = host
        self._target = target
        self._initiator = name
        self._iqn = iqn
        self._np = f"/sys/kernel/config/target/iscsi/{iqn}/tpgt_1/np/0.0.0.0:{port}"
        self.portal = f"{host.OUTSIDE}:{target.ports[port]}"
        self._outside = target.ports[port]
        self.disk = self.sg = None

    def offer(self):
        self._target.run(f"mkdir {self._np}")

    def log_in(self):
        """For the first time."""
        name = self._initiator
        self._host.run(
            f"""set -e
            iscsiadm -m iface -I {name} -o new >/dev/null
            iscsiadm -m iface -I {name} -o update -n iface.transport_name -v tcp >/dev/null
            iscsiadm -m iface -I {name} -o update -n iface.initiatorname -v {name} >/dev/null
            iscsiadm -m node -o new -T {self._iqn} -p {self.portal},1 -I {name} >/dev/null
            iscsiadm -m node -o update -T {self._iqn} -p {self.portal} -I {name} \
                -n node.conn[0].timeo.noop_out_interval -v 1 -n node.conn[0].timeo.noop_out_timeout -v 2
            """
        )
        self.log_in_again()

    def log_in_again(self):
        self._host.run(f"iscsiadm -m node -T {self._iqn} -p {self.portal} --login")
        # The kernel's name for it may be another than it was.
        done = self._host.wait_for(
            f"""set -e
            for c in /sys/class/iscsi_connection/connection*; do
                [ "$(cat $c/persistent_port)" = {self._outside} ] || continue
                d=$(echo $c/device/../target*/*:*:*:0)
                sd=$(ls $d/block); sg=$(ls $d/scsi_generic)
                [ -b /dev/$sd ] && [ -c /dev/$sg ]
                echo /dev/$sd /dev/$sg
                exit 0
            done
            exit 1""",
            60,
            f"a path by {self.portal}",
        )
        self.disk, self.sg = done.stdout.split()

    def log_out(self):
        self._host.run(f"iscsiadm -m node -T {self._iqn} -p {self.portal} --logout")

    def lose(self):
        """The kernel sends nothing there any more; returns when multipathd knows."""
        self._host.run(f"echo offline >{self._state}")
        self._wait("failed")

    def restore(self):
        self._host.run(f"echo running >{self._state}")
        self._wait("active")

    def cut(self):
        """Nothing arrives any more, and nobody is told; returns when multipathd knows."""
        self.cut_silently()
        self._wait("failed")

    def cut_silently(self):
        self._host.run(
            f"""set -e
            modprobe -a sch_ingress cls_u32 act_gact
            tc qdisc add dev eth0 clsact
            tc filter add dev eth0 egress protocol ip u32 match ip dport {self._outside} 0xffff action drop
            """
        )

    def mend(self):
        self._host.run("tc qdisc del dev eth0 clsact")
        self._wait("active")

    @property
    def _state(self):
        return f"/sys/block/{self.disk.removeprefix('/dev/')}/device/state"

    def _wait(self, state):
        name = self.disk.removeprefix("/dev/")
        self._host.wait_for(
            f"multipathd show paths raw format '%d %t' | grep -q '^{name} {state}'",
            60,
            f"{self.disk} {state}",
        )


class Host(Side):
    """A Side whose LUN is a multipath map."""

    def __init__(self, prmig, who, target):
        self.initiators = [initiator_name(f"{who}{i}") for i in range(2)]
        self.paths = [
            Path(prmig.vm, target.vm, name, iqn, port)
            for name, iqn, port in zip(self.initiators, IQNS, PORTS[who])
        ]
        super().__init__(prmig, "mp", initiator_name(who), (None, None))

    def attach(self):
        """Both paths, and the map that multipathd makes of them."""
        vm = self.vm
        vm.put_data(MULTIPATH_CONF.encode(), "/etc/multipath.conf")
        vm.run(
            f"""set -e
            echo InitiatorName={self.initiator} >/etc/iscsi/initiatorname.iscsi
            rm /etc/udev/rules.d/*-multipath.rules
            udevadm control --reload
            modprobe -a iscsi_tcp sg dm_multipath dm_round_robin scsi_dh_alua
            systemctl unmask multipathd.service multipathd.socket 2>/dev/null
            systemctl restart iscsid.service
            systemctl start multipathd.service
            """
        )
        for path in self.paths:
            path.log_in()
        name = vm.wait_for(
            "dmsetup ls --target multipath | cut -f1 | grep .", 60, "a multipath map"
        ).stdout.strip()
        self.disk = f"/dev/mapper/{name}"
        self.wait_paths(2)
        self.own = Port(vm, self.paths[0].sg)

    def shown(self):
        """The property Paths: {initiator name: (relative target port, registered)}, and whose the first is."""
        found = {}
        for who, port, registered in self.get("Paths"):
            known = re.fullmatch(r"iscsi:(.*)%2Ci%2C0x[0-9a-f]{12}", who)
            found[known.group(1) if known else who] = (port, registered)
        return found, next(iter(found), None)

    def main_path(self):
        """The one that takes the reservation commands."""
        return self.paths[self.initiators.index(self.shown()[1])]

    def wait_paths(self, count):
        self.vm.wait_for(
            f"[ $(ls /sys/block/$(basename $(readlink -f {self.disk}))/slaves | wc -l) = {count} ]",
            60,
            f"{count} paths",
        )

    def wait_both_optimized(self):
        """As multipathd knows it."""
        self.vm.wait_for(
            "[ $(multipathd show paths raw format '%t %p' | grep -c '^active 50$') = 2 ]",
            60,
            "both paths in one group",
        )

    def write_much(self, text):
        """As many writes as bring each path its turn, each one GOOD, and read again."""
        for lba in range(8):
            assert self.guest.write(f"{text}{lba}", lba) == pr.GOOD
        for lba in range(8):
            assert self.guest.read(lba) == f"{text}{lba}"


class Alua:
    """Asymmetric access to the LUN: the second target port is in a group of its own."""

    STATES = {"optimized": 0, "non-optimized": 1, "standby": 2, "unavailable": 3}

    def __init__(self, array, backstore):
        self._array = array
        self._group = f"{backstore.path}/alua/second"
        array.run(
            f"""set -e
            mkdir {self._group}; cd {self._group}
            echo 1 >tg_pt_gp_id
            echo 1 >alua_access_type
            for lun in /sys/kernel/config/target/iscsi/{IQNS[1]}/tpgt_1/lun/lun_0; do
                echo second >$lun/alua_tg_pt_gp
            done
            """
        )

    def set(self, state):
        self._array.run(f"echo {self.STATES[state]} >{self._group}/alua_access_state")


class Stage:
    """The array, and who is registered with it."""

    def __init__(self, source, destination, array, alua, bystander, stranger):
        self.source, self.destination = source, destination
        self.bystander, self.stranger = bystander, stranger
        self.array, self.alua = array, alua

    def begin(self):
        assert self.bystander.register(BYSTANDER_KEY, ignore=True) == pr.GOOD
        assert self.bystander.clear(BYSTANDER_KEY) == pr.GOOD
        for side in (self.source, self.destination):
            side.forget()
            side.guest.read()
        assert self.bystander.register(BYSTANDER_KEY) == pr.GOOD

    def hold(self):
        """The guest at the source registers and reserves."""
        assert self.source.guest.register(GUEST_KEY) == pr.GOOD
        assert self.source.guest.reserve(GUEST_KEY, 5) == pr.GOOD
        self.expect(source=2)

    def found(self):
        """{initiator: how often the guest's key stands there}, and the holder."""
        status = pr.full_status(self.bystander, self.bystander.node)
        guests = [one for one in registrants(status) if one.key == GUEST_KEY]
        names = [re.search(r":([a-z]+)\d,", one.who).group(1) for one in guests]
        holders = [name for one, name in zip(guests, names) if one.holder]
        return {name: names.count(name) for name in names}, holders

    def expect(self, holder="source", **wanted):
        """wanted: where the key stands, and how often."""
        assert self.found() == (wanted, [holder] if holder else [])
        assert self.others_are_shut_out() == bool(holder)

    def expect_soon(self, holder="source", seconds=20, **wanted):
        wait_until(
            lambda: self.found() == (wanted, [holder] if holder else []),
            seconds,
            f"{wanted}, held by {holder}",
        )

    def others_are_shut_out(self):
        return pr.read_reservation(self.bystander, self.bystander.node) == (GUEST_KEY, 5)


@pytest.fixture(scope="module")
def stage(rig, deb):
    machines = {who: rig.vm(who) for who in PORTS}
    ports = [port for pair in PORTS.values() for port in pair]
    array = rig.vm("array", forward=ports)
    rig.boot(array, *machines.values())
    target = Lio(array)
    backstore = target.fileio("array")
    hosts = [Host(Prmig(machine, deb), who, target) for who, machine in machines.items()]
    for host in hosts:
        for name, iqn in zip(host.initiators, IQNS):
            target.iscsi_acl(iqn, name, backstore)
    array.run("rmdir /sys/kernel/config/target/iscsi/*/tpgt_1/np/*")
    for host in hosts:
        for path in host.paths:
            path.offer()
        host.attach()
    hosts[0].create()
    hosts[1].create(incoming="on")
    others = [Port(array, target.loopback(backstore, who).sg) for who in ("bystander", "stranger")]
    return Stage(*hosts, target, Alua(array, backstore), *others)


@pytest.fixture
def site(stage):
    stage.begin()
    return stage


# ---- registrations ----


def expect_shown_once(site, strangers=0):
    """What the guest reads has its own paths once, and lengths that agree, however short it is cut."""
    guest, lun = site.source.guest, site.bystander
    _, keys = pr.read_keys(guest, guest.node)
    assert sorted(keys) == sorted([GUEST_KEY] * (1 + strangers) + [BYSTANDER_KEY])
    own, holds = [], pr.read_reservation(lun, lun.node) == (GUEST_KEY, 5)
    for one in registrants(pr.full_status(guest, guest.node)):
        if one.key == GUEST_KEY and "source" in one.who:
            own.append(one)
            assert one.holder == holds
    assert len(own) == 1
    there = registrants(pr.full_status(lun, lun.node))
    assert len(registrants(pr.full_status(guest, guest.node))) == len(there) - 1
    for action in ("00", "03"):
        whole = raw_in(guest, action, 4096)
        length = int.from_bytes(whole[4:8], "big")
        assert len(whole) == 8 + length
        for size in (8, 20, len(whole) - 1):
            assert raw_in(guest, action, size) == whole[:size]


def on_every_path(side, registered):
    """As shown() has it: each path has a target port of its own."""
    return {name: (1 + n, registered) for n, name in enumerate(side.initiators)}


def expect_shown_once_of_any(site):
    """While a path is down: to the guest it is one registrant all the same."""
    guest = site.source.guest
    assert pr.read_keys(guest, guest.node)[1].count(GUEST_KEY) == 1
    found = registrants(pr.full_status(guest, guest.node))
    assert [one.holder for one in found if one.key == GUEST_KEY] == [True]


def raw_in(guest, action, size):
    """The bytes of a PERSISTENT RESERVE IN with this allocation length."""
    done = guest.run(
        f"sg_raw -b -r {size} {guest.node} 5e {action} 00 00 00 00 00 {size >> 8:02x} {size & 255:02x} 00"
        " 2>/dev/null | od -An -v -tx1"
    )
    return bytes.fromhex(done.stdout.replace("\n", " "))


def test_one_registrant_on_two_paths(site):
    """The LUN sees the key once per path, the guest once; and types that let one path write are not offered."""
    guest = site.source.guest
    assert site.source.get("Backend") == "multipath"
    assert guest.register(GUEST_KEY) == pr.GOOD
    site.expect(holder=None, source=2)
    expect_shown_once(site)
    wait_until(
        lambda: site.source.shown()[0] == on_every_path(site.source, True),
        10,
        lambda: f"both paths are shown to be registered: {site.source.get('Paths')}",
    )

    for kind in (1, 3):
        assert guest.reserve(GUEST_KEY, kind) == pr.ILLEGAL_REQUEST
    offered = pr.capabilities(guest, guest.node)
    for name, bit in (("Write Exclusive", 0), ("Exclusive Access", 0)):
        assert re.search(rf"\b{name}: {bit}", offered), offered
    assert re.search(r"Write Exclusive, Registrants Only: 1", offered, re.IGNORECASE), offered

    assert guest.reserve(GUEST_KEY, 5) == pr.GOOD
    site.expect(source=2)
    site.source.expect(State="active", **HOLDER)
    expect_shown_once(site)
    site.source.write_much("held")
    assert site.bystander.write("intruder", lba=1) == pr.GOOD  # a registrant, as type 5 has it
    assert guest.register(0, old=GUEST_KEY) == pr.GOOD
    site.expect(holder=None)
    site.source.expect(**NOTHING)
    wait_until(
        lambda: site.source.shown()[0] == on_every_path(site.source, False),
        10,
        "no path is shown to be registered",
    )


def test_stranger_with_the_guests_key(site):
    """Is another registrant to the guest, too: only the guest's own paths are one."""
    site.hold()
    assert site.stranger.register(GUEST_KEY) == pr.GOOD
    expect_shown_once(site, strangers=1)
    assert site.stranger.register(0, old=GUEST_KEY) == pr.GOOD
    expect_shown_once(site)


@long_form
def test_change_of_key(site):
    guest = site.source.guest
    site.hold()
    assert guest.register(0x1234, old=GUEST_KEY) == pr.GOOD
    assert site.found() == ({}, [])
    _, keys = pr.read_keys(site.bystander, site.bystander.node)
    assert sorted(keys) == sorted([0x1234, 0x1234, BYSTANDER_KEY])
    site.source.write_much("rekeyed")
    assert guest.register(GUEST_KEY, old=0x1234) == pr.GOOD
    site.expect(source=2)


def test_path_without_registration(site):
    """The write that meets it is not failed: the path is registered first."""
    site.hold()
    other = Port(site.source.vm, site.source.paths[1].sg)
    mine = Port(site.source.vm, site.source.paths[0].sg)
    for path in (other, mine):
        # One of them holds; what the other loses is a registration alone.
        if site.found()[0] == {"source": 2}:
            keep = site.found()[1]
            path.register(0, old=GUEST_KEY)
            if site.found()[1] == keep:
                break
            site.begin()
            site.hold()
    assert site.found() == ({"source": 1}, ["source"])
    site.source.write_much("again")
    site.expect(source=2)
    site.source.expect(State="active", **HOLDER)


@long_form
@pytest.mark.parametrize("which", PATHS)
def test_path_lost_and_back(site, which):
    """While the LUN is reserved; the other one keeps the data and the reservation."""
    source = site.source
    site.hold()
    path = source.paths[which]
    path.lose()
    source.write_much("without")
    assert source.guest.read() == "without0"
    assert pr.read_reservation(source.guest, source.guest.node) == (GUEST_KEY, 5)
    source.expect(State="active", **HOLDER)
    assert site.others_are_shut_out()
    path.restore()
    source.write_much("with")
    site.expect_soon(source=2)
    source.expect(State="active", **HOLDER)


@long_form
def test_path_taken_and_added(site):
    """A path that goes for good, and one that is new: registered before the LUN takes its data.

    The session that ended was a nexus whose registration the LUN keeps; it counts as
    the guest's own, and goes with Export.
    """
    source = site.source
    site.hold()
    source.paths[1].log_out()
    source.wait_paths(1)
    source.write_much("one path")
    source.paths[1].log_in_again()
    source.wait_paths(2)
    source.write_much("two paths")
    # The new session is the same nexus if open-iscsi gives it the same ISID.
    assert site.found()[0]["source"] in (2, 3)
    source.expect(State="active", **HOLDER)
    source.export()
    site.expect(source=1)
    source.abort()
    site.expect(source=2)


@long_form
def test_daemon_restarts(site):
    site.hold()
    site.source.prmig.restart()
    site.source.expect_soon(State="active", **HOLDER)
    site.source.write_much("restarted")
    site.expect_soon(source=2)
    assert site.source.guest.reserve(GUEST_KEY, 5) == pr.GOOD, "the holder repeats its RESERVE"


@pytest.mark.parametrize("which", PATHS)
def test_daemon_restarts_without_a_path(site, which):
    """What stands on the path that is down is not forgotten."""
    source = site.source
    site.hold()
    path = source.main_path() if which == 0 else next(
        one for one in source.paths if one is not source.main_path()
    )
    path.lose()
    if which:
        source.prmig.restart()
    else:
        source.write_much("by the other")  # which holds now, so that a path that went is left
        source.prmig.restart()
    source.expect_soon(State="active", **HOLDER)
    source.write_much("restarted")
    assert pr.read_reservation(source.guest, source.guest.node) == (GUEST_KEY, 5)
    expect_shown_once_of_any(site)
    path.restore()
    source.write_much("with it")
    site.expect_soon(source=2)
    source.expect(State="active", **HOLDER)


@long_form
def test_daemon_restarts_without_the_only_registered_path(site):
    """Exported: one path alone is registered, and that one is down. The other's answer that it is not
    registered is no fence."""
    source = site.source
    site.hold()
    source.export()
    site.expect(source=1)
    path = source.main_path()
    path.lose()
    source.prmig.restart()
    assert source.get("State") == "exported"
    assert not source.get("Fenced")
    with refused("Lun"):
        source.abort()
    path.restore()
    source.expect_soon(Failure="", seconds=30)
    source.abort()
    source.expect(State="active", **HOLDER)
    site.expect_soon(source=2)


# ---- hand-overs ----


def hand_over(site, lost=()):
    """There, and back again when the lost paths are there once more."""
    source, destination = site.source, site.destination
    source.write_much("before")
    for path in lost:
        path.lose()
    up = 2 - sum(path in destination.paths for path in lost)
    line = source.export()
    site.expect(source=1)
    destination.check(line)
    destination.import_(line)
    site.expect(holder="destination", destination=1)
    destination.expect(State="active", **HOLDER)
    destination.write_much("there")
    site.expect_soon(holder="destination", destination=up)
    source.release()
    source.expect(State="active", **NOTHING)
    for path in lost:
        path.restore()
    site.expect_soon(holder="destination", destination=2)
    destination.write_much("still there")
    source.import_(destination.export())
    destination.release()
    source.write_much("back")
    site.expect_soon(source=2)


@long_form
def test_hand_over(site):
    site.hold()
    hand_over(site)


@long_form
@pytest.mark.parametrize("which", PATHS)
def test_hand_over_with_a_lost_path_at_the_source(site, which):
    site.hold()
    hand_over(site, lost=[site.source.paths[which]])


@long_form
def test_hand_over_with_a_lost_path_at_the_destination(site):
    site.hold()
    hand_over(site, lost=[site.destination.paths[0]])


@long_form
def test_abort(site):
    """After Import: back to the source, and all paths are registered there."""
    site.hold()
    line = site.source.export()
    site.destination.import_(line)
    site.expect(holder="destination", destination=1)
    with refused("WrongState", "alone holds"):
        site.destination.abort()
    site.source.abort()
    site.destination.abort()
    site.expect(source=2)
    site.source.write_much("aborted")


@long_form
def test_registrant_is_handed_over(site):
    """Registered, and another one holds: row 2."""
    assert site.source.guest.register(GUEST_KEY) == pr.GOOD
    assert site.bystander.reserve(BYSTANDER_KEY, 5) == pr.GOOD
    line = site.source.export()
    assert site.found() == ({"source": 1}, [])
    site.destination.import_(line)
    site.source.release()
    assert site.found() == ({"destination": 1}, [])
    site.destination.write_much("row 2")
    assert site.found() == ({"destination": 2}, [])
    site.source.import_(site.destination.export())
    site.destination.release()
    site.source.write_much("back")
    assert site.found() == ({"source": 2}, [])


# ---- fences ----


@pytest.mark.parametrize("which", PATHS)
def test_fence_while_a_path_is_down(site, which):
    source = site.source
    site.hold()
    path = source.paths[which]
    path.lose()
    assert site.bystander.preempt(BYSTANDER_KEY, GUEST_KEY, 5) == pr.GOOD
    assert site.found() == ({}, [])
    assert source.guest.write("fenced") == pr.RESERVATION_CONFLICT
    path.restore()
    for lba in range(8):
        assert source.guest.write("fenced", lba) == pr.RESERVATION_CONFLICT
    source.expect_soon(Fenced=True, Key=0)
    assert site.found() == ({}, [])


# ---- connections that are cut ----


@pytest.mark.parametrize("which", PATHS)
def test_connection_cut(site, which):
    """Of the path that takes the reservation commands, or of another; and a hand-over without it."""
    source, destination = site.source, site.destination
    site.hold()
    path = source.main_path()
    if which:
        path = next(one for one in source.paths if one is not path)
    path.cut_silently()
    source.write_much("cut")
    assert pr.read_reservation(source.guest, source.guest.node) == (GUEST_KEY, 5)
    assert source.guest.reserve(GUEST_KEY, 5) == pr.GOOD
    assert site.others_are_shut_out()
    source.expect(State="active", **HOLDER)
    line = source.export()
    site.expect(source=1)
    destination.import_(line)
    site.expect(holder="destination", destination=1)
    destination.write_much("there")
    source.release()
    path.mend()
    site.expect_soon(holder="destination", destination=2)
    source.import_(destination.export())
    destination.release()
    source.write_much("back")
    site.expect_soon(source=2)


# ---- asymmetric access ----


@pytest.fixture
def second_port(site):
    """The state of the target port of each host's second path."""
    yield site.alua
    site.alua.set("optimized")
    for side in (site.source, site.destination):
        side.wait_both_optimized()


@pytest.mark.parametrize("state", ["standby"] + (["unavailable", "non-optimized"] if FULL else []))
def test_port_without_access(site, second_port, state):
    """While reserved: data and reservation commands go by the other port, and both paths stay registered."""
    source, destination = site.source, site.destination
    site.hold()
    # The path by the second port takes the reservation commands.
    first = source.paths[0]
    if source.main_path() is first:
        first.lose()
        source.write_much("second")
        assert source.guest.reserve(GUEST_KEY, 5) == pr.GOOD
        first.restore()
        source.write_much("both")
        site.expect_soon(source=2)
    second_port.set(state)
    source.write_much(state)
    assert pr.read_reservation(source.guest, source.guest.node) == (GUEST_KEY, 5)
    assert source.guest.reserve(GUEST_KEY, 5) == pr.GOOD
    assert source.guest.run(f"sg_inq -p 0x83 {source.guest.node}").ok
    assert source.guest.run(f"sg_modes {source.guest.node}").ok
    source.expect(State="active", **HOLDER)
    assert site.others_are_shut_out()
    destination.import_(source.export())
    destination.write_much("there")
    source.release()
    site.expect_soon(holder="destination", destination=site.found()[0]["destination"])
    second_port.set("optimized")
    site.expect_soon(holder="destination", destination=2)
    source.import_(destination.export())
    destination.release()
    source.write_much("back")
    site.expect_soon(source=2)


# ---- who shares what ----


def test_same_nexus(site):
    """Another backstore on one of the map's paths, or by a session of that path's initiator name."""
    source, vm = site.source, site.source.vm
    site.hold()
    path = source.paths[1]
    vm.put_data(
        f"[lun]\nbackend=iscsi\nportal={path.portal}\ntarget={IQNS[1]}\nlun=0\n"
        f"initiator={source.initiators[1]}\n",
        "/etc/prmig/same.conf",
        mode="600",
    )
    for lun in (path.disk, "same"):
        vm.run("truncate -s 0 /var/log/tcmu-runner.log")
        assert not source.prmig.create_raw("other", 2**26, lun, check=False).ok
        log = vm.get("/var/log/tcmu-runner.log")
        assert f"nexus '{source.name}' is on LUN" in log
        assert f"{source.initiators[1]}" in log and "an iSCSI session of its own" in log
        assert source.prmig.names() == [source.name]
    source.write_much("alone")
    site.expect(source=2)
    source.expect(State="active", **HOLDER)


# ---- emulated reservations ----


@pytest.fixture
def emulated(site):
    """Two guests of the source on the map, with pr=emulate; the passthrough nexus makes room."""
    source = site.source
    site.bystander.clear(BYSTANDER_KEY)  # nobody else may have registrations there
    source.remove()
    prmig, disks = source.prmig, {}
    for name in ("em1", "em2"):
        prmig.create_raw(name, 2**26, f"{source.disk};pr=emulate")
        prmig.wait_open(name)
        disks[name] = prmig.lio.loopback(prmig.lio.backstore(name))
    yield [Port(source.vm, disk.sg) for disk in disks.values()]
    for name, disk in disks.items():
        prmig.lio.remove_loopback(disk)
        prmig.delete(name)
    site.bystander.register(BYSTANDER_KEY, ignore=True)
    site.bystander.clear(BYSTANDER_KEY)
    source.create()


def test_emulated(site, emulated):
    """One claim on both paths, under which each guest's data goes by either; and one is lost."""
    one, two = emulated
    assert one.register(GUEST_KEY) == pr.GOOD
    assert one.reserve(GUEST_KEY, 1) == pr.GOOD

    def shut_out():
        for lba in range(8):
            assert one.write(f"one{lba}", lba) == pr.GOOD
            assert two.write("two", lba) == pr.RESERVATION_CONFLICT
            assert two.read(lba) == f"one{lba}"
        assert site.bystander.write("stranger") == pr.RESERVATION_CONFLICT

    claim, kind = pr.read_reservation(site.bystander, site.bystander.node)
    assert claim not in (0, GUEST_KEY) and kind == 5
    shut_out()
    for path in site.source.paths:
        path.lose()
        shut_out()
        path.restore()
        shut_out()
    found = registrants(pr.full_status(site.bystander, site.bystander.node))
    assert [one.key for one in found] == [claim, claim]


# ---- what is no LUN ----


def test_maps_that_are_refused(site):
    """multipathd does not run: it would not leave such maps as they are."""
    vm = site.source.vm
    prmig = site.source.prmig
    loop = prmig.lio.shared_lun("other", "64M", nexuses=1)[0].disk
    own = site.source.initiators[0]
    site.array.iscsi_acl(IQN, own, site.array.fileio("stranger"), lun=1)

    def refusal(node):
        done = prmig.create_raw("refused", 2**26, node, check=False)
        return done.stdout + done.stderr

    def table(other):
        return f"0 131072 multipath 0 0 1 1 round-robin 0 2 1 {site.source.paths[0].disk} 1 {other} 1"

    vm.run("systemctl stop multipathd.socket multipathd.service")
    vm.run("iscsiadm -m session --rescan >/dev/null")
    stranger = initiator.nodes(vm, IQN, 1, own)[0]
    try:
        vm.run(
            f"""set -e
            dmsetup create --uuid mpath-empty empty --table "0 131072 multipath 0 0 0 0"
            dmsetup create --uuid mpath-mixed mixed --table "{table(stranger)}"
            dmsetup create --uuid mpath-loop loop --table "{table(loop)}"
            """
        )
        assert "has no path" in refusal("/dev/mapper/empty")
        assert "different logical units" in refusal("/dev/mapper/mixed")
        # It may be the guest's.
        assert "a disk of tcm_loop" in refusal("/dev/mapper/loop")
        assert "is not there" in refusal("/dev/mapper/absent")
        assert "multipathd does not run" in refusal(site.source.disk)
    finally:
        vm.run("for name in empty mixed loop; do dmsetup remove $name; done", check=False)
        vm.run("systemctl start multipathd.service")
