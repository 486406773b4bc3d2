# SPDX-License-Identifier: Apache-2.0
"""A host with ten nexuses of all backends starts while the array is not there yet: the saved LIO
configuration, tcmu-runner, multipathd and open-iscsi come up in the order of their units, and in others.
Every nexus is there at once with what it remembers, and is well when its LUN has come; nothing on the
LUNs has changed.

The LUNs are LIO's in another machine: six in one session of open-iscsi, two by multipath maps in two
more, two by the iscsi backend in sessions of their own. The host exports its backstores by tcm_loop, which makes disks with the LUNs'
own identity, so that udev's links by identity would turn to those: RULES name the LUNs by their path.
"""

import itertools
import json
import os
from dataclasses import dataclass

import pytest
from rig import initiator, pr
from rig.lio import Lio, naa
from rig.prmig import Prmig
from rig.process import wait_until

FULL = os.environ.get("PRMIG_FULL") == "1"
IQN = "iqn.2026-11.org.example:array"
HOST = "iqn.2026-11.org.example:host"
RULES = "/etc/udev/rules.d/65-luns.rules"
KEY, STRANGER_KEY = 0xABCD0, 0x5757
SIZE = 8 << 20
UNITS = (
    "multipathd.service",
    "open-iscsi.service",
    "tcmu-runner.service",
    "rtslib-fb-targetctl.service",
)
# The two paths of the maps, each an initiator of its own name.
PATHS = [f"{HOST}:path{n}" for n in range(2)]
# A disk with one path alone is no map.
MULTIPATH_CONF = """
defaults {
    find_multipaths yes
    polling_interval 1
    max_polling_interval 1
}
blacklist {
    devnode "^vd"
    protocol "scsi:unspec"
}
"""
REMEMBERED = "Backend State Key Holder Type Ptpl Fenced HandoverId Group Lun".split()


@dataclass
class Kind:
    """What the guest of a nexus is on its LUN."""

    name: str
    type: int = 0  # of the reservation that it holds
    registered: bool = True
    incoming: bool = False
    exported: bool = False
    fenced: bool = False
    aptpl: bool = False
    backend: str = "sg"


KINDS = [
    Kind("waits", registered=False, incoming=True),
    Kind("registered"),
    *(Kind(f"holder.{kind}", kind) for kind in (1, 6)),
    *(Kind(f"holder.{kind}", kind, backend="multipath") for kind in (5, 7)),
    Kind("holder.3", 3, backend="iscsi"),
    Kind("holder.8", 8, backend="iscsi"),
    Kind("left", 5, exported=True, aptpl=True),
    Kind("fenced", 5, fenced=True),
]


