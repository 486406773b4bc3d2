# SPDX-License-Identifier: Apache-2.0
"""A host with ten nexuses starts while the array is not there yet: the saved LIO configuration,
tcmu-runner and open-iscsi come up in the order of their units, and in others. Every nexus is there
at once with what it remembers, and is well when its LUN has come; nothing on the LUNs has changed.

The LUNs are LIO's in another machine: eight in one session of open-iscsi, two by the iscsi backend in
sessions of their own. The host exports its backstores by tcm_loop, which makes disks with the LUNs'
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
UNITS = ("open-iscsi.service", "tcmu-runner.service", "rtslib-fb-targetctl.service")
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

    def lun(self, number):
        """In the cfgstring."""
        return f"/dev/lun{number}" if self.backend == "sg" else self.name


KINDS = [
    Kind("waits", registered=False, incoming=True),
    Kind("registered"),
    *(Kind(f"holder.{kind}", kind) for kind in (1, 5, 6, 7)),
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
            who = HOST
            if kind.backend == "iscsi":
                who = f"{HOST}:{kind.name}"
                host.put_data(
                    f"[lun]\nbackend=iscsi\nportal={host.OUTSIDE}:{array.ports[3260]}\n"
                    f"target={IQN}\nlun={number}\ninitiator={who}\n",
                    f"/etc/prmig/{kind.name}.conf",
                    mode="600",
                )
            self.array.iscsi_acl(IQN, who, lun, number)
            self.strangers.append(self.array.loopback(lun, f"stranger{number}").sg)
        rules = "".join(
            f'SUBSYSTEM=="block", ENV{{DEVTYPE}}=="disk", ENV{{ID_PATH}}=="*-iscsi-{IQN}-lun-{n}", '
            f'SYMLINK+="lun{n}"\n'
            for n in range(len(KINDS))
        )
        host.put_data(rules, RULES)
        host.run("udevadm control --reload")
        initiator.login(host, HOST, host.OUTSIDE, array.ports[3260], IQN, 0)
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

    def _create(self):
        """All at once: a command in the machine takes its time."""
        script = ["set -e; cd /sys/kernel/config/target; modprobe tcm_loop"]
        for number, kind in enumerate(KINDS):
            options = ";incoming=on" if kind.incoming else ""
            loop = f"loopback/{naa(kind.name)}"
            script.append(
                f"""
                mkdir -p core/user_{number}/{kind.name}
                echo 'dev_config=prmig/{kind.lun(number)};group=g{number}{options}' \
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
            missing = f"/dev/lun{number} is not there" if kind.backend == "sg" else IQN
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


# Indices of UNITS. The saved configuration before the daemon, too: who starts the one starts the other first.
ORDERS = list(itertools.permutations(range(3))) if FULL else [(2, 1, 0), (1, 2, 0)]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_started_by_hand(world, order):
    world.stop()
    for number in order:
        world.host.run(f"systemctl start {UNITS[number]}", timeout=120)
    world.expect_well()
