#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Crash images of a file LUN, by the kernel's dm-log-writes. In a machine.

    crash_images.py write NODE MAP STEPS
    crash_images.py check LOG STEPS NAME

write: sends commands to NODE, a LUN whose file lies on a file system on the log-writes map MAP.
After each step that must be on the medium then, it sets a mark in the map's log. STEPS
(JSON) becomes what it did. check: replays LOG to each mark and to places between, mounts what a
power loss there would have left, and looks into the file NAME. Prints a line of JSON:
{"images": how many, "entries": of the log, "wrong": [what is not as it must be, ...]}.

dm-log-writes logs a write when it is on the medium: one with FUA when it has been answered, others when the
flush after them has. So an image has nothing in it that was only in a cache. (A write that waits for its
flush is logged behind a later one with FUA, also where both write the same block: none here do.)
"""

import json
import os
import random
import struct
import subprocess
import sys

BLOCK = 512
BLOCKS = 32768
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


# ---- what is written ----


def content(lba, stamp):
    """A block that says where it belongs and which write it is of."""
    return struct.pack("<QQ", lba, stamp) * (BLOCK // 16) if stamp else bytes(BLOCK)


class Writer:
    """Commands to the LUN, and what of them must be there after a power loss."""

    def __init__(self, node, log_map):
        import scsi  # pylint: disable=import-outside-toplevel  # of this folder

        self.disk = scsi.Disk(node)
        self.map = log_map
        self.stamp = 0
        self.history = {}  # {lba: [[step, stamp], ...]}, the first: zeros
        self.durable = {}  # {lba: which of its history is the oldest that may be seen}
        self.steps = []

    def send(self, cdb, out=b""):
        for _ in range(5):
            answer = self.disk.command(cdb, out)
            if not (answer.code and answer.code[0] == 6):
                break
        assert answer.good, f"{cdb.hex()}: {answer}"

    def noted(self, lba, blocks, stamp, durable=False):
        for block in range(lba, lba + blocks):
            history = self.history.setdefault(block, [[-1, 0]])
            history.append([len(self.steps), stamp])
            if durable:
                self.durable[block] = len(history) - 1

    def data(self, lba, blocks):
        self.stamp += 1
        return b"".join(content(block, self.stamp) for block in range(lba, lba + blocks))

    def write(self, lba, blocks, fua=False, length=10):
        data = self.data(lba, blocks)
        flags = 8 if fua else 0
        cdb = {
            6: lambda: struct.pack(">BBHBB", 0x0A, 0, lba, blocks, 0),
            10: lambda: struct.pack(">BBIBHB", 0x2A, flags, lba, 0, blocks, 0),
            12: lambda: struct.pack(">BBIIBB", 0xAA, flags, lba, blocks, 0, 0),
            16: lambda: struct.pack(">BBQIBB", 0x8A, flags, lba, blocks, 0, 0),
        }[length]()
        self.send(cdb, data)
        self.noted(lba, blocks, self.stamp, durable=fua)

    def compare_and_write(self, lba):
        """With FUA; on a block that has been written."""
        old = content(lba, self.history[lba][-1][1])
        self.send(struct.pack(">BBQ3xBBB", 0x89, 8, lba, 1, 0, 0), old + self.data(lba, 1))
        self.noted(lba, 1, self.stamp, durable=True)

    def unmap(self, lba, blocks):
        self.send(
            struct.pack(">B6xHB", 0x42, 24, 0), struct.pack(">HH4xQI4x", 22, 16, lba, blocks)
        )
        self.noted(lba, blocks, 0)

    def zero(self, lba, blocks, unmap):
        """WRITE SAME without data, which may give the blocks back."""
        self.send(struct.pack(">BBQIBB", 0x93, 9 if unmap else 1, lba, blocks, 0, 0))
        self.noted(lba, blocks, 0)

    def flush(self, length=10):
        self.send(bytes([{10: 0x35, 16: 0x91}[length]]) + bytes(length - 1))
        self.durable = {lba: len(history) - 1 for lba, history in self.history.items()}

    def stop(self):
        """START STOP UNIT: stopping writes the cache."""
        self.send(bytes([0x1B, 0, 0, 0, 0, 0]))
        self.durable = {lba: len(history) - 1 for lba, history in self.history.items()}

    def mark(self):
        name = f"step-{len(self.steps)}"
        subprocess.run(["dmsetup", "message", self.map, "0", "mark", name], check=True)
        self.steps.append(dict(self.durable))

    def scatter(self, rng, count):
        """Into the upper half with FUA, into the lower one without."""
        for _ in range(count):
            fua = rng.random() < 0.2
            lba = rng.randrange(8000, BLOCKS // 2 - 8) + (BLOCKS // 2 if fua else 0)
            self.write(lba & ~7, rng.randrange(1, 9), fua=fua, length=16)


def write(node, log_map, steps):
    writer, rng = Writer(node, log_map), random.Random(5)
    writer.mark()
    writer.write(0, 8)
    writer.flush()
    writer.mark()
    writer.write(100, 8, fua=True)  # into a hole
    writer.mark()
    writer.write(0, 8)
    writer.write(12, 1, fua=True, length=12)  # beside what is in a cache
    writer.mark()
    writer.flush(16)
    writer.mark()
    writer.unmap(0, 8)
    writer.flush()
    writer.mark()
    writer.write(200, 64)
    writer.zero(208, 16, unmap=False)
    writer.flush()
    writer.mark()
    writer.zero(200, 32, unmap=True)
    writer.write(210, 1, fua=True)  # into what was given back
    writer.mark()
    writer.compare_and_write(100)
    writer.mark()
    writer.write(5000, 16, length=6)
    writer.stop()
    writer.mark()
    for _ in range(4):
        writer.scatter(rng, 12)
        writer.unmap(rng.randrange(8000, BLOCKS // 2 - 64) & ~7, 64)
        writer.flush(rng.choice((10, 16)))
        writer.mark()
    with open(steps, "w", encoding="ascii") as out:
        json.dump({"history": writer.history, "steps": writer.steps}, out)


# ---- what is left ----


def entries(log):
    """(flags, offset, length, where its data is in the log; a mark's text), in order."""
    with open(log, "rb") as stream:
        magic, _, count, sector = struct.unpack("<QQQI", stream.read(28))
        assert magic == MAGIC, f"{log} is no log"
        at = sector
        for _ in range(count):
            stream.seek(at)
            first, sectors, flags, data_len = struct.unpack("<QQQQ", stream.read(32))
            at += sector
            text = stream.read(data_len).decode() if flags & MARK else ""
            yield flags, first * sector, sectors * sector, at, text
            if not flags & DISCARD:
                at += sectors * sector


class Image:
    """The medium, as far as the log has been replayed."""

    def __init__(self, path, size):
        self.path, self.size = path, size
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.truncate(self.fd, size)

    def apply(self, log_fd, flags, offset, length, at):
        if flags & DISCARD:
            subprocess.run(
                ["fallocate", "-p", "-o", str(offset), "-l", str(length), self.path], check=True
            )
        else:
            os.pwrite(self.fd, os.pread(log_fd, length, at), offset)

    def look(self, name):
        """The bytes of a file in it, as one finds them after the power is back."""
        copy, where = self.path + ".copy", self.path + ".mount"
        subprocess.run(["cp", "--sparse=always", self.path, copy], check=True)
        os.makedirs(where, exist_ok=True)
        subprocess.run(["mount", "-o", "loop", copy, where], check=True)
        try:
            with open(os.path.join(where, name), "rb") as stream:
                return stream.read()
        finally:
            subprocess.run(["umount", where], check=True)


def judge(data, history, step, durable):
    """What is wrong with an image behind mark `step`, and before the next."""
    wrong = []
    for lba, versions in history.items():
        oldest = durable.get(lba, 0)
        allowed = {stamp for when, stamp in versions[oldest:] if when <= step + 1}
        block = data[int(lba) * BLOCK : (int(lba) + 1) * BLOCK]
        if all(block != content(int(lba), stamp) for stamp in allowed):
            found = struct.unpack_from("<QQ", block)
            wrong.append(f"step {step}: block {lba} is {found}, not of {sorted(allowed)}")
    return wrong


def check(log, steps, name):
    with open(steps, encoding="ascii") as stream:
        done = json.load(stream)
    everything = list(entries(log))
    marks = {
        i: int(entry[4].split("-")[1])
        for i, entry in enumerate(everything)
        if entry[4].startswith("step-")
    }
    assert sorted(marks.values()) == list(range(len(done["steps"]))), marks
    at, places = sorted(marks), set(marks)
    for first, second in zip(at, at[1:] + [len(everything) - 1]):
        places |= {(first + second) // 2, second - 1} - set(range(at[0]))
    image = Image("/var/tmp/crash.img", 1 << 26)
    log_fd = os.open(log, os.O_RDONLY)
    wrong, step, images = [], None, 0
    for i, (flags, offset, length, data_at, _) in enumerate(everything):
        if flags & MARK:
            step = marks.get(i, step)
        elif length:
            image.apply(log_fd, flags, offset, length, data_at)
        if i in places and step is not None:
            images += 1
            wrong += judge(image.look(name), done["history"], step, done["steps"][step])
    print(json.dumps({"images": images, "entries": len(everything), "wrong": wrong[:50]}))


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
