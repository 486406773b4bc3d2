# SPDX-License-Identifier: Apache-2.0
"""The checklist of persistent reservations, asked of five LUNs: docs/conformance.md is what they answered.

    engine      a regular file: prmig decides on reservations itself
    lio, tgtd   LIO's LUN and tgtd's, bare
    lio+prmig, tgtd+prmig   such a LUN through prmig, which logs in to it under a name for each nexus

Three things are asserted: what the five answer is what the table in docs says, to the letter; through prmig
it is what the bare LUN answers, but for what conformance/differences explains (and that is seen); and the engine
answers what is expected in every case. To write the table anew, after a look at the difference:

    PRMIG_WRITE_TABLE=1 /usr/bin/python3 -m pytest tests/system/test_conformance.py

The cases are in conformance/cases. The initiator is this machine's: a command takes a millisecond so.
"""

import difflib
import os
from pathlib import Path

import pytest
from conformance.columns import Answered, Outcome, ask, ask_commands, without_generation
from conformance.initiator import Initiator
from conformance.language import Case, matches, read_cases
from conformance.steps import NAMES, Scene
from conformance.table import TITLES, Differences, render
from rig.prmig import Prmig
from rig.process import wait_until

TABLE = Path(__file__).resolve().parents[2] / "docs/conformance.md"
DOMAIN = "iqn.2026-11.org.example"
WHO = {letter: f"{DOMAIN}:{letter.lower()}" for letter in NAMES}
HOST = {letter: f"{DOMAIN}:host-{letter.lower()}" for letter in NAMES}
LOOKER = f"{DOMAIN}:looker"
FOLDER = "/var/lib/conformance"
MIB = 16


def iqn(name):
    return f"{DOMAIN}:{name.replace('+', '-')}"


