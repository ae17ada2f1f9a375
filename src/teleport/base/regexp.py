"""Regular expressions in linear time: the part of RE2's syntax that configuration and roles use.

Patterns come from people who may edit roles, texts from everyone; Python's `re` would let one of them
stop the process (`(a+)+$`). Here a pattern becomes a program for a small machine (R. Cox, "Regular
Expression Matching: the Virtual Machine Approach", 2009) that never tries an instruction twice at the same
place, so the work, also of replacing all matches, is at most length of the text times size of the program,
whatever the pattern. Back references and look-around cannot be expressed in such a machine and are refused,
as RE2 refuses them; so are `\\b`, `\\p{..}` and flags other than a leading `(?i)` or `(?s)`.

Not here: globs and selectors (`access.labels`).
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from teleport.base.errors import BadParameter

MAX_PATTERN = 512
"""Characters of a pattern."""
MAX_PROGRAM = 500
"""Instructions of a program: bounds `{n,m}` and with it the cost of every character of a text."""
MAX_DEPTH = 32
"""Groups within groups."""
MAX_RESULT = 65536
"""Characters that `replace` may return."""

_REFERENCE = re.compile(r"\$(\$|[0-9]{1,3}|\{[A-Za-z0-9_]{1,64}\})")
_Ranges = tuple[tuple[str, str], ...]


class _Chars(NamedTuple):
    """A set of characters."""

    ranges: _Ranges
    negated: bool = False
    fold: bool = False
    """Whether upper and lower case are one."""

    def has(self, char: str) -> bool:
        forms = (char, char.lower(), char.upper()) if self.fold else (char,)
        return any(low <= form <= high for form in forms for low, high in self.ranges) != self.negated


class _Step(NamedTuple):
    """One instruction. Jumps are relative, so that a piece of program can be repeated as it stands."""

    op: str
    """char, any (of `chars`), split (try x, then y), jump (x), save (slot x), begin, end, match."""
    x: int = 0
    y: int = 0
    chars: _Chars = _Chars(())


_Program = list[_Step]
_Slots = tuple[int, ...]

_DIGIT: _Ranges = (("0", "9"),)
_SPACE: _Ranges = ((" ", " "), ("\t", "\n"), ("\f", "\r"))
_WORD: _Ranges = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_CLASSES = {
    "d": _Chars(_DIGIT), "D": _Chars(_DIGIT, negated=True),
    "s": _Chars(_SPACE), "S": _Chars(_SPACE, negated=True),
    "w": _Chars(_WORD), "W": _Chars(_WORD, negated=True),
}  # fmt: skip
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_POSIX: dict[str, _Ranges] = {
    "alpha": (("A", "Z"), ("a", "z")), "digit": _DIGIT, "alnum": (("0", "9"), ("A", "Z"), ("a", "z")),
    "lower": (("a", "z"),), "upper": (("A", "Z"),), "space": _SPACE, "word": _WORD,
    "punct": (("!", "/"), (":", "@"), ("[", "`"), ("{", "~")), "xdigit": (("0", "9"), ("A", "F"), ("a", "f")),
}  # fmt: skip


class _Parser:
    """Reads a pattern by recursive descent and writes its program."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.groups = 0
        self.names: dict[str, int] = {}
        self.fold = self.dot_all = False

    def program(self) -> _Program:
        self._flags()
        body = self._alternatives(0)
        if self.at < len(self.pattern):
            raise self._refused("unexpected )")
        return [_Step("save", 0), *body, _Step("save", 1), _Step("match")]

    def _refused(self, problem: str) -> BadParameter:
        return BadParameter("POL-REGEXP", pattern=self.pattern[:80], problem=problem, column=self.at + 1)

    def _take(self, text: str) -> bool:
        if self.pattern.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self.at >= len(self.pattern):
            raise self._refused("it ends too early")
        self.at += 1
        return self.pattern[self.at - 1]

    def _checked(self, program: _Program) -> _Program:
        if len(program) > MAX_PROGRAM:
            raise self._refused("it is too large")
        return program

    def _flags(self) -> None:
        for text in ("(?i)", "(?s)", "(?is)", "(?si)"):
            if self._take(text):
                self.fold |= "i" in text
                self.dot_all |= "s" in text
                self._flags()

    def _alternatives(self, depth: int) -> _Program:
        if depth > MAX_DEPTH:
            raise self._refused("groups are nested too deeply")
        left = self._sequence(depth)
        while self._take("|"):
            right = self._sequence(depth)
            left = self._checked([_Step("split", 1, len(left) + 2), *left, _Step("jump", len(right) + 1), *right])
        return left

    def _sequence(self, depth: int) -> _Program:
        whole: _Program = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            whole = self._checked(whole + self._repeated(self._atom(depth)))
        return whole

    def _repeated(self, atom: _Program) -> _Program:
        start = self.at
        bounds = self._bounds()
        if bounds is None:
            return atom
        low, high = bounds
        lazy = self._take("?")
        if self._bounds() is not None:
            raise self._refused("a repetition of a repetition")
        if max(low, high or 0) > MAX_PROGRAM or (high is not None and high < low):
            self.at = start
            raise self._refused("repetition count out of range")
        self._checked([_Step("match")] * (max(low, high or 0, 1) * len(atom)))
        whole = atom * low
        if high is None:
            whole += [_split(1, len(atom) + 2, lazy), *atom, _Step("jump", -len(atom) - 1)]
        for left in range((high or low) - low, 0, -1):
            whole += [_split(1, left * (len(atom) + 1), lazy), *atom]
        return whole

    def _bounds(self) -> tuple[int, int | None] | None:
        """Read `*`, `+`, `?`, `{n}`, `{n,}` or `{n,m}`. A brace that is no repetition is a plain character."""
        for text, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(text):
                return bounds
        end = self.pattern.find("}", self.at)
        if not self.pattern.startswith("{", self.at) or end < 0:
            return None
        low, comma, high = self.pattern[self.at + 1 : end].partition(",")
        if not _is_count(low) or (high and not _is_count(high)):
            return None
        self.at = end + 1
        return int(low), (int(high) if high else None) if comma else int(low)

    def _atom(self, depth: int) -> _Program:
        char = self._next()
        if char == "(":
            return self._group(depth)
        if char == "[":
            return self._any(self._bracket())
        if char == "\\":
            return self._any(self._escape())
        if char in "*+?":
            raise self._refused("nothing to repeat")
        if char in "^$":
            return [_Step("begin" if char == "^" else "end")]
        if char == ".":
            return [_Step("char", chars=_Chars((), True) if self.dot_all else _Chars((("\n", "\n"),), True))]
        return self._any(_Chars(((char, char),)))

    def _any(self, chars: _Chars) -> _Program:
        return [_Step("char", chars=chars._replace(fold=self.fold))]

    def _group(self, depth: int) -> _Program:
        if self._take("?:"):
            body = self._alternatives(depth + 1)
        else:
            self.groups += 1
            number = self.groups
            if self._take("?P<") or (not self._looks_behind() and self._take("?<")):
                self._name(number)
            elif self._take("?"):
                raise self._refused("look-around, references and flags inside are not in RE2's linear part")
            body = [_Step("save", 2 * number), *self._alternatives(depth + 1), _Step("save", 2 * number + 1)]
        if not self._take(")"):
            raise self._refused("missing )")
        return self._checked(body)

    def _looks_behind(self) -> bool:
        return self.pattern.startswith(("?<=", "?<!"), self.at)

    def _name(self, number: int) -> None:
        end = self.pattern.find(">", self.at)
        name = self.pattern[self.at : max(end, self.at)]
        if not name.isidentifier() or name in self.names:
            raise self._refused("a group needs a name of its own")
        self.names[name] = number
        self.at = end + 1

    def _escape(self) -> _Chars:
        char = self._next()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROLS:
            char = _CONTROLS[char]
        elif char == "x":
            digits = self._next() + self._next()
            if not all(d in "0123456789abcdefABCDEF" for d in digits):
                raise self._refused("\\x needs two hexadecimal digits")
            char = chr(int(digits, 16))
        elif char.isdigit():
            raise self._refused("back references are not in RE2")
        elif char.isalpha():
            raise self._refused(f"\\{char} is not supported")
        return _Chars(((char, char),))

    def _bracket(self) -> _Chars:
        negated = self._take("^")
        ranges: list[tuple[str, str]] = []
        while not (ranges and self._take("]")):
            entry = self._entry()
            if len(entry) == 1 and entry[0][0] == entry[0][1] and self._starts_range():
                self.at += 1
                last = self._entry()
                if len(last) != 1 or last[0][0] != last[0][1] or last[0][0] < entry[0][0]:
                    raise self._refused("bad range in [ ]")
                entry = ((entry[0][0], last[0][0]),)
            ranges += entry
        return _Chars(tuple(ranges), negated)

    def _starts_range(self) -> bool:
        return self.pattern.startswith("-", self.at) and self.pattern[self.at + 1 : self.at + 2] != "]"

    def _entry(self) -> _Ranges:
        if self._take("[:"):
            end = self.pattern.find(":]", self.at)
            name = self.pattern[self.at : max(end, self.at)]
            if name not in _POSIX:
                raise self._refused("unknown class in [ ]")
            self.at = end + 2
            return _POSIX[name]
        char = self._next()
        if char != "\\":
            return ((char, char),)
        chars = self._escape()
        if chars.negated:
            raise self._refused("a negated class inside [ ] is not supported")
        return chars.ranges


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _split(x: int, y: int, lazy: bool) -> _Step:
    return _Step("split", y, x) if lazy else _Step("split", x, y)


