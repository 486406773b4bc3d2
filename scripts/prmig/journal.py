# SPDX-License-Identifier: Apache-2.0
"""What a migration has begun, on disk before it is done: for `prmigctl resume`."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import Refused

_VERSION = 1

# How far it may have come: each is written before the first thing that belongs to it is done.
BEGUN, EXPORT, IMPORT, CONTINUE, RELEASE = "begun", "export", "import", "continue", "release"
_ORDER = [BEGUN, EXPORT, IMPORT, CONTINUE, RELEASE]


def folder():
    """PRMIG_ROOT stands before every path of prmig's, as in the handler; for tests."""
    return Path(os.environ.get("PRMIG_ROOT", "") + "/var/lib/prmig/migrate")


@dataclass
class Journal:
    """One migration of one nexus or group of this host."""

    name: str
    kind: str
    qmp: str
    there_name: str  # at the destination
    there_kind: str
    host: str  # of the destination, for people
    transport: list  # how it is reached; None: this host
    phase: str = BEGUN
    prepared: str = ""  # what Prepare returned
    line: str = ""  # what Export returned
    ids: list = field(default_factory=list)  # of the hand-overs that Export began
    members: list = field(default_factory=list)  # the nexuses here, by name
    there_members: list = field(default_factory=list)
    capabilities: dict = field(default_factory=dict)  # QEMU's, as they were
    was_running: bool = True
    # Made up by `resume` without a journal: what has been sent is not known.
    guessed: bool = False

    @property
    def path(self):
        return folder() / f"{self.name}.json"

    def reached(self, phase):
        return _ORDER.index(self.phase) >= _ORDER.index(phase)

    def save(self, phase=None):
        """On disk when this returns."""
        before = self.phase
        self.phase = phase or before
        text = json.dumps({"version": _VERSION, **asdict(self)}, indent=1) + "\n"
        making = self.path.with_suffix(".new")
        try:
            descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            making.rename(self.path)
            _sync_folder()
        except OSError as error:
            self.phase = before
            raise Refused(f"{self.path} cannot be written: {error.strerror}") from None

    def drop(self):
        try:
            self.path.unlink(missing_ok=True)
            _sync_folder()
        except OSError as error:
            raise Refused(f"{self.path} cannot be removed: {error.strerror}") from None

    @classmethod
    def load(cls, name):
        """None: there is none."""
        path = folder() / f"{name}.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found.pop("version") != _VERSION:
                raise ValueError("of another version of prmigctl")
            journal = cls(**found)
            journal.reached(BEGUN)
            return journal
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused(
                f"{path} cannot be used ({error}): move it away, and give `prmigctl resume` what "
                "it needs: --qmp, and --to or --transport"
            ) from None


def _sync_folder():
    descriptor = os.open(folder(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Lock:
    """One prmigctl at a time for a name; ends with the process, however that ends."""

    def __init__(self, name):
        try:
            folder().mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = open(folder() / f"{name}.lock", "a+", encoding="ascii")
        except OSError as error:
            raise Refused(f"{folder()}: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            pid = self._file.read().strip()
            raise Refused(f"another prmigctl (process {pid}) is migrating '{name}'") from None
        self._file.seek(0)
        self._file.truncate()
        self._file.write(str(os.getpid()))
        self._file.flush()
