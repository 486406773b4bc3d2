# SPDX-License-Identifier: Apache-2.0
"""What prmigctl prints: results, and what happens while it works."""

import json
import os
import sys
import time

from .errors import Refused

_MIB = 1 << 20


def put(text):
    """Print what was asked for."""
    try:
        print(text, flush=True)
    except OSError as error:
        _no_more(sys.stdout)
        raise Refused(f"it cannot be printed: {error.strerror}") from None


def emit(stream, text, end="\n"):
    """Print what happens. Never fails: whoever reads may have gone meanwhile."""
    try:
        print(text, end=end, file=stream, flush=True)
    except (OSError, ValueError):
        _no_more(stream)


def _no_more(stream):
    """What Python flushes at its end must not fail either."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        pass


class Report:
    """Steps and progress of a migration; as_json: one object a line."""

    EVERY_SECONDS = 5

    def __init__(self, as_json=False):
        self._json = as_json
        try:
            self._terminal = not as_json and sys.stdout.isatty()
        except (OSError, ValueError):
            self._terminal = False
        self._start = time.monotonic()
        self._last = None
        self._last_time = 0
        self._open_line = False

    def step(self, text, event):
        """Something was done, or found."""
        if self._json:
            emit(sys.stdout, json.dumps({"event": event, "text": text, **self._seconds()}))
            return
        self._end_line()
        emit(sys.stdout, f"[{time.monotonic() - self._start:6.1f} s] {text}")

    def progress(self, status, migration):
        """What QEMU says; printed when the status changes, and now and then."""
        now = time.monotonic()
        changed = status != self._last
        wait = 0.5 if self._terminal else self.EVERY_SECONDS
        if not changed and (now - self._last_time < wait or "ram" not in migration):
            return
        self._last, self._last_time = status, now
        if self._json:
            ram = {
                name: migration["ram"][name]
                for name in ("total", "remaining", "transferred", "mbps")
                if name in migration.get("ram", {})
            }
            emit(
                sys.stdout,
                json.dumps({"event": "progress", "status": status, **ram, **self._seconds()}),
            )
            return
        text = f"[{now - self._start:6.1f} s] QEMU: {status}{self._memory(migration)}"
        if self._terminal:
            emit(sys.stdout, f"\r{text}\033[K", end="")
            self._open_line = True
            if changed:
                self._end_line()
        else:
            emit(sys.stdout, text)

    @staticmethod
    def _memory(migration):
        ram = migration.get("ram", {})
        if not ram.get("total"):
            return ""
        words = (
            f", {ram.get('transferred', 0) // _MIB} MiB sent, "
            f"{ram.get('remaining', 0) // _MIB} of {ram['total'] // _MIB} MiB remain"
        )
        if ram.get("mbps"):
            words += f", {ram['mbps']:.0f} Mbit/s"
        return words

    def _seconds(self):
        return {"seconds": round(time.monotonic() - self._start, 3)}

    def _end_line(self):
        if self._open_line:
            emit(sys.stdout, "")
        self._open_line = False

    def close(self):
        self._end_line()
