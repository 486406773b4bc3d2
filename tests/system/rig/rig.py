# SPDX-License-Identifier: Apache-2.0
"""The rig: its folder, the image, and the machines that run in it."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import tgtd
from .errors import RigError
from .machine import VM

SOURCE_ROOT = Path(__file__).resolve().parents[3]

# What the outer machine needs beside what scripts/vm-image installs.
PACKAGES = ["qemu-system-x86", "qemu-utils", "openssh-client", "tgt", "gcc", "libc6-dev"]


_PREFIX = "prmig-rig."


class Rig:
    """Owns machines and daemons; `with Rig() as rig:` ends them all.

    keep: leave the folder with console logs and overlays behind. By default
    it is kept only if the block that the rig was used in failed.
    """

    def __init__(self, keep=False, quiet=False):
        self._keep = keep or bool(os.environ.get("PRMIG_KEEP"))
        self._quiet = quiet
        self._owned = []
        self.install_needed()
        self.image = self._make_image()
        self._sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        (self.folder / "owner").write_text(str(os.getpid()))

    @staticmethod
    def _sweep():
        """Remove the folders of rigs that were killed."""
        for owner in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/owner"):
            try:
                if not os.path.exists(f"/proc/{owner.read_text()}"):
                    shutil.rmtree(owner.parent, ignore_errors=True)
            except FileNotFoundError:
                pass  # its rig has just ended

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close(failed=kind is not None and issubclass(kind, Exception))

    def close(self, failed=False):
        """End everything that runs. The logs stay if failed."""
        for owned in reversed(self._owned):
            owned.kill()
        self._owned.clear()
        if failed or self._keep:
            (self.folder / "owner").unlink()
            print(f"rig: logs and disks are kept in {self.folder}", file=sys.stderr, flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def say(self, text):
        if not self._quiet:
            print(f"rig: {text}", file=sys.stderr, flush=True)

    @staticmethod
    def install_needed():
        """Install what the outer machine lacks of PACKAGES."""
        done = subprocess.run([SOURCE_ROOT / "scripts/ensure-packages", *PACKAGES], check=False)
        if done.returncode:
            raise RigError("packages are missing, and could not be installed")

    @staticmethod
    def _make_image():
        with subprocess.Popen(
            [SOURCE_ROOT / "scripts/vm-image"], stdout=subprocess.PIPE, text=True
        ) as maker:
            try:
                output, _ = maker.communicate()
            except BaseException:
                maker.terminate()  # it cleans up behind itself
                raise
        if maker.returncode:
            raise RigError("scripts/vm-image failed")
        return Path(output.strip().splitlines()[-1])

    def vm(self, name, **options):
        """A machine that is off. Options: see VM."""
        vm = VM(name, self.image, self.folder / name, **options)
        self._owned.append(vm)
        return vm

    def boot(self, *vms, seconds=240):
        """Boot machines side by side and wait until each is up."""
        start = time.monotonic()
        for vm in vms:
            vm.start()
        for vm in vms:
            vm.wait_ready(seconds)
        names = ", ".join(vm.name for vm in vms)
        self.say(f"{names}: up after {time.monotonic() - start:.0f} s")

    def tgtd(self, size="64M"):
        """A tgtd on this machine's loopback with one LUN. See tgtd.Tgtd."""
        daemon = tgtd.Tgtd(self.folder, size)
        self._owned.append(daemon)
        return daemon
