"""What a user's mistake looks like: one line with file, place, value, rule and remedy, and exit status 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class UserError(Exception):
    """The input is wrong and the user can mend it; the command line prints the message and exits with status 2."""


class RecipeError(UserError):
    """A recipe names something that does not exist, has the wrong type or is out of range."""


class DataError(UserError):
    """An annotation, feature or prediction file breaks a rule of its format."""


class CheckpointError(UserError):
    """A checkpoint is truncated, foreign or made by another recipe."""


class PluginError(UserError):
    """A plugin cannot be loaded or registers something that clashes."""


class Problems(UserError):
    """Several mistakes found in one go; the message is one line for each."""

    def __init__(self, problems: Sequence[UserError | str]) -> None:
        self.problems = [str(problem) for problem in problems]
        super().__init__("\n".join(self.problems))


def told(error: UserError) -> list[str]:
    """What to print of an error: a line for each mistake."""
    lines = error.problems if isinstance(error, Problems) else [str(error)]
    return [visible(line) for line in lines]


def visible(text: str) -> str:
    """A text on one line: what no terminal shows, such as a line break in the name of a video, as Python writes it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cut(text: str, longest: int = 60) -> str:
    """A text for a message: on one line, without characters that a terminal obeys, and cut where it is long."""
    return visible(text if len(text) <= longest else text[: longest - 3] + "...")


def nearest(word: str, known: Iterable[str]) -> str:
    """Suggest the known word closest to ``word``, as ``' Did you mean "x"?'``, or nothing where none is close."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{found[0]}"?' if found else ""
