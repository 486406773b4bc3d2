# SPDX-License-Identifier: Apache-2.0
"""The language that the file "cases" is written in.

    53 the holder's key                         number and title
        reg A B; hold 1 A                       set-up: each must be GOOD
        B PREEMPT b a 1 -> GOOD +1, keys b      a step, and what is expected of it
        ? why                                   the reference is open here: why prmig does what it does
        - tgtd*: why                            not asked of these LUNs

A step's answer is its status, what the data says, and whatever else is different after it: "+1"
PRGENERATION, "keys a b", "R(5,a)" the reservation's type and key, "A UA5" who was told. What is not
named is as it was. "~>": unit attentions are left where they are. " | ": one of several; "*": any
text without a comma, "**" any text. "each t k: 1 a / 7 0": the whole case for each of these, with $t and $k ("+" is a space).
Commands: see steps.py. A key is the letter of its nexus; k, x, y, z are nobody's.
"""

import fnmatch
import re
from dataclasses import dataclass, field
from pathlib import Path

CASES = Path(__file__).with_name("cases")


class BadCase(Exception):
    """The file is wrong."""


@dataclass
class Step:
    """A line of a case."""

    text: str  # the command
    expected: str = None  # None: set-up
    quiet: bool = False  # unit attentions stay pending

    def with_values(self, values):
        def replace(text):
            if text is None:
                return None
            return re.sub(r"\$(\w+)", lambda found: values[found[1]], text).strip()

        return Step(replace(self.text), replace(self.expected), self.quiet)


@dataclass
class Case:
    """One of the checklist's, or one beside it (a letter behind the number)."""

    number: str
    title: str
    steps: list = field(default_factory=list)
    each: list = field(default_factory=lambda: [{}])  # [{name: value}]
    each_text: str = ""
    why: str = ""
    not_asked: list = field(default_factory=list)  # [(pattern, reason)]

    @property
    def judged(self):
        return [step for step in self.steps if step.expected is not None]

    @property
    def moves(self):
        """It has REGISTER AND MOVE."""
        return any(" MOVE " in step.text for step in self.steps)

    def turn(self):
        """When it comes: a fresh LUN first, then what needs a LUN that can be taken away and made anew (the
        ACLs of LIO that REGISTER AND MOVE or ALL_TG_PT have been at never go)."""
        texts = [step.text for step in self.steps]
        return 0 if "@fresh" in texts else 1 if "@restart" in texts else 2

    def reason_not_asked(self, lun):
        for pattern, reason in self.not_asked:
            if fnmatch.fnmatchcase(lun, pattern):
                return reason
        return None


def matches(answer, expected):
    """Is this answer one of those that are expected?"""
    wild = {"**": ".*", "*": "[^,]*"}
    return any(
        re.fullmatch(
            "".join(wild.get(part) or re.escape(part) for part in re.split(r"(\*\*?)", one)), answer
        )
        for one in expected.split(" | ")
    )


def is_exact(expected):
    """Only one answer is expected."""
    return " | " not in expected and "*" not in expected


def _each(text):
    names, _, rows = text.partition(":")
    return [
        {name: value.replace("+", " ") for name, value in zip(names.split(), row.split(), strict=True)}
        for row in rows.split(" / ")
    ]


def _add_line(case, line):
    if line.startswith("? "):
        case.why = f"{case.why} {line[2:]}".strip()
    elif line.startswith("- "):
        pattern, _, reason = line[2:].partition(": ")
        case.not_asked += [(one, reason) for one in pattern.split()]
    elif line.startswith("each "):
        case.each, case.each_text = _each(line[5:]), line
    else:
        text, arrow, expected = re.fullmatch(r"(.*?)(?: ([-~]>) (.*))?", line).groups()
        if arrow:
            case.steps.append(Step(text, expected, arrow == "~>"))
        else:
            case.steps += [Step(part.strip()) for part in text.split(";")]


def read_cases(path=CASES):
    """[Case, ...] in the order of the file."""
    cases = []
    for line in path.read_text(encoding="ascii").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] != " ":
            number, _, title = line.partition(" ")
            if any(case.number == number for case in cases):
                raise BadCase(f"{number}: twice")
            cases.append(Case(number, title))
        else:
            _add_line(cases[-1], line.strip())
    for case in cases:
        if not case.judged and case.reason_not_asked("everywhere") is None:
            raise BadCase(f"{case.number}: nothing is expected")
    return cases
