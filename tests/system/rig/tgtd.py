# SPDX-License-Identifier: Apache-2.0
"""tgtd on the outer machine: the LUN that offers the least.

Its registrations die with the iSCSI session; no READ FULL STATUS, no PREEMPT
AND ABORT, no APTPL; REGISTER AND MOVE without a reservation kills it.
"""

import os
import socket
import subprocess

from .errors import RigError
from .process import end, start_bound, wait_until


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Tgtd:
    """One tgtd with one target and one LUN (LUN 1; tgtd keeps 0 for itself).

    port: where it listens, on loopback; machines reach it at VM.OUTSIDE.
    """

    IQN = "iqn.2026-11.org.example:tgtd"
    LUN = 1

    def __init__(self, folder, size="64M"):
        os.makedirs("/var/run/tgtd", exist_ok=True)
        self.port = _free_port()
        # tgtadm finds its tgtd by a number below 32768.
        self._control = str(self.port % 32767 + 1)
        self._store = folder / f"tgtd-{self.port}.img"
        with open(folder / "tgtd.log", "ab") as log:
            self._process = start_bound(
                ["/usr/sbin/tgtd", "-f", "-C", self._control]
                + ["--iscsi", f"portal=127.0.0.1:{self.port}"],
                stdout=log,
                stderr=log,
            )
        subprocess.run(["truncate", "-s", size, self._store], check=True)
        wait_until(
            lambda: self._admin("--lld", "iscsi", "--op", "show", "--mode", "sys", check=False),
            20,
            "tgtd answers",
        )
        self._admin(*"--lld iscsi --op new --mode target --tid 1 -T".split(), self.IQN)
        self._admin(
            *"--lld iscsi --op new --mode logicalunit --tid 1 --lun 1 -b".split(), self._store
        )
        self._admin(*"--lld iscsi --op bind --mode target --tid 1 -I ALL".split())

    def _admin(self, *words, check=True):
        if self._process.poll() is not None:
            raise RigError(f"tgtd ended with status {self._process.returncode}")
        done = subprocess.run(
            ["tgtadm", "-C", self._control, *words], text=True, capture_output=True, check=False
        )
        if check and done.returncode:
            raise RigError(f"tgtadm {' '.join(map(str, words))}: {done.stderr}")
        return done.returncode == 0

    @property
    def running(self):
        return self._process.poll() is None

    def kill(self):
        end(self._process)
