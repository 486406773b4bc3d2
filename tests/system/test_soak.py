# SPDX-License-Identifier: Apache-2.0
"""Hand-overs forth and back on a real LUN, while fio writes and verifies through
the side where the guest is and a stranger tries to write: see inside/soak.py.

30 of them; PRMIG_FULL=1: 1,000; PRMIG_SOAK: as many as it says.
"""

import json
import os

from conftest import SOURCE_ROOT
from rig.lio import Lio
from rig.prmig import Prmig

COUNT = int(os.environ.get("PRMIG_SOAK", 1000 if os.environ.get("PRMIG_FULL") == "1" else 30))
KEY = 0x50AC
# In the second half, where it stands still but for steps of 2 MiB, up or down, by which the C library
# takes an arena or gives it back.
GROWTH_KIB = 3072


def test_soak(rig, deb):
    vm = rig.vm("soak")
    rig.boot(vm)
    lio = Lio(vm)
    vm.run("modprobe dm_mod")
    *nexuses, stranger = lio.shared_lun("array", "64M", nexuses=3)
    prmig = Prmig(vm, deb)
    sides = []
    for name, nexus in zip(("one", "two"), nexuses):
        options = {"incoming": "on"} if sides else {}
        backstore = prmig.create(name, nexus.disk, **options)
        sides.append((name, lio.loopback(backstore).disk))
    for script in ("scsi.py", "stranger.py", "soak.py"):
        vm.put(SOURCE_ROOT / "tests/system/inside" / script, f"/root/{script}")
    options = {
        "count": COUNT,
        "key": KEY,
        "sides": sides,
        "lun": stranger.disk,
        "stranger": stranger.sg,
    }
    done = vm.run(["python3", "/root/soak.py", json.dumps(options)], check=False, timeout=7200)
    log = vm.get("/var/log/tcmu-runner.log")
    assert done.stdout, f"{done.stderr}\n{log[-3000:]}"
    found = json.loads(done.lines[-1])
    print(json.dumps(found, indent=1))
    assert found["failure"] == "", log[-3000:]
    assert found["fio_errors"] == [], log[-3000:]
    assert found["done"] == COUNT
    before, after = found["before"], found["after"]
    print(
        f"soak: {found['done']} hand-overs, {found['done'] / found['seconds']:.1f} a second "
        f"(median of Export and Import {found['median_ms']:.0f} ms), {found['held']} with writes "
        f"held at the gate; fio wrote and verified {found['fio_runs']} times; the stranger was "
        f"refused {found['refused']} times; memory "
        f"{after['anonymous_kib'] - before['anonymous_kib']:+} KiB"
    )

    assert found["held"] > 0
    assert found["fio_runs"] > 0
    assert found["taken"] == 0
    assert found["others"] == {}
    assert found["refused"] > COUNT
    assert found["keys"] == [KEY]
    assert found["reservation"] == [KEY, 5]
    assert found["states"][found["at"]] == ["active", KEY, False, ""]
    assert after["anonymous_kib"] - before["anonymous_kib"] < GROWTH_KIB
    for what in ("pid", "threads", "descriptors", "files"):
        assert after[what] == before[what], what
