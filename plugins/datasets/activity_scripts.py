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
"""The words for each verb. A simulated network sees verb v as class v."""

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
"""The words for each object. A simulated network sees object o as class len(VERBS) + o."""

SUBJECTS: Final = ("a person", "someone", "the man", "a woman", "the person")
FORMS: Final = ("", " is", " is", " begins", " starts", " keeps")
ARTICLES: Final = ("a", "the")
TAILS: Final = ("", "", "", " again", " slowly", " quickly", " in the room", " near the window", " while standing")
ROOMS: Final = ("kitchen", "bedroom", "living room", "hallway", "garage", "study")
WORDS: Final = (VERBS, OBJECTS, SUBJECTS, FORMS, ARTICLES, TAILS, ROOMS)
CLASSES: Final = len(VERBS) + len(OBJECTS)


@attrs.frozen
class ScriptConstants:
    """Numbers behind the scripts, chosen once.

    video_s, moment_s: mean and standard deviation of the lengths of videos and activities (log-normal).
    video_range_s, moment_range_s: shortest and longest. edge_s: a start is drawn this far beyond either end of the
    video and moved inside, so that as in Charades-STA a third of the moments touch an end.
    activities: fewest and most activities of a video, but for those made to distract. asked: chances that one, two or
    three of them are asked about. reworded: chance that a moment is asked about twice, in other words.
    same_object, same_verb: chance that another activity of the video is made to share the object, or the verb, with one
    that is asked about.
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
class Activity:
    """A verb done to an object, as rows of ``VERBS`` and ``OBJECTS``, from ``start`` to ``end`` seconds."""

    verb: int
    item: int
    start: float
    end: float


@attrs.frozen
class Script:
    """All activities of one video. asked: sentences for each of the first ones; each of these happens once."""

    video: str
    duration: float
    room: str
    activities: tuple[Activity, ...]
    asked: tuple[tuple[str, ...], ...]

    @property
    def intervals(self) -> list[Interval]:
        """What a network can see: each activity's motion and its thing, so that sentences share what they teach."""
        return [
            Interval(label, activity.start, activity.end)
            for activity in self.activities
            for label in (activity.verb, len(VERBS) + activity.item)
        ]


def write_script(video: str, constants: ScriptConstants, seed: int) -> Script:
    """Invent the script of one video; it depends on the arguments alone."""
    draws = Draws("script", seed, video)
    duration = round(_length(draws, constants.video_s, constants.video_range_s), 2)
    fewest, most = constants.activities
    least = fewest + draws.integer(most - fewest + 1)
    asked = _pick_share(draws, constants.asked) + 1
    pairs = _pairs(draws, asked, least, constants)
    activities = tuple(Activity(*pair, *_place(draws, duration, constants)) for pair in pairs)
    sentences = tuple(_sentences(draws, verb, item, constants) for verb, item in pairs[:asked])
    return Script(video, duration, _pick(draws, ROOMS), activities, sentences)


def _pairs(draws: Draws, asked: int, least: int, constants: ScriptConstants) -> list[tuple[int, int]]:
    """Verb and object of each activity, no two alike: those asked about, then distractors, then any others."""
    pairs: list[tuple[int, int]] = []
    while len(pairs) < asked:
        _add(pairs, draws.integer(len(VERBS)), draws.integer(len(OBJECTS)))
    for verb, item in pairs[:asked]:
        if draws.number() < constants.same_object:
            _add(pairs, _another(draws, verb, len(VERBS)), item)
        if draws.number() < constants.same_verb:
            _add(pairs, verb, _another(draws, item, len(OBJECTS)))
    while len(pairs) < least:
        _add(pairs, draws.integer(len(VERBS)), draws.integer(len(OBJECTS)))
    return pairs


def _add(pairs: list[tuple[int, int]], verb: int, item: int) -> None:
    if (verb, item) not in pairs:
        pairs.append((verb, item))


def _another(draws: Draws, index: int, count: int) -> int:
    return (index + 1 + draws.integer(count - 1)) % count


def _place(draws: Draws, duration: float, constants: ScriptConstants) -> tuple[float, float]:
    """Start and end of an activity, to 0.1 s as people annotate."""
    length = min(_length(draws, constants.moment_s, constants.moment_range_s), duration)
    latest = duration - length
    drawn = draws.number() * (latest + 2 * constants.edge_s) - constants.edge_s
    start = min(max(drawn, 0.0), latest)
    end = duration if drawn >= latest else min(round(start + length, 1), duration)
    return round(start, 1), end


def _sentences(draws: Draws, verb: int, item: int, constants: ScriptConstants) -> tuple[str, ...]:
    first = second = say(verb, item, draws)
    if draws.number() >= constants.reworded:
        return (first,)
    while second == first:
        second = say(verb, item, draws)
    return first, second


def say(verb: int, item: int, draws: Draws) -> str:
    """One sentence for an activity."""
    subject, form, article, tail = (_pick(draws, words) for words in (SUBJECTS, FORMS, ARTICLES, TAILS))
    return f"{subject}{form} {_pick(draws, VERBS[verb])} {article} {_pick(draws, OBJECTS[item])}{tail}"


def _length(draws: Draws, moments: tuple[float, float], limits: tuple[float, float]) -> float:
    """Log-normal length of given mean and standard deviation, cut to ``limits``."""
    mean, deviation = moments
    variance = math.log(1 + (deviation / mean) ** 2)
    drawn = math.exp(math.log(mean) - variance / 2 + math.sqrt(variance) * float(draws.normal(1)[0]))
    return min(max(drawn, limits[0]), limits[1])


def _pick(draws: Draws, choices: Sequence[T]) -> T:
    return choices[draws.integer(len(choices))]


def _pick_share(draws: Draws, shares: Sequence[float]) -> int:
    """Index drawn with the given chances."""
    drawn, index = draws.number(), 0
    while index < len(shares) - 1 and drawn >= shares[index]:
        drawn -= shares[index]
        index += 1
    return index
