# SPDX-License-Identifier: Apache-2.0
"""What each LUN answered to the cases and to the table of commands, as cells of text."""

from dataclasses import dataclass

from .commands import AFTERWARDS, COMMANDS
from .language import is_exact, matches
from .steps import CannotSetUp

TYPES = (1, 3, 5, 6, 7, 8)
SENDERS = "hru"  # holder, registered, unregistered
CONFLICTS = {
    "U": set(),
    "R": {"3r", "3u", "6u", "8u"},
    "W": {"1r", "1u", "3r", "3u", "5u", "6u", "7u", "8u"},
}


@dataclass
class Answered:
    """One step, for one of the values that its case is repeated for."""

    values: dict
    expected: str
    answer: str

    @property
    def right(self):
        return matches(self.answer, self.expected)


@dataclass
class Outcome:
    """A case on a LUN."""

    steps: list  # [[Answered for each of the values], ...]
    not_asked: str = ""
    changes: list = None  # of each of the values: [Change, ...]

    @property
    def right(self):
        return all(one.right for step in self.steps for one in step)

    def text(self, number):
        """What a step's cell says: "" where it is what was expected, and nothing else could be."""
        step = self.steps[number]
        if all(one.right and is_exact(one.expected) for one in step):
            return ""
        by_answer = {}
        for one in step:
            by_answer.setdefault(one.answer, []).append("/".join(one.values.values()))
        if len(by_answer) == 1:
            return step[0].answer
        return "; ".join(f"[{' '.join(values)}] {answer}" for answer, values in by_answer.items())

    def cell(self):
        """All steps; those that are not what is expected in bold."""
        if self.not_asked:
            return "not asked"
        texts = []
        for number, step in enumerate(self.steps):
            text = self.text(number)
            if not text:
                continue
            if len(self.steps) > 1:
                text = f"{number + 1}: {text}"
            texts.append(text if all(one.right for one in step) else f"**{text}**")
        return "<br>".join(texts) or "="


def ask(scene, lun, case, like=None):
    """The Outcome of a case. like: the Outcome of the same LUN without prmig."""
    reason = case.reason_not_asked(lun)
    if reason:
        return Outcome([], reason)
    runs = []
    for number, values in enumerate(case.each):
        model = like.changes[number] if like and like.changes else None
        try:
            runs.append(scene.run(case, values, model))
        except CannotSetUp as error:
            return Outcome([], f"cannot be set up: {error}")
    steps = [
        [
            Answered(values, step.with_values(values).expected, str(run[number]))
            for values, run in zip(case.each, runs)
        ]
        for number, step in enumerate(case.judged)
    ]
    return Outcome(steps, changes=runs)


def without_generation(like, through):
    """Where prmig proves a registration by REGISTER (K -> K), which a LUN without READ FULL STATUS
    needs, PRGENERATION moves more often: the Outcome as if it had not, but never less often."""
    if through.not_asked or like.not_asked:
        return through
    for before, after in zip(like.changes, through.changes):
        for was, now in zip(before, after):
            if was.moved is not None and now.moved is not None and now.moved > was.moved:
                now.moved = was.moved
    for number, step in enumerate(through.steps):
        for one, run in zip(step, through.changes):
            one.answer = str(run[number])
    return through


def ask_commands(scene):
    """{command: cell} of the table of commands: as which class each behaves, or where it conflicts.

    "-": the LUN does not know it, and lets it through to say so.
    """
    conflicts = {name: set() for name in COMMANDS}
    unknown = set()
    for kind in TYPES:
        scene.begin()
        scene.set_up("reg A B", f"hold {kind} A")
        for name in COMMANDS:
            for sender, who in zip(SENDERS, "ABC"):
                status, code = scene.one_command(who, name)
                if status == 0x18:
                    conflicts[name].add(f"{kind}{sender}")
                elif sender == "h" and code in ((5, 0x20, 0), (5, 0x24, 0)):
                    unknown.add((name, code))
                if name in AFTERWARDS:
                    scene.one_command(who, AFTERWARDS[name])
    cells = {}
    for name, found in conflicts.items():
        if not found and (name, (5, 0x20, 0)) in unknown:
            cells[name] = "-"
            continue
        right = COMMANDS[name][0]
        kinds = [right] + [kind for kind in CONFLICTS if kind != right]
        as_kind = [kind for kind in kinds if CONFLICTS[kind] == found]
        text = as_kind[0] if as_kind else "CF " + " ".join(sorted(found))
        cells[name] = text if text == right else f"**{text}**"
    return cells
