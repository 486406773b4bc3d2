# SPDX-License-Identifier: Apache-2.0
"""pytest's set-up of the system tests: the rig, and the package under test."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from rig import Rig  # noqa: E402  (the line above makes it importable)

SOURCE_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def deb():
    """The prmig package, built once for all tests."""
    done = subprocess.run(
        [SOURCE_ROOT / "scripts/build-deb"], stdout=subprocess.PIPE, text=True, check=True
    )
    return Path(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="session")
def points_handler(deb):  # pylint: disable=unused-argument  # it has installed what a build needs
    """The handler with the named points of handler/points.h built in, which is
    no package's: for the machines of a test that kills the daemon there."""
    tree = SOURCE_ROOT / "build/points"
    tree.mkdir(exist_ok=True)
    configure = ["cmake", "-S", SOURCE_ROOT, "-B", tree, "-G", "Ninja", "-DPRMIG_POINTS=ON"]
    configure += ["-DPRMIG_TESTS=OFF", "-DPRMIG_WERROR=OFF"]
    with open(tree / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (configure, ["ninja", "-C", tree, "handler_prmig"]):
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
            assert done.returncode == 0, done.stdout[-3000:]
    return tree / "handler_prmig.so"


@pytest.fixture(scope="module")
def rig(request):
    """A rig for the tests of one module. Its logs stay if one of them failed."""
    failed = request.session.testsfailed
    machines = Rig()
    yield machines
    machines.close(failed=request.session.testsfailed > failed)
