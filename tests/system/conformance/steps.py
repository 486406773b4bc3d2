# SPDX-License-Identifier: Apache-2.0
"""Runs a case on a LUN, with four nexuses A to D and a fifth that looks.

    A REGISTER rk sark          A IGNORE rk sark        REGISTER AND IGNORE EXISTING KEY
    A RESERVE rk type           A RELEASE rk type       A CLEAR rk
    A PREEMPT rk sark type      A PREEMPT-ABORT rk sark type
    A MOVE rk sark B            A LOST rk sark type     REPLACE LOST RESERVATION
    A OUT action rk sark        any service action
      behind them: scope=N length=N spec_i_pt=B,C all_tg_pt aptpl unreg cut port=N tid-length=N
    A KEYS n; A RESERVATION n; A FULL n; A CAPS n; A IN action n      PERSISTENT RESERVE IN
    A TUR; A SENSE; A READ; A WRITE [fua]; A RESERVE6; A RELEASE6; A RESERVE10; A RELEASE10
    A ALL name, name...         commands of commands.py: which conflict?
    A RACE B: command / command sent together by A and B
    A START command; A END B    not waited for, and waited for, with what B has begun
    A LUNRESET; A RELOGIN       LOGICAL UNIT RESET; the session breaks, and there is another
    @NAME                       something that the LUN's owner does
"""

import re
import time

from inside.scsi import pr_in, pr_list, pr_out

from .commands import AFTERWARDS, COMMANDS, LBA, block
from .facts import KEYS, capabilities, descriptors, form_of, held_in, key_name, keys_in, number
from .initiator import Answer

NAMES = "ABCD"
ACTIONS = {
    name: number
    for number, name in enumerate(
        "REGISTER RESERVE RELEASE CLEAR PREEMPT PREEMPT-ABORT IGNORE MOVE LOST".split()
    )
}
# How many keys precede what else an action takes.
_WITH_SARK = ("REGISTER", "PREEMPT", "PREEMPT-ABORT", "IGNORE", "MOVE", "LOST")
_WITH_TYPE = ("RESERVE", "RELEASE", "PREEMPT", "PREEMPT-ABORT", "LOST")
_READS = {"KEYS": 0, "RESERVATION": 1, "CAPS": 2, "FULL": 3}
_SCSI_2 = {"RESERVE6": 0x16, "RELEASE6": 0x17, "RESERVE10": 0x56, "RELEASE10": 0x57}
_WRITE = bytes([0x2A, 0]) + LBA.to_bytes(4, "big") + bytes([0, 0, 1, 0])
_READ = bytes([0x28]) + _WRITE[1:]
_TUR = bytes(6)
# INQUIRY for the page that prmig rewrites, behind what else it does with the LUN; takes no unit attention.
_BLOCK_LIMITS = bytes([0x12, 1, 0xB0, 0, 64, 0])
_TOLD = r"\b[A-D] UA[345]"


class CannotSetUp(Exception):
    """The LUN does not get to where the case begins."""


class Change:
    """An answer to a step, and what is different after it."""

    def __init__(self, answer, moved, changes, told):
        self.answer = answer
        self.moved = moved  # PRGENERATION, or None if it could not be read
        self.changes = changes  # of keys and reservation
        self.told = told  # unit attentions

    def __str__(self):
        moved = f" +{self.moved}" if self.moved else ""
        return ", ".join([self.answer + moved, *self.changes, *self.told])


