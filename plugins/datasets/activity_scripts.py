"""Scripts of invented videos: which activities happen when, and what a person would say of them.

All words, numbers and rules are the project's own. Lengths follow those measured on Charades-STA's training split.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeVar

import attrs

from framework.data.simulation import Draws, Interval

T = TypeVar("T")

VERBS: Final = (
    ("holding", "clutching"),
    ("throwing", "tossing"),
    ("lifting", "raising"),
    ("washing", "cleaning"),
    ("carrying", "bringing"),
    ("shaking", "wiggling"),
    ("inspecting", "examining"),
    ("hiding", "concealing"),
)
"""A row a verb: its synonyms."""

OBJECTS: Final = (
    ("cup", "mug"),
    ("book", "novel"),
    ("phone", "mobile"),
    ("towel", "cloth"),
    ("bag", "backpack"),
    ("pillow", "cushion"),
    ("shoe", "sneaker"),
    ("laptop", "computer"),
)
"""A row an object: its synonyms."""

SUBJECTS: Final = ("a person", "someone", "the man", "a woman", "the person")
ARTICLES: Final = ("a", "the")
FORMS: Final = ("", " is", " is", " begins", " starts", " keeps")
TAILS: Final = ("", "", "", " again", " slowly", " quickly", " in the room", " near the window", " while standing")
ROOMS: Final = ("kitchen", "bedroom", "living room", "hallway", "garage", "study")
WORDS: Final = (VERBS, OBJECTS, SUBJECTS, FORMS, TAILS, ROOMS)
ACTIVITIES: Final = len(OBJECTS) * len(VERBS)
CLASSES: Final = len(OBJECTS) + len(VERBS)


@attrs.frozen
class ScriptConstants:
    """Numbers behind the scripts, chosen once.

    video_s, moment_s: mean and standard deviation of the lengths of videos and activities (log-normal).
    video_range_s, moment_range_s: shortest and longest. edge_s: a start is drawn this far beyond either end of the
    video and moved inside, so that as in Charades-STA about a third of the moments touch an end.
    activities: fewest and most activities of a video. asked: chances that one, two or three of them are asked about.
    reworded: chance that a moment is asked about twice. same_object, same_verb: chance that another activity of the
    video shares the object, or the verb, with one that is asked about.
    """

    video_s: tuple[float, float] = (30.6, 8.5)
    video_range_s: tuple[float, float] = (8.0, 75.0)
    moment_s: tuple[float, float] = (8.1, 3.6)
    moment_range_s: tuple[float, float] = (2.0, 25.0)
    edge_s: float = 5.5
    activities: tuple[int, int] = (3, 6)
    asked: tuple[float, float, float] = (0.44, 0.35, 0.21)
    reworded: float = 0.36
    same_object: float = 0.4
    same_verb: float = 0.4


@attrs.frozen
class Asked:
    """One moment and the sentences that ask for it."""

    interval: Interval
    sentences: tuple[str, ...]


@attrs.frozen
class Script:
    """All activities of one video, those asked about first. An activity asked about happens once in its video."""

    video: str
    duration: float
    room: str
    intervals: tuple[Interval, ...]
    asked: tuple[Asked, ...]


def write_script(video: str, constants: ScriptConstants, seed: int) -> Script:
    """Invent the script of one video; it depends on the arguments alone."""
    draws = Draws("script", seed, video)
    duration = round(_length(draws, constants.video_s, constants.video_range_s), 2)
    fewest, most = constants.activities
    total = fewest + draws.integer(most - fewest + 1)
    count = _pick_share(draws, constants.asked) + 1
    labels = _labels(draws, count, total, constants)
    intervals = tuple(_place(draws, label, duration, constants) for label in labels)
    asked = tuple(Asked(interval, _sentences(draws, interval.label, constants)) for interval in intervals[:count])
    return Script(video, duration, ROOMS[draws.integer(len(ROOMS))], intervals, asked)


def verb_and_object(label: int) -> tuple[int, int]:
    """Rows of ``VERBS`` and ``OBJECTS`` that an activity is made of; neighbouring activities share the object."""
    item, verb = divmod(label, len(VERBS))
    return verb, item


def say(label: int, draws: Draws) -> str:
    """One sentence for an activity."""
    verb, item = verb_and_object(label)
    subject, form, article, tail = (_pick(draws, words) for words in (SUBJECTS, FORMS, ARTICLES, TAILS))
    return f"{subject}{form} {_pick(draws, VERBS[verb])} {article} {_pick(draws, OBJECTS[item])}{tail}."


def _sentences(draws: Draws, label: int, constants: ScriptConstants) -> tuple[str, ...]:
    first = second = say(label, draws)
    if draws.number() >= constants.reworded:
        return (first,)
    while second == first:
        second = say(label, draws)
    return first, second


def _labels(draws: Draws, asked: int, total: int, constants: ScriptConstants) -> list[int]:
    """Activities of a video, no two the same: those asked about, those made to distract from them, any others."""
    labels: list[int] = []
    while len(labels) < asked:
        _add(labels, draws.integer(ACTIVITIES))
    for label in labels[:asked]:
        verb, item = verb_and_object(label)
        if draws.number() < constants.same_object:
            _add(labels, _pick(draws, [other for other in range(ACTIVITIES) if verb_and_object(other)[1] == item]))
        if draws.number() < constants.same_verb:
            _add(labels, _pick(draws, [other for other in range(ACTIVITIES) if verb_and_object(other)[0] == verb]))
    while len(labels) < total:
        _add(labels, draws.integer(ACTIVITIES))
    return labels


def _add(labels: list[int], label: int) -> None:
    if label not in labels:
        labels.append(label)


def _place(draws: Draws, label: int, duration: float, constants: ScriptConstants) -> Interval:
    """Put an activity somewhere in the video, to 0.1 s as people annotate."""
    length = min(_length(draws, constants.moment_s, constants.moment_range_s), duration)
    drawn = draws.number() * (duration - length + 2 * constants.edge_s) - constants.edge_s
    start = min(max(drawn, 0.0), duration - length)
    end = duration if drawn >= duration - length else round(start + length, 1)
    return Interval(label, round(start, 1), min(end, duration))


def _length(draws: Draws, moments: tuple[float, float], limits: tuple[float, float]) -> float:
    """Log-normal length of given mean and standard deviation, cut to ``limits``."""
    mean, deviation = moments
    variance = math.log(1 + (deviation / mean) ** 2)
    drawn = math.exp(math.log(mean) - variance / 2 + math.sqrt(variance) * float(draws.normal(1)[0]))
    return min(max(drawn, limits[0]), limits[1])


def _pick(draws: Draws, choices: Sequence[T]) -> T:
    return choices[draws.integer(len(choices))]


def _pick_share(draws: Draws, shares: tuple[float, ...]) -> int:
    """Index drawn with the given chances."""
    drawn, index = draws.number(), 0
    while index < len(shares) - 1 and drawn >= shares[index]:
        drawn -= shares[index]
        index += 1
    return index
