# SPDX-License-Identifier: Apache-2.0
"""The demo tells the truth: it passes by both fabrics, and fails without prmig."""

import subprocess

import pytest
from conftest import SOURCE_ROOT
from rig.process import start_bound


def run_demo(*options):
    with start_bound(
        [SOURCE_ROOT / "scripts/demo", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        try:
            output, _ = demo.communicate(timeout=1200)
        except BaseException:
            demo.terminate()
            raise
    print(output)
    return demo.returncode, output.split("== Verdict")[-1]


@pytest.mark.parametrize("fabric", ["iscsi", "vhost"])
def test_guest_keeps_its_reservation(fabric):
    status, verdict = run_demo("--fabric", fabric)
    assert status == 0
    assert f"PASSED: the guest moved by {fabric}" in verdict
    assert "FAIL" not in verdict


def test_without_prmig_the_guest_is_fenced():
    """The control: the demo's claims are ones that can be false."""
    status, verdict = run_demo("--without-prmig")
    assert status == 1
    assert "ok    before: the source host's port holds the reservation" in verdict
    assert "FAIL  after: the destination host's port holds the reservation" in verdict
    assert "FAIL  the guest saw no error" in verdict