class Stage:
    """A machine with LIO's LUNs and prmig, and tgtd on the outer one."""

    def __init__(self, rig, deb):
        self.vm = rig.vm("luns", forward=[3260])
        rig.boot(self.vm)
        self._prepare()
        self.prmig = Prmig(self.vm, deb)
        self.lio = self.prmig.lio
        self._tgtd = {name: rig.tgtd() for name in ("tgtd", "tgtd+prmig")}

    def _prepare(self):
        """A file system whose disk can be made to stand still; prmig's own files in memory, which a slow
        disk would make most of the time; nothing of prmig's own without a cause."""
        self.vm.run(
            f"""set -e
            modprobe -a dm_mod loop ext4 iscsi_target_mod
            mkdir -p {FOLDER} /var/lib/prmig /etc/prmig; chmod 700 /var/lib/prmig
            truncate -s 96M {FOLDER}.img
            loop=$(losetup --show -f {FOLDER}.img)
            dmsetup create conformance --table "0 $((96 * 2048)) linear $loop 0"
            mke2fs -q -t ext4 /dev/mapper/conformance
            mount /dev/mapper/conformance {FOLDER}
            mount -t tmpfs -o size=16M,mode=700 tmpfs /var/lib/prmig
            printf '[prmig]\\nresync-interval=0\\n' >/etc/prmig/prmig.conf
            """
        )

    # The LUNs

    @property
    def portal(self):
        return "127.0.0.1", self.vm.ports[3260]

    def _lio_lun(self, name):
        """A LUN of LIO for four nexuses and the one that looks, as APTPL has kept it."""
        target = iqn(name)
        backstore = self.lio.fileio(name.replace("+", "-"), f"{MIB}M", f"{FOLDER}/{name}.img")
        # What rtslib does when it restores a configuration.
        self.vm.run(
            f"""cd {backstore.path}; kept=$(cat /sys/kernel/config/target/dbroot)/pr/aptpl_$(
                sed 's/.*: //' wwn/vpd_unit_serial)
            [ -e $kept ] || exit 0
            awk '/PR_REG_START/ {{ text = "" }} /=/ {{ text = text $0 "," }}
                /PR_REG_END/ {{ print substr(text, 1, length(text) - 1) }}' $kept |
            while read -r line; do printf %s "$line" >pr/res_aptpl_metadata; done
            """
        )
        for who in [LOOKER, *(HOST if "+" in name else WHO).values()]:
            self.lio.iscsi_acl(target, who, backstore)
        self._wait_for_us(target, [LOOKER] if "+" in name else [LOOKER, *WHO.values()])
        if name == "lio":
            self.lio.iscsi_acl(iqn("lio-second"), WHO["A"], backstore)

    def _nexuses(self, portal, target, lun):
        return {letter: Initiator(who, portal, target, lun) for letter, who in WHO.items()}

    def _wait_for_us(self, target, whos):
        """The target does not ask whether these are there: we answer when we have a command."""
        self.vm.run(
            f"""cd /sys/kernel/config/target/iscsi/{target}/tpgt_1/acls
            for who in {' '.join(whos)}; do echo 0 >$who/attrib/nopin_timeout; done"""
        )

    def _front(self, name, luns):
        """A prmig backstore for each of these initiators: {name of the initiator: (backstore, LUN)}."""
        script = ["set -e; cd /sys/kernel/config/target/core"]
        for backstore, lun in luns.values():
            script.append(
                f"""
                n=0; while [ -d user_$n ]; do n=$((n + 1)); done
                mkdir -p user_$n/{backstore}
                echo 'dev_config=prmig/{lun}' >user_$n/{backstore}/control
                echo dev_size={MIB << 20} >user_$n/{backstore}/control
                echo 1 >user_$n/{backstore}/enable
                """
            )
        self.vm.run("\n".join(script))
        for who, (backstore, _) in luns.items():
            self.lio.iscsi_acl(iqn(f"front-{name}"), who, self.lio.backstore(backstore))
        self._wait_for_us(iqn(f"front-{name}"), luns)

    def _through(self, name, inside, outside, target, lun):
        """A Scene on a LUN through prmig. inside, outside: how the LUN is reached from the machine, and
        from here."""
        short = name.partition("+")[0]
        luns = {}
        for letter in NAMES:
            lun_name = f"{short}-{letter.lower()}"
            self.vm.put_data(
                f"[lun]\nbackend=iscsi\nportal={inside}\ntarget={target}\nlun={lun}\n"
                f"initiator={HOST[letter]}\n",
                f"/etc/prmig/{lun_name}.conf",
                mode="600",
            )
            luns[WHO[letter]] = f"on-{lun_name}", lun_name
        self._front(name, luns)
        scene = Scene(
            self._nexuses(self.portal, iqn(f"front-{name}"), 0),
            Initiator(LOOKER, outside, target, lun),
            through=True,
        )
        self._give_actions(name, scene)
        return scene

    def scenes(self, name):
        """The Scene on one of the five LUNs, and the one for REGISTER AND MOVE: the engine's nexuses are
        not offered it unless they stay where they are, as the guests of any LUN."""
        scene = self._scene(name)
        if name != "engine":
            return scene, scene
        return scene, self._engine("stays", ";migrate-pr=off")

    def _scene(self, name):
        if name == "engine":
            return self._engine(name)
        if name.startswith("tgtd"):
            daemon = self._tgtd[name]
            outside, target, lun = ("127.0.0.1", daemon.port), daemon.IQN, daemon.LUN
            inside = f"{self.vm.OUTSIDE}:{daemon.port}"
        else:
            self._lio_lun(name)
            outside, target, lun = self.portal, iqn(name), 0
            inside = "127.0.0.1:3260"
        if "+" in name:
            return self._through(name, inside, outside, target, lun)
        nexuses = self._nexuses(outside, target, lun)
        looker = Initiator(LOOKER, outside, target, lun)
        scene = Scene(nexuses, looker)
        self._give_actions(name, scene)
        return scene

    def _engine(self, name, options=""):
        """Five nexuses on a regular file; that the fifth looks is all that it does."""
        path = f"{FOLDER}/{name}.img"
        self.vm.run(f"truncate -s {MIB}M {path}")
        whos = {**WHO, "looker": LOOKER}
        self._front(
            name, {who: (f"{name}-{letter.lower()}", path + options) for letter, who in whos.items()}
        )
        target = iqn(f"front-{name}")
        scene = Scene(
            self._nexuses(self.portal, target, 0),
            Initiator(LOOKER, self.portal, target),
            through=True,
        )
        self._give_actions("engine", scene)
        scene.actions |= {
            "unwritable": lambda: self.vm.run(
                "dd if=/dev/zero of=/var/lib/prmig/fill bs=4k status=none", check=False
            ),
            "writable": lambda: self.vm.run("rm /var/lib/prmig/fill"),
            "restart": self._restart_prmig,
        }
        return scene

    def _restart_prmig(self):
        """The daemon, as after a power failure of its host: killed, and the host's boot is another."""
        self.vm.run(
            f"""set -e
            cat /proc/sys/kernel/random/uuid >/run/boot_id
            mountpoint -q /proc/sys/kernel/random/boot_id ||
                mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
            kill -9 {self.prmig.daemon_pid()}
            """
        )
        self.prmig.wait_bus()
        for letter in [*NAMES, "looker"]:
            self.prmig.wait_open(f"engine-{letter.lower()}")

    # What the lines "@..." of the cases do

    UNDO = {"freeze": "thaw", "unwritable": "writable", "second-port": "first-port"}

    def _give_actions(self, name, scene):
        scene.undo = self.UNDO
        scene.actions = {
            "freeze": lambda: self.vm.run("dmsetup suspend --nolockfs conformance"),
            "thaw": lambda: self.vm.run("dmsetup resume conformance"),
            "stuck": self._wait_stuck,
            "gone": lambda key: wait_until(
                lambda: key not in scene.keys(), 60, f"{name}: key {key} is gone"
            ),
        }
        if name.startswith("lio"):
            scene.actions |= {
                "unwritable": lambda: self.lio.pr_folder(False),
                "writable": self.lio.pr_folder,
                "restart": lambda: self._restart_lio(name, scene),
            }
        if name == "lio":
            first = scene.nexuses["B"]
            scene.actions |= {
                "second-port": lambda: scene.nexuses.update(
                    B=Initiator(WHO["A"], self.portal, iqn("lio-second"))
                ),
                "first-port": lambda: scene.nexuses.update(B=first),
            }

    def _wait_stuck(self, count):
        """Until so many threads of the target wait for the disk."""
        self.vm.wait_for(
            f"""daemon=$(systemctl show -P MainPID tcmu-runner)
            [ $(ps -eLo pid,stat,comm | awk -v daemon=$daemon \
                '$2 ~ /^D/ && ($1 == daemon || $3 ~ /^iscsi_trx/)' | wc -l) = {count} ]""",
            60,
            f"{count} writes that are stuck",
        )

    def _restart_lio(self, name, scene):
        """The LUN's target, as after a power failure: only what APTPL has kept is left."""
        mine = [scene.looker] if scene.through else [scene.looker, *scene.nexuses.values()]
        for nexus in mine:
            nexus.drop()
        self.lio.remove_iscsi(iqn(name))
        if name == "lio":
            self.lio.remove_iscsi(iqn("lio-second"))
        self.lio.remove_backstore(self.lio.backstore(name.replace("+", "-")))
        self._lio_lun(name)
        for nexus in mine:
            nexus.login()
        if scene.through:
            for letter in NAMES:
                self.prmig.wait_open(f"on-lio-{letter.lower()}")


