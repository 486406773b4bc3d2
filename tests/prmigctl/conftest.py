# SPDX-License-Identifier: Apache-2.0
"""pytest's set-up of prmigctl's tests."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "scripts")]
sys.dont_write_bytecode = True

from world import World  # noqa: E402  (the line above makes it importable)


@pytest.fixture(scope="session")
def _world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("world"))
    yield world
    world.close()


@pytest.fixture
def world(_world):
    _world.reset()
    return _world