class Scene:
    """A LUN and the nexuses on it.

    nexuses: {letter: Initiator}; looker: one more. through: the nexuses are prmig's, which sends commands
    of its own after a conflict and a unit attention.
    """

    def __init__(self, nexuses, looker, through=False):
        self.nexuses = nexuses
        self.looker = looker
        self.through = through
        self.actions = {}  # {name: what a line @name calls}
        self.undo = {}  # {name: the name of what takes it back}
        self._begun = {}
        self._transport_ids = None
        self._generation, self._state = 0, None

    # What is seen of the LUN

    @staticmethod
    def _drain(nexus):
        """Takes what is pending on a nexus: what TEST UNIT READY answered, but GOOD and CF."""
        found = []
        while True:
            answer = nexus.command(_TUR)
            if answer.attention is None:
                return found + ([] if answer.status in (0, 0x18) else [f"TUR {answer}"])
            found.append(answer.attention)
            assert len(found) < 8, f"{nexus.name}: unit attentions do not end: {found}"

    def _attentions(self):
        """Takes what is pending: ["A UA5", ...]; of the one that looks it is not told."""
        self._drain(self.looker)
        return [
            f"{name} {text}" for name, nexus in self.nexuses.items() for text in self._drain(nexus)
        ]

    def _read(self):
        """(PRGENERATION, {what: as a text}), None where it conflicts."""
        keys = self.looker.command(pr_in(0, 1024), in_len=1024)
        held = self.looker.command(pr_in(1, 24), in_len=24)
        if not keys.good or not held.good:
            return None, {"keys": f"keys {keys}", "held": f"R {held}"}
        return number(keys.data[:4]), {
            "keys": "keys " + keys_in(keys.data),
            "held": held_in(held.data) or "no R",
        }

    def keys(self):
        """The letters of the keys that are registered."""
        return self._read()[1]["keys"].split()[1:]

    def _look(self, answer, quiet, late):
        """late: what prmig may tell a little later, because the unit attention met a command of its own
        and is kept for the guest until that is done."""
        told = [] if quiet else self._attentions()
        if quiet and self.through and not self._begun and answer.startswith(("CF", "CC UA")):
            self._wait_for_prmig()
        deadline = time.monotonic() + 20
        while not quiet and set(late) - set(told) and time.monotonic() < deadline:
            told = sorted(told + self._attentions(), key=lambda text: text[0])
        generation, state = self._read()
        moved = None
        if generation is not None and self._generation is not None:
            moved = (generation - self._generation) & 0xFFFFFFFF
        changes = [state[what] for what in state if state[what] != self._state[what]]
        self._generation, self._state = generation, state
        return moved, changes, told

    def _clear(self):
        if self._read()[1]["keys"] in ("keys none", "keys CF"):  # a SCSI-2 reservation
            for nexus in self.nexuses.values():
                nexus.command(bytes([0x17]) + bytes(5))
        # What is left of theirs (LIO wants ALL_TG_PT said again) goes with CLEAR.
        unregister = [(nexus, 6, pr_list(0, 0)) for nexus in self.nexuses.values()]
        clear = [(self.looker, 6, pr_list(0, KEYS["o"])), (self.looker, 3, pr_list(KEYS["o"]))]
        for nexus, action, list_ in unregister + clear:
            self._drain(nexus)
            nexus.command(pr_out(action, list_), out=list_)

    def _wait_for_prmig(self):
        """Until it has asked the LUN what a conflict or a unit attention makes it ask, within a second."""
        time.sleep(1.1)
        for nexus in self.nexuses.values():
            nexus.command(_BLOCK_LIMITS, in_len=64)  # comes behind what is due

    def begin(self, alone=False):
        """Nothing registered, reserved or pending; block LBA is zero. alone: prmig itself has nothing to
        ask the LUN, either, which it does within a second after a conflict."""
        nothing = {"keys": "keys none", "held": "no R"}
        self._attentions()
        for _ in range(3):
            if self._read()[1] == nothing and self.looker.command(_WRITE, out=block("-")).good:
                break
            self._clear()
            self._attentions()
        else:
            raise AssertionError(f"the LUN cannot be cleared: {self._read()[1]}")
        if alone and self.through:
            self._wait_for_prmig()
            self._attentions()
        if self._transport_ids is None:
            self._learn_transport_ids()
        self._generation, self._state = self._read()
        assert self._state == nothing, self._state

    # Cases

    def run(self, case, values=None, like=None):
        """[Change, ...], one for each step that something is expected of. May raise CannotSetUp.

        like: what the same LUN did without prmig.
        """
        if case.steps[0].text == "@fresh":
            self._attentions()
            self._generation, self._state = self._read()
        else:
            self.begin(alone=any(step.quiet for step in case.steps))
        undo = []
        steps = [step.with_values(values or {}) for step in case.steps]
        try:
            return self._run(steps, undo, like or [])
        finally:
            for name in undo:
                self.actions[name]()

    def _run(self, steps, undo, like):
        done = []
        for step in steps:
            words = step.text.split()
            if words[0].startswith("@"):
                name = words[0][1:]
                if name == "fresh":
                    continue
                self.actions[name](*words[1:])
                if name in ("restart", "second-port"):
                    self._attentions()
                    self._generation, self._state = self._read()
                if name in self.undo:
                    undo.append(self.undo[name])
                elif name in undo:
                    undo.remove(name)
                continue
            if words[0] in ("reg", "hold"):
                self.set_up(step.text)
                continue
            answer = self._do(words)
            if step.expected is None:
                if not answer.startswith(("GOOD", "sent")):
                    raise CannotSetUp(f"{step.text}: {answer}")
                if not words[1] == "START":
                    self._generation, self._state = self._read()
            else:
                late = []
                if self.through:
                    late = like[len(done)].told if like else re.findall(_TOLD, step.expected)
                    late = [text for text in late if re.fullmatch(_TOLD, text)]
                done.append(Change(answer, *self._look(answer, step.quiet, late)))
        return done

    def set_up(self, *texts):
        """reg and hold."""
        for text in texts:
            what, *words = text.split()
            if what == "reg":
                commands = [f"{who} REGISTER 0 {who.lower()}" for who in words]
            else:
                commands = [f"{words[1]} RESERVE {words[1].lower()} {words[0]}"]
            for command in commands:
                answer = self._do(command.split())
                if answer != "GOOD":
                    raise CannotSetUp(f"{command}: {answer}")
        self._generation, self._state = self._read()

    def one_command(self, who, name):
        """(status, sense code) of a command of commands.py; unit attentions are taken before."""
        _, cdb, out, in_len = COMMANDS[name]
        while True:
            answer = self.nexuses[who].command(cdb, out, in_len)
            if not answer.attention:
                return answer.status, answer.code

    # Commands

    def _do(self, words):
        who, what, *rest = words
        nexus = self.nexuses[who]
        if what == "START":
            self._begun[who] = nexus.send(*self._command(who, rest))
            return "sent"
        if what == "END":
            return self._end(who, rest)
        if what == "LUNRESET":
            nexus.reset_lun()
            return "GOOD"
        if what == "RELOGIN":
            nexus.relogin()
            return "GOOD"
        if what == "ALL":
            return self._all(who, " ".join(rest).split(", "))
        if what == "RACE":
            return self._race(who, " ".join(rest))
        cdb, out, in_len = self._command(who, words[1:])
        answer = nexus.command(cdb, out, in_len)
        return str(answer) + (self._facts(words[1:], answer) if answer.good else "")

    def _command(self, who, words):
        """(CDB, data-out, length of data-in)."""
        what, *rest = words
        if what in ACTIONS or what == "OUT":
            return (*self._pr_out(who, what, rest), 0)
        if what in _READS or what == "IN":
            action = _READS[what] if what in _READS else int(rest.pop(0))
            length = int(rest[0]) if rest and rest[0].isdigit() else 1024
            return pr_in(action, length), b"", length
        if what in _SCSI_2:
            code = _SCSI_2[what]
            return bytes([code]) + bytes(5 if code < 0x20 else 9), b"", 0
        if what == "WRITE":
            cdb = bytes([_WRITE[0], 8 if "fua" in rest else 0]) + _WRITE[2:]
            return cdb, block(who), 0
        return {
            "TUR": (_TUR, b"", 0),
            "SENSE": (bytes([3, 0, 0, 0, 18, 0]), b"", 18),
            "READ": (_READ, b"", 512),
        }[what]

    def _pr_out(self, who, what, words):
        options = dict(word.partition("=")[::2] for word in words if len(word) > 2)
        words = [word for word in words if len(word) <= 2]
        action = ACTIONS[what] if what in ACTIONS else int(words.pop(0))
        rk = KEYS[words.pop(0)]
        sark = KEYS[words.pop(0)] if what in _WITH_SARK + ("OUT",) else 0
        if what == "MOVE":
            list_ = self._move_list(rk, sark, words.pop(0), options)
        else:
            list_ = self._basic_list(rk, sark, options)
        kind = int(words.pop(0)) if what in _WITH_TYPE else 1
        assert not words, f"{who} {what}: {words}"
        if "length" in options:
            list_ = list_.ljust(int(options["length"]), b"\0")[: int(options["length"])]
        return pr_out(action, list_, kind, int(options.get("scope", 0))), list_

    def _basic_list(self, rk, sark, options):
        flags = sum(
            bit for name, bit in (("spec_i_pt", 8), ("all_tg_pt", 4), ("aptpl", 1)) if name in options
        )
        rest = b""
        if "spec_i_pt" in options:
            names = options["spec_i_pt"].split(",") if options["spec_i_pt"] else []
            rest = b"".join(self._transport_ids[name][0] for name in names)
            if "cut" in options:
                # The last one says that it is longer than the list.
                rest = rest[:2] + (number(rest[2:4]) + 64).to_bytes(2, "big") + rest[4:]
            rest = len(rest).to_bytes(4, "big") + rest
        return pr_list(rk, sark, flags, rest)

    def _move_list(self, rk, sark, to, options):
        transport_id, port = self._transport_ids[to]
        port = int(options.get("port", port))
        length = int(options.get("tid-length", len(transport_id)))
        flags = ("unreg" in options) << 1 | ("aptpl" in options)
        return (
            pr_list(rk, sark)[:16]
            + bytes([0, flags])
            + port.to_bytes(2, "big")
            + length.to_bytes(4, "big")
            + transport_id
        )

    def _learn_transport_ids(self):
        """{letter: (TransportID, relative target port identifier)}: as READ FULL STATUS gives them, or
        where it is not there as they would be."""
        self._transport_ids = {}
        for name, nexus in self.nexuses.items():
            self._transport_ids[name] = nexus.transport_id, 1
            answers = []
            for cdb, list_, in_len in (
                (pr_out(0, bytes(24)), pr_list(0, KEYS["x"]), 0),
                (pr_in(3, 4096), b"", 4096),
                (pr_out(0, bytes(24)), pr_list(KEYS["x"], 0), 0),
            ):
                answers.append(nexus.command(cdb, list_, in_len))
            if all(answer.good for answer in answers):
                ((*_, transport_id, port),) = descriptors(answers[1].data)
                self._transport_ids[name] = transport_id, port

    # What the data says

    def _facts(self, words, answer):
        what, data = words[0], answer.data
        if what == "READ":
            letter = chr(data[0])
            return ": zeros" if data == block("-") else f": {letter}" if data == block(letter) else ": mixed"
        if what == "SENSE":
            attention = Answer(2, data, b"").attention
            return f": {attention or '{:X}/{:02X}/{:02X}'.format(*Answer(2, data, b'').code)}"
        if what == "CAPS":
            return capabilities(data)
        if what not in _READS:
            return ""
        if len(data) < 8:
            return f": {len(data)} bytes"
        says = number(data[4:8])
        if "prg" in words:
            return f": PRG {number(data[:4])}, {8 + says} bytes"
        if len(data) < 8 + says:
            return f": {len(data)} bytes of {8 + says}"
        if what == "KEYS":
            return f": keys {keys_in(data)}"
        if what == "RESERVATION":
            return f": {held_in(data) or 'no R'}"
        return ": " + self._full(data, "form" in words)

    def _full(self, data, form):
        names = {tid: name for name, (tid, _) in self._transport_ids.items()}
        found = []
        for key, holder, kind, tid, _ in descriptors(data):
            text = f"{names.get(tid, '?')} {key_name(key)}"
            if holder:
                text += f" holds {kind}"
            elif kind:
                text += f" type {kind}"
            if form:
                text += " form " + form_of(tid)
            found.append(text)
        return "; ".join(sorted(found)) or "none"

    # Several at once

    def _all(self, who, names):
        """Which of these commands conflict? Those that the LUN does not know do not count."""
        conflicts, unknown = [], []
        for name in names:
            status, code = self.one_command(who, name)
            if status == 0x18:
                conflicts.append(name)
            elif code == (5, 0x20, 0):
                unknown.append(name)
            if name in AFTERWARDS:
                self.one_command(who, AFTERWARDS[name])
        passed = [name for name in names if name not in conflicts + unknown]
        if not conflicts:
            return "no CF"
        return "all CF" if not passed else f"CF: {', '.join(conflicts)}; no CF: {', '.join(passed)}"

    def _end(self, who, others):
        """Of commands that were not waited for; others: first, each with a command behind it, without
        which a target may not know that its answer has arrived."""
        answers = []
        for name in others:
            answers.append(f"{name} {self.nexuses[name].wait(self._begun.pop(name))}")
            self.nexuses[name].command(COMMANDS["INQUIRY"][1], in_len=36)
        answer = str(self.nexuses[who].wait(self._begun.pop(who)))
        return answer + (f": {', '.join(answers)}" if answers else "")

    def _race(self, who, text):
        """Two commands at one time; what they answered, whoever was first."""
        other, _, commands = text.partition(": ")
        sent = []
        for name, command in zip((who, other), commands.split(" / ")):
            sent.append((name, self.nexuses[name].send(*self._command(name, command.split()))))
        answers = [str(self.nexuses[name].wait(task)) for name, task in sent]
        self._attentions()
        _, state = self._read()
        keys = 0 if state["keys"] == "keys none" else len(state["keys"].split()) - 1
        self._state = state  # whose key is left is chance
        refused = [answer for answer in answers if answer != "GOOD"]
        assert set(refused) <= {"CF", "CC UA5", "CC UA3"}, answers
        return f"{len(answers) - len(refused)} GOOD, {len(refused)} refused, {keys} key left"