def test_the_checks_go_both_ways():
    """What is not expected is no match, an unexplained difference fails, and so does an explanation of none."""
    assert matches("GOOD +1, keys a", "GOOD +1, keys a") and matches("CF", "CC UA5 | CF")
    assert not matches("GOOD +1, keys a, A UA5", "GOOD +1, keys a") and not matches("CC 5/26/00", "CC")
    assert matches("CC 5/26/00", "CC 5/*") and not matches("CC 5/26/00, keys a", "CC 5/*")
    assert matches("GOOD, A UA5, B UA4", "GOOD**")
    listed = Differences()
    seen = {(lun, case) for lun, case, _ in listed.lines}
    assert listed.check(seen) == []
    assert len(listed.check(seen | {("lio+prmig", "9")})) == 1
    assert len(listed.check(seen - {("lio+prmig", "2")})) == 1
    step = [Answered({"t": "1"}, "GOOD", "GOOD"), Answered({"t": "3"}, "GOOD", "CF")]
    assert Outcome([step]).cell() == "**[1] GOOD; [3] CF**" and not Outcome([step]).right
    assert Outcome([step[:1]]).cell() == "=" and Outcome([step[:1]]).right


@pytest.fixture(scope="module")
def cases():
    return read_cases()


@pytest.fixture(scope="module")
def found(rig, deb, cases):
    """({lun: {case: Outcome}}, {lun: {command: cell}})"""
    stage = Stage(rig, deb)
    outcomes, commands = {}, {}
    for lun in TITLES:
        scene, scene_of_move = stage.scenes(lun)
        like = outcomes.get(lun.removesuffix("+prmig"), {})
        outcomes[lun] = {
            case.number: ask(
                scene_of_move if case.moves else scene, lun, case, like.get(case.number)
            )
            for case in sorted(cases, key=Case.turn)
        }
        commands[lun] = ask_commands(scene)
    for number, outcome in outcomes["tgtd+prmig"].items():
        without_generation(outcomes["tgtd"][number], outcome)
    return outcomes, commands


def test_table(cases, found):
    """The table in docs is what this run found."""
    text = render(cases, *found)
    if os.environ.get("PRMIG_WRITE_TABLE") == "1":
        TABLE.write_text(text, encoding="ascii")
    difference = difflib.unified_diff(
        TABLE.read_text(encoding="ascii").splitlines(), text.splitlines(), "docs", "found", "", "", 0, ""
    )
    text = "\n".join(difference)
    assert not text, text


def test_through_prmig(cases, found):
    """As the bare LUN answers, but for what has a reason; and every reason is seen."""
    outcomes, commands = found
    different = set()
    for lun in ("lio+prmig", "tgtd+prmig"):
        bare = lun.removesuffix("+prmig")
        for case in cases:
            cells = outcomes[bare][case.number], outcomes[lun][case.number]
            if not any(one.not_asked for one in cells) and cells[0].cell() != cells[1].cell():
                different.add((lun, case.number))
        different |= {
            (lun, name) for name, cell in commands[lun].items() if cell != commands[bare][name]
        }
    wrong = Differences().check(different)
    assert not wrong, "\n".join(wrong)


def test_engine(cases, found):
    """The engine answers what is expected, everywhere."""
    outcomes, commands = found
    wrong = [
        f"{case.number}: {outcomes['engine'][case.number].cell()}"
        for case in cases
        if not outcomes["engine"][case.number].right
    ]
    wrong += [f"{name}: {cell}" for name, cell in commands["engine"].items() if "**" in cell]
    assert not wrong, "\n".join(wrong)
