"""Values of SPAN XML elements, checked by rule, and the list of what breaks one."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

from crossmargin.core.columns import NUMBER_LIMIT
from crossmargin.errors import BadRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml.etree import _Element

__all__ = ["MISSING", "NUMBER_RULE", "Children", "Report", "checked_number", "element_path"]

Choice = TypeVar("Choice")

MISSING: Final = float("nan")
"""Stands in a column of numbers where the file has none; no number of a file is read as it."""

NUMBER_RULE: Final = "a finite decimal number from −10^12 to 10^12"
WHOLE_RULE: Final = "a whole number from 0 to 10^12"
REQUIRED_RULE: Final = "an element that must be here"

NUMBER: Final = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")
WHOLE: Final = re.compile(r"\+?[0-9]{1,12}")
SPACES: Final = " \t\r\n"
SWITCHES: Final = {"0": False, "1": True, "false": False, "true": True}


def element_path(element: _Element, *children: str) -> str:
    """Return the names from the root down to an element, and on to a child."""
    names = [str(above.tag) for above in element.iterancestors()]
    return "/".join([*reversed(names), str(element.tag), *children])


class Report:
    """What the reader met: records that break a rule, and elements that it does not use, by name."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.bad: list[BadRecord] = []
        self.unused: Counter[str] = Counter()

    def note(self, element: _Element, value: str | None, rule: str, *children: str) -> None:
        """Keep a broken rule with the line and the path of the element, or of a child of it."""
        self.note_line(element.sourceline or 0, element_path(element, *children), value, rule)

    def note_line(self, line: int, field: str, value: str | None, rule: str) -> None:
        """Keep a broken rule of which only the line is known."""
        self.bad.append(BadRecord(file=self.file, line=line, field=field, value=value or "", rule=rule))


def checked_number(element: _Element, report: Report) -> float:
    """Return the number that an element holds; report it where it holds none."""
    value = (element.text or "").strip(SPACES)
    if NUMBER.fullmatch(value) and abs(number := float(value)) <= NUMBER_LIMIT:
        return number + 0.0  # no negative zero
    report.note(element, value, NUMBER_RULE)
    return 0.0


class Children:
    """The children of one element by name; each value is asked for by its kind.

    A value that breaks its rule is reported, and something harmless is returned in its place: the file is
    refused in the end.
    """

    def __init__(self, element: _Element, report: Report) -> None:
        self.element = element
        self.line = element.sourceline or 0
        self.report = report
        self.by_tag: dict[str, list[_Element]] = {}
        for child in element:
            self.by_tag.setdefault(str(child.tag), []).append(child)
        self.asked: set[str] = set()

    def all(self, tag: str) -> list[_Element]:
        """Return every child of a name."""
        self.asked.add(tag)
        return self.by_tag.get(tag, [])

    def done(self, *structural: str) -> None:
        """Count the children that nothing asked for; ``structural`` ones have been read elsewhere."""
        for tag, children in self.by_tag.items():
            if tag not in self.asked and tag not in structural:
                self.report.unused[tag] += len(children)

    def raw(self, tag: str, *, required: bool = False) -> str | None:
        """Return the text of the one child of a name, None where there is none."""
        found = self.all(tag)
        if len(found) > 1:
            self.report.note(found[1], found[1].text, "an element that stands once here")
        if not found:
            if required:
                self.report.note(self.element, None, REQUIRED_RULE, tag)
            return None
        return (found[0].text or "").strip(SPACES)

    def text(self, tag: str) -> str:
        """Return a text that must be there and not be empty."""
        value = self.raw(tag, required=True)
        if value == "":
            self.bad(tag, value, "a text that is not empty")
        return value or ""

    def number(self, tag: str, default: float | None = None) -> float:
        """Return a number; one that must be there where no default is given."""
        value = self.raw(tag, required=default is None)
        if value is None:
            return 0.0 if default is None else default
        return checked_number(self.by_tag[tag][0], self.report)

    def whole(self, tag: str, default: int | None = None) -> int:
        """Return a whole number; one that must be there where no default is given."""
        value = self.raw(tag, required=default is None)
        if value is None:
            return default or 0
        if WHOLE.fullmatch(value):
            return int(value)
        self.bad(tag, value, WHOLE_RULE)
        return 0

    def choice(self, tag: str, choices: Mapping[str, Choice], default: Choice | None = None) -> Choice:
        """Return what a word stands for; the word must be there where no default is given."""
        value = self.raw(tag, required=default is None)
        if value is None:
            return next(iter(choices.values())) if default is None else default
        if value in choices:
            return choices[value]
        self.bad(tag, value, f"one of {', '.join(choices)}")
        return next(iter(choices.values()))

    def switch(self, tag: str, *, default: bool | None = None) -> bool:
        """Return a boolean; one that must be there where no default is given."""
        return self.choice(tag, SWITCHES, default)

    def of_rate(self, tag: str, rate: int) -> Children | None:
        """Return the child of a name that is of a rate class, None where there is no child of that name.

        Where that class has none, class 1 stands for it, and then the only one there is.
        """
        found = [Children(child, self.report) for child in self.all(tag)]
        if not found:
            return None
        classes = [child.whole("r") for child in found]
        for wanted in (rate, 1):
            if classes.count(wanted) > 1:
                twice = found[len(classes) - 1 - classes[::-1].index(wanted)]
                self.report.note(twice.element, str(wanted), "one such element of a rate class", "r")
            if wanted in classes:
                return found[classes.index(wanted)]
        if len(found) > 1:
            shown = ", ".join(str(number) for number in classes)
            self.report.note(found[0].element, shown, f"one of rate class {rate} or 1", "r")
        return found[0]

    def bad(self, tag: str, value: str, rule: str) -> None:
        """Report the first child of a name."""
        self.report.note(self.by_tag[tag][0], value, rule)