class Regexp:
    """A compiled pattern. Made by `compile`."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN:
            raise BadParameter("POL-REGEXP", pattern=pattern[:80], problem="it is too long", column=MAX_PATTERN)
        parser = _Parser(pattern)
        self.pattern = pattern
        self._program = parser.program()
        self._bits = [1 << number for number in range(len(self._program))]
        self._names = parser.names
        self._slots = 2 * (parser.groups + 1)
        self.matches = functools.lru_cache(maxsize=256)(self._matches)
        """Whether the pattern describes the whole of a text (label values repeat, so answers are kept)."""

    def _matches(self, text: str) -> bool:
        return self._search(text, 0, [0] * (len(text) + 1), whole=True) is not None

    def replace(self, text: str, template: str) -> str | None:
        """Return `text` with every match replaced, or None when there is none.

        `$1`, `${1}` and `${name}` stand for groups, `$$` for a dollar. Raises BadParameter (POL-REGEXP)
        when the result grows beyond MAX_RESULT.
        """
        pieces: list[str] = []
        at = copied = size = 0
        failed = [0] * (len(text) + 1)
        while at <= len(text) and (slots := self._search(text, at, failed)) is not None:
            pieces += [text[copied : slots[0]], self._filled(template, text, slots)]
            size += len(pieces[-1])
            if size > MAX_RESULT:
                raise BadParameter("POL-REGEXP", pattern=self.pattern[:80], problem="its result is too long", column=1)
            copied = slots[1]
            at = max(slots[1], slots[0] + 1)
        return "".join([*pieces, text[copied:]]) if pieces else None

    def expand(self, text: str, template: str) -> str | None:
        """Return `template` with the groups of the first match in it, as `replace` writes them; None without a match.

        Raises BadParameter (POL-REGEXP) when the result grows beyond MAX_RESULT."""
        slots = self._search(text, 0, [0] * (len(text) + 1))
        if slots is None:
            return None
        filled = self._filled(template, text, slots)
        if len(filled) > MAX_RESULT:
            raise BadParameter("POL-REGEXP", pattern=self.pattern[:80], problem="its result is too long", column=1)
        return filled

    def _filled(self, template: str, text: str, slots: _Slots) -> str:
        def group(reference: re.Match[str]) -> str:
            name = reference[1].strip("{}")
            if name == "$":
                return name
            number = 2 * self._names.get(name, int(name) if _is_count(name) else self._slots)
            return text[slots[number] : slots[number + 1]] if number < len(slots) and slots[number] >= 0 else ""

        return _REFERENCE.sub(group, template)

    def _search(self, text: str, start: int, failed: list[int], *, whole: bool = False) -> _Slots | None:
        """Return the groups of the first match that begins at `start` or later; with `whole`, at `start` and ends
        with the text. Of several alternatives the first in the pattern's order of preference wins.

        `failed` holds a bit for each instruction at each place from which no match was reached. Whoever comes
        there again turns back, so that no place is tried twice, not even by a search that begins later.
        """
        for at in range(start, start + 1 if whole else len(text) + 1):
            slots = self._attempt(text, at, failed, whole)
            if slots is not None:
                failed[slots[1]] = 0  # marked as well is the way to the match itself; no later search meets the rest
                return slots
        return None

    def _attempt(self, text: str, at: int, failed: list[int], whole: bool) -> _Slots | None:
        program, bits, end = self._program, self._bits, len(text)
        slots = [-1] * self._slots
        todo = [(0, at)]
        while todo:
            pc, at = todo.pop()
            if pc < 0:
                slots[~pc] = at  # leaves an alternative: the group ends or begins where it did before
                continue
            while not failed[at] & bits[pc]:
                failed[at] |= bits[pc]
                op, x, y, chars = program[pc]
                pc += 1
                if op == "char":
                    if at == end or not chars.has(text[at]):
                        break
                    at += 1
                elif op == "split":
                    todo.append((pc - 1 + y, at))
                    pc += x - 1
                elif op == "jump":
                    pc += x - 1
                elif op == "save":
                    todo.append((~x, slots[x]))
                    slots[x] = at
                elif op == "match":
                    if whole and at != end:
                        break
                    return tuple(slots)
                elif at != (0 if op == "begin" else end):
                    break
        return None


@functools.lru_cache(maxsize=4096)
def compile(pattern: str) -> Regexp:
    """Return the program of `pattern`. Raises BadParameter (POL-REGEXP) with the column."""
    return Regexp(pattern)
