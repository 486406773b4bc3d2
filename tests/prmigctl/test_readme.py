# SPDX-License-Identifier: Apache-2.0
"""The lines of README.md's section on prmigctl, run as they stand there."""

import os
import re
import subprocess

from world import PRMIGCTL, SOURCE_ROOT

README = (SOURCE_ROOT / "README.md").read_text(encoding="utf-8")


def blocks():
    section = re.search(r"^## prmigctl\n(.*?)^## ", README, re.MULTILINE | re.DOTALL).group(1)
    found = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    return [[line.strip() for line in block.splitlines()] for block in found]


def shell(world, line):
    """A line in a shell where prmigctl is installed and ssh leads to the other host."""
    tools = world.folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "prmigctl").unlink(missing_ok=True)
    (tools / "prmigctl").symlink_to(PRMIGCTL)
    ssh = tools / "ssh"
    ssh.write_text(
        "#!/bin/sh\n"
        '[ "$*" = "-xT -o ServerAliveInterval=10 -- dest systemd-stdio-bridge" ] || exit 9\n'
        f"exec {world.transport()}\n"
    )
    ssh.chmod(0o755)
    environment = world.environment()
    environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    line = line.replace("/run/vm1.qmp", str(world.folder / "qmp"))
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], env=environment, text=True, capture_output=True
    )
    print(f"--- {line}: {done.returncode}\n{done.stdout}{done.stderr}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_lines_of_the_readme(world):
    looking, resuming, steps = blocks()
    assert len(looking) == 4 and len(resuming) == 1 and len(steps) == 3
    listed, shown, checked, migrated = (shell(world, line) for line in looking)
    assert "vm1" in listed and "0xabcd1" in listed
    assert "holds the reservation" in shown
    assert checked == ""
    assert "done: the guest runs at dest" in migrated
    world.expect_moved()
    assert "no migration of 'vm1'" in shell(world, resuming[0])

    world.reset()
    shell(world, steps[0])
    assert world.nexuses["there"][0].state == "active"
    shell(world, steps[1])
    world.qemu.there, world.qemu.runs_here = "running", False
    world.expect_moved()
    world.reset()
    shell(world, "prmigctl export vm1")
    shell(world, steps[2])
    world.expect_here()
