# SPDX-License-Identifier: Apache-2.0
"""pytest's set-up of the system tests: the rig, and the package under test."""

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


@pytest.fixture(scope="module")
def rig(request):
    """A rig for the tests of one module. Its logs stay if one of them failed."""
    failed = request.session.testsfailed
    machines = Rig()
    yield machines
    machines.close(failed=request.session.testsfailed > failed)