class World:
    """The array, the host, and what was there before."""

    def __init__(self, array, host, deb):
        self.array, self.host = Lio(array), host
        self.prmig = Prmig(host, deb)
        self.strangers = []
        for number, kind in enumerate(KINDS):
            lun = self.array.fileio(f"lun{number}", SIZE)
            names = {"sg": [HOST], "multipath": PATHS}.get(kind.backend)
            if kind.backend == "iscsi":
                names = [who] = [f"{HOST}:{kind.name}"]
                host.put_data(
                    f"[lun]\nbackend=iscsi\nportal={host.OUTSIDE}:{array.ports[3260]}\n"
                    f"target={IQN}\nlun={number}\ninitiator={who}\n",
                    f"/etc/prmig/{kind.name}.conf",
                    mode="600",
                )
            for who in names:
                self.array.iscsi_acl(IQN, who, lun, number)
            self.strangers.append(self.array.loopback(lun, f"stranger{number}").sg)
        rules = "".join(
            f'SUBSYSTEM=="block", ENV{{DEVTYPE}}=="disk", ENV{{ID_PATH}}=="*-iscsi-{IQN}-lun-{n}", '
            f'SYMLINK+="lun{n}"\n'
            for n in range(len(KINDS))
        )
        host.put_data(rules, RULES)
        host.put_data(MULTIPATH_CONF, "/etc/multipath.conf")
        host.run(
            """set -e
            rm /etc/udev/rules.d/*-multipath.rules
            udevadm control --reload
            modprobe dm_multipath
            systemctl -q unmask multipathd.service multipathd.socket
            systemctl -q enable --now multipathd.service
            """
        )
        initiator.login(host, HOST, host.OUTSIDE, array.ports[3260], IQN, 0)
        for who in PATHS:
            number = next(n for n, kind in enumerate(KINDS) if kind.backend == "multipath")
            initiator.login(host, who, host.OUTSIDE, array.ports[3260], IQN, number, second=True)
        self.maps = {
            number: self.map_of(number)
            for number, kind in enumerate(KINDS)
            if kind.backend == "multipath"
        }
        # A login that fails is given up after 15 s, in place of 120.
        host.run(
            f"""set -e
            iscsiadm -m node -T {IQN} -o update -n node.startup -v automatic
            iscsiadm -m node -T {IQN} -o update -n node.session.initial_login_retry_max -v 1
            systemctl -q unmask open-iscsi.service
            systemctl -q enable open-iscsi.service
            """
        )
        self._create()
        self.before = self.remembered()
        self.on_the_luns = self.look()
        host.run("targetcli saveconfig")

    def map_of(self, number):
        """The multipath map of the LUN of that number, when both its paths are there."""
        found = self.host.wait_for(
            f"""for dm in /sys/block/dm-*; do
                set -- $dm/slaves/*
                [ $# = {len(PATHS)} ] && [ -e $1/device ] || continue
                case $(readlink -f $1/device) in
                *:{number}) echo /dev/mapper/$(cat $dm/dm/name); exit 0;;
                esac
            done
            exit 1""",
            60,
            f"a map of LUN {number}",
        )
        return found.stdout.strip()

    def lun(self, number):
        """In the cfgstring."""
        kind = KINDS[number]
        return {"sg": f"/dev/lun{number}", "iscsi": kind.name}.get(
            kind.backend, self.maps.get(number)
        )

    def _create(self):
        """All at once: a command in the machine takes its time."""
        script = ["set -e; cd /sys/kernel/config/target; modprobe tcm_loop"]
        for number, kind in enumerate(KINDS):
            options = ";incoming=on" if kind.incoming else ""
            loop = f"loopback/{naa(kind.name)}"
            script.append(
                f"""
                mkdir -p core/user_{number}/{kind.name}
                echo 'dev_config=prmig/{self.lun(number)};group=g{number}{options}' \
                    >core/user_{number}/{kind.name}/control
                echo dev_size={SIZE} >core/user_{number}/{kind.name}/control
                echo 1 >core/user_{number}/{kind.name}/enable
                mkdir -p {loop}/tpgt_1
                echo {naa("initiator " + kind.name)} >{loop}/tpgt_1/nexus
                mkdir {loop}/tpgt_1/lun/lun_0
                ln -s $PWD/core/user_{number}/{kind.name} {loop}/tpgt_1/lun/lun_0/port
                """
            )
        self.host.run("\n".join(script))
        for (number, kind), sg in zip(enumerate(KINDS), self.fronts()):
            if not kind.registered:
                continue
            assert pr.register(self.host, sg, KEY + number, aptpl=kind.aptpl).ok
            if kind.type:
                assert pr.reserve(self.host, sg, KEY + number, kind.type).ok
            if kind.exported:
                self.prmig.export(kind.name)
            if kind.fenced:
                vm, stranger = self.array.vm, self.strangers[number]
                assert pr.register(vm, stranger, STRANGER_KEY).ok
                assert pr.preempt(vm, stranger, STRANGER_KEY, KEY + number, kind.type).ok
                wait_until(lambda: self.prmig.get(kind.name, "Fenced"), 30, "fenced")

    def properties(self):
        """Of all nexuses that are open: {name: {property: value}}."""
        done = self.host.run(
            "busctl --json=short call org.prmig1 /org/prmig1 org.freedesktop.DBus.ObjectManager "
            "GetManagedObjects"
        )
        objects = json.loads(done.stdout)["data"][0].values()
        found = [one["org.prmig1.Nexus"] for one in objects if "org.prmig1.Nexus" in one]
        return {
            one["Name"]["data"]: {word: value["data"] for word, value in one.items()}
            for one in found
        }

    def remembered(self):
        return {
            name: {word: found[word] for word in REMEMBERED}
            for name, found in self.properties().items()
        }

    def look(self):
        """(keys, reservation) of each LUN: not the generation, which prmig's own REGISTER moves."""
        command = "sg_persist --no-inquiry --in --read-{} {}"
        done = self.array.vm.run(
            "; ".join(
                f"{command.format(what, sg)}; echo --"
                for sg in self.strangers
                for what in ("keys", "reservation")
            )
        )
        parts = done.stdout.split("--\n")
        return [
            (sorted(pr.parse_keys(keys)[1]), pr.parse_reservation(reservation))
            for keys, reservation in zip(parts[0::2], parts[1::2])
        ]

    # The array

    def array_goes(self):
        """Its port answers no more, and its sessions end; what is registered stays."""
        self.array.vm.run(
            f"cd /sys/kernel/config/target/iscsi/{IQN}/tpgt_1; echo 0 >enable; rmdir np/*"
        )

    def array_comes(self):
        self.array.vm.run(
            f"cd /sys/kernel/config/target/iscsi/{IQN}/tpgt_1; mkdir np/0.0.0.0:3260; echo 1 >enable"
        )

    # The host

    def stop(self):
        """As a shutdown does, in its order."""
        for unit in reversed(UNITS):
            self.host.run(f"systemctl stop {unit}", timeout=120)

    def expect_waiting(self):
        """All are there, with what they remember, and say what is missing."""
        found = self.properties()
        assert self.remembered() == self.before
        for number, kind in enumerate(KINDS):
            missing = IQN if kind.backend == "iscsi" else f"{self.lun(number)} is not there"
            assert missing in found[kind.name]["Failure"]

    def expect_well(self):
        """All have their LUN; what is registered, held and remembered is as before, and guests write."""

        def well():
            found = self.properties()
            return len(found) == len(KINDS) and not any(one["Failure"] for one in found.values())

        wait_until(
            well,
            60,
            lambda: f"all are well: { {n: p['Failure'] for n, p in self.properties().items()} }",
        )
        assert self.remembered() == self.before
        assert self.look() == self.on_the_luns
        for kind, sg in zip(KINDS, self.fronts()):
            if kind.incoming or kind.exported:
                continue
            statuses = [pr.write(self.host, sg, text=kind.name).status]
            while statuses[-1] == pr.UNIT_ATTENTION and len(statuses) < 4:
                statuses.append(pr.write(self.host, sg, text=kind.name).status)
            wanted = pr.RESERVATION_CONFLICT if kind.fenced else pr.GOOD
            assert statuses[-1] == wanted, f"{kind.name}: {statuses}"
        files = self.host.run("ls /var/lib/prmig/nexus").stdout.split()
        assert sorted(files) == sorted(kind.name for kind in KINDS)

    def fronts(self):
        """The guests' sg nodes. A tcm_loop disk whose LUN was not there when it was made is not there
        either, until it is looked for again."""
        script = ["set -e; cd /sys/kernel/config/target/loopback"]
        for kind in KINDS:
            script.append(
                f"a=$(cat {naa(kind.name)}/tpgt_1/address); set -- $(echo $a | tr : ' '); "
                "echo '- - -' >/sys/class/scsi_host/host$1/scan; "
                "echo /dev/$(ls /sys/class/scsi_device/$1:$2:$3:0/device/scsi_generic)"
            )
        found = self.host.run("\n".join(script)).stdout.split()
        self.host.run("udevadm settle")
        return found


@pytest.fixture(scope="module")
def world(rig, deb):
    array, host = rig.vm("array", forward=[3260]), rig.vm("host")
    rig.boot(array, host)
    return World(array, host, deb)


def test_host_starts_before_the_array(world):
    """A reboot: the order is that of the units."""
    world.host.shutdown()
    world.array_goes()
    world.host.boot()
    world.prmig.wait_bus()
    world.expect_waiting()
    world.array_comes()
    world.host.run("systemctl start open-iscsi.service")
    world.expect_well()


def test_array_goes_and_comes(world):
    """Everything runs all the while: open-iscsi logs in again by itself."""
    world.array_goes()
    world.array_comes()
    world.expect_well()


# The indices of UNITS. What needs tcmu-runner brings it up.
ORDERS = list(itertools.permutations(range(4))) if FULL else [(3, 2, 1, 0), (2, 3, 0, 1)]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_started_by_hand(world, order):
    world.stop()
    for number in order:
        world.host.run(f"systemctl start {UNITS[number]}", timeout=120)
    world.expect_well()
