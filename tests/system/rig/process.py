# SPDX-License-Identifier: Apache-2.0
"""Processes that cannot outlive the test run, and waiting with a deadline."""

import ctypes
import signal
import subprocess
import time

from .errors import RigTimeout

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def start_bound(argv, **options):
    """Start a process that the kernel kills when this one ends, however it ends.

    The kernel goes by the *thread* that started it: call this from the main
    thread, or from one that lives as long as the process is wanted.
    """
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(
        argv, preexec_fn=_die_with_parent, start_new_session=True, **options
    )


def end(process, seconds=5):
    """End a process of start_bound(): SIGTERM, then SIGKILL."""
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(condition, seconds, what, interval=0.1):
    """Wait until condition() is true and return what it returned.

    Raises RigTimeout naming `what` (a text, or a function that makes it) when
    it was not true within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            text = what() if callable(what) else what
            raise RigTimeout(f"not within {seconds} s: {text}")
        time.sleep(interval)
