#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An initiator that must not get at a LUN, and tries to write there all the while.

    stranger.py NODE FIRST COUNT

to one of COUNT blocks of 4 KiB from FIRST on, until SIGTERM; then prints how many
writes were refused, how many taken, and what else was answered, as JSON.
"""

import json
import random
import signal
import sys
import threading
import time

import scsi


class Stranger:
    """Writes from start() to end()."""

    def __init__(self, node, first, count):
        self._disk = scsi.Disk(node)
        self._first, self._count = first, count
        self._refused = self._taken = 0
        self._others = {}  # what else was answered, and how often
        self._stop = False
        self._thread = threading.Thread(target=self._work)

    def _work(self):
        chance = random.Random(1)
        data = b"stranger" * 512
        while not self._stop:
            block = self._first + chance.randrange(self._count)
            cdb = b"\x2a\0" + (block * 8).to_bytes(4, "big") + b"\0\0\x08\0"
            answer = self._disk.command(cdb, data)
            if answer.good:
                self._taken += 1
            elif str(answer) == "CONFLICT":
                self._refused += 1
            else:
                self._others[str(answer)] = self._others.get(str(answer), 0) + 1
            time.sleep(0.03)

    def start(self):
        self._thread.start()

    def end(self):
        """(refused, taken, others)"""
        self._stop = True
        self._thread.join()
        return self._refused, self._taken, self._others


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    stranger = Stranger(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    stranger.start()
    signal.sigwait([signal.SIGTERM])
    print(json.dumps(stranger.end()))


if __name__ == "__main__":
    main()
