"""A finished run's folder, read into one record. Reads files only: no model, no checkpoint, no device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np

from framework.errors import DataError
from framework.report import fields
from framework.report.fields import Fields

STATES: Final = ("finished", "running", "interrupted")
PROFILES: Final = ("full", "embedded")

Grid = np.ma.MaskedArray[Any, Any]
"""Values of one map, float64; masked where the cell is no slot, NaN where the run computed one."""


@attrs.frozen
class Dataset:
    """What the run read. splits: queries a split. features: whatever the dataset says of its feature files."""

    name: str
    fingerprint: str
    splits: Mapping[str, int]
    features: Mapping[str, Any]


@attrs.frozen
class Manifest:
    """Under which conditions the run took place. parameters: trained numbers a part. seconds: the whole run.

    plugins: those that were loaded. selection: on which split the reported checkpoint was chosen, in words.
    """

    framework: str
    python: str
    torch: str
    numpy: str
    seed: int
    profile: str
    device: str
    precision: str
    threads: int
    plugins: tuple[str, ...]
    git: str | None
    data: Dataset
    parameters: Mapping[str, int]
    command: tuple[str, ...]
    started: str
    seconds: float
    status: str
    selection: str


@attrs.frozen
class Epoch:
    """One line of the history. metrics: split -> metric -> percent, empty where the epoch was not evaluated."""

    epoch: int
    step: int
    seconds: float
    lr: float
    losses: Mapping[str, float]
    metrics: Mapping[str, Mapping[str, float]]


@attrs.frozen
class Scores:
    """The reported numbers, percent, NaN where the run wrote null, and the rule behind them.

    draws: samples averaged a query. seconds: prediction over the split. expected: published numbers, None where there
    are none.
    """

    recipe: str
    profile: str
    split: str
    rule: str
    seed: int
    queries: int
    draws: int
    seconds: float
    sampler: str
    post: str
    checkpoint: str
    metrics: Mapping[str, float]
    expected: Mapping[str, float] | None


@attrs.frozen(eq=False)
class Scale:
    """One map of an example: cell (n, a) is the moment from n to n + a + 1 units of ``stride * unit_s`` seconds.

    truth: (N, A), None where it is not known. steps: the predicted x0 after each sampling step, (N, A) each.
    """

    shape: tuple[int, int]
    stride: int
    unit_s: float
    truth: Grid | None
    steps: tuple[Grid, ...]

    def span_s(self, n: int, a: int) -> tuple[float, float]:
        """Start and end of cell (n, a) in seconds."""
        unit = self.stride * self.unit_s
        return n * unit, (n + a + 1) * unit


@attrs.frozen(eq=False)
class Example:
    """One query, its answer and the way to it. truth: (start, end) and moments: (start, end, score), seconds.

    scales: the maps of a target of cells. steps: the spans of a target of spans after each sampling step, as moments.
    """

    qid: str
    query: str
    video: str
    duration: float
    truth: tuple[tuple[float, ...], ...]
    moments: tuple[tuple[float, ...], ...]
    scales: tuple[Scale, ...]
    steps: tuple[tuple[tuple[float, ...], ...], ...] = ()


@attrs.frozen
class Point:
    """The trained weights under one other setting. value: as JSON has it. metrics: percent.

    seconds_a_query: wall time of prediction.
    """

    value: Any
    metrics: Mapping[str, float]
    seconds_a_query: float


@attrs.frozen
class Sweep:
    """Points along one key of the recipe. label: in words for an axis, which is logarithmic with ``log``."""

    name: str
    key: str
    label: str
    log: bool
    points: tuple[Point, ...]


@attrs.frozen(eq=False)
class RunRecord:
    """All that a report says of one run. recipe: the resolved recipe, as TOML."""

    folder: Path
    recipe: str
    manifest: Manifest
    history: tuple[Epoch, ...]
    scores: Scores
    examples: tuple[Example, ...]
    sweeps: tuple[Sweep, ...] = ()

    @property
    def embedded(self) -> bool:
        """Whether the run measured the embedded synthetic data instead of the dataset."""
        return self.manifest.profile == "embedded"


def read_run(folder: Path | str) -> RunRecord:
    """Read a run folder; ``examples.json``, ``history.jsonl`` and ``sweeps.json`` need not be there.

    A run of no epochs has no history, and one whose recipe asks for no sweeps has none.

    Raises DataError, one line, where the folder is no run, a file is missing or cut off, or a value breaks its rule.
    """
    folder = Path(folder)
    if not (folder / "manifest.json").is_file():
        raise DataError(_no_run(folder))
    manifest = _manifest(fields.read_object(folder / "manifest.json"))
    if manifest.status != "finished" and not (folder / "metrics.json").exists():
        raise DataError(
            f"{folder}: the run is {manifest.status} and has no metrics.json yet; let it finish, or go on with the "
            f"recipe it was begun with: python -m framework run RECIPE --resume --out {folder}"
        )
    history, examples, sweeps = (folder / name for name in ("history.jsonl", "examples.json", "sweeps.json"))
    record = RunRecord(
        folder=folder,
        recipe=fields.read_text(folder / "recipe.toml"),
        manifest=manifest,
        history=tuple(_epoch(line) for line in fields.read_lines(history)) if history.exists() else (),
        scores=_scores(fields.read_object(folder / "metrics.json")),
        examples=tuple(_example(entry) for entry in fields.read_objects(examples)) if examples.exists() else (),
        sweeps=tuple(_sweep(entry) for entry in fields.read_objects(sweeps)) if sweeps.exists() else (),
    )
    _check_profile(record)
    return record


def _no_run(folder: Path) -> str:
    runs = sorted(found.parent for found in folder.glob("**/manifest.json")) if folder.is_dir() else []
    why = "has no manifest.json" if folder.is_dir() else "is no folder"
    hint = f"below it is {runs[-1]}" if runs else "runs are written to runs/RECIPE/RUN_ID by: python -m framework run"
    return f"{folder}: not a run, it {why}; name a folder that a run wrote ({hint})"


def _check_profile(record: RunRecord) -> None:
    # A number of the synthetic data must never pass for one of the dataset, so two files that disagree are no record.
    said, scored = record.manifest.profile, record.scores.profile
    if said != scored:
        rule = f'is "{scored}" but manifest.json says "{said}", and one run has one profile'
        raise fields.damaged(record.folder / "metrics.json", "profile", rule)


def _manifest(found: Fields) -> Manifest:
    words = ("framework", "python", "torch", "numpy", "device", "precision", "started", "selection")
    data = found.table("data")
    return Manifest(
        **{name: found.get(name, fields.text) for name in words},
        seed=found.get("seed", fields.integer),
        profile=found.get("profile", fields.one_of(*PROFILES)),
        threads=found.get("threads", fields.integer),
        plugins=found.get("plugins", fields.listing(fields.text)),
        git=found.get("git", fields.optional(fields.text)),
        data=Dataset(
            name=data.get("name", fields.text),
            fingerprint=data.get("fingerprint", fields.text),
            splits=data.get("splits", fields.mapping(fields.integer)),
            features=data.get("features", fields.mapping(lambda value: value)),
        ),
        parameters=found.get("parameters", fields.mapping(fields.integer)),
        command=found.get("command", fields.listing(fields.text)),
        seconds=found.get("seconds", fields.number),
        status=found.get("status", fields.one_of(*STATES)),
    )


def _epoch(found: Fields) -> Epoch:
    return Epoch(
        epoch=found.get("epoch", fields.integer),
        step=found.get("step", fields.integer),
        seconds=found.get("seconds", fields.number),
        lr=found.get("lr", fields.number),
        losses=found.get("losses", fields.numbers),
        metrics=found.get("metrics", fields.mapping(fields.numbers)),
    )


def _scores(found: Fields) -> Scores:
    words = ("recipe", "split", "rule", "sampler", "post", "checkpoint")
    return Scores(
        **{name: found.get(name, fields.text) for name in words},
        profile=found.get("profile", fields.one_of(*PROFILES)),
        seed=found.get("seed", fields.integer),
        queries=found.get("queries", fields.integer),
        draws=found.get("draws", fields.natural),
        seconds=found.get("seconds", fields.number),
        metrics=found.get("metrics", fields.numbers),
        expected=found.get("expected", fields.optional(fields.numbers)),
    )


def _example(found: Fields) -> Example:
    return Example(
        qid=found.get("qid", lambda value: value if isinstance(value, str) else str(fields.integer(value))),
        query=found.get("query", fields.text),
        video=found.get("video", fields.text),
        duration=found.get("duration", fields.positive),
        truth=found.get("truth", fields.listing(_row("start, end"))),
        moments=found.get("moments", fields.listing(_row("start, end, score"))),
        scales=tuple(_scale(scale) for scale in found.tables("scales")),
        steps=found.get("steps", fields.listing(fields.listing(_row("start, end, score")))) if "steps" in found else (),
    )


def _sweep(found: Fields) -> Sweep:
    points = found.tables("points")
    if not points:
        raise fields.damaged(found.file, f"{found.place}.points", "must hold a point at least")
    return Sweep(
        name=found.get("name", fields.word),
        key=found.get("key", fields.text),
        label=found.get("label", fields.text),
        log=found.get("log", fields.switch),
        points=tuple(_point(point) for point in points),
    )


def _point(found: Fields) -> Point:
    return Point(
        value=found.get("value", lambda value: value),
        metrics=found.get("metrics", fields.numbers),
        seconds_a_query=found.get("seconds_a_query", fields.number),
    )


def _scale(found: Fields) -> Scale:
    n, a = found.get("shape", _shape)
    values = _grid((n, a))
    return Scale(
        shape=(n, a),
        stride=found.get("stride", fields.natural),
        unit_s=found.get("unit_s", fields.positive),
        truth=found.get("truth", fields.optional(values)),
        steps=found.get("steps", fields.listing(values)),
    )


def _row(columns: str) -> fields.Parse[tuple[float, ...]]:
    def parse(value: Any) -> tuple[float, ...]:
        found = fields.listing(fields.number)(value)
        if len(found) != len(columns.split(", ")):
            raise ValueError(f"must hold rows of [{columns}]")
        return found

    return parse


def _shape(value: Any) -> tuple[int, ...]:
    found = fields.listing(fields.natural)(value)
    if len(found) != 2:
        raise ValueError("must be [starts, lengths]")
    return found


def _grid(shape: tuple[int, int]) -> fields.Parse[Grid]:
    def parse(value: Any) -> Grid:
        flat = fields.listing(fields.number)(value)
        if len(flat) != math.prod(shape):
            raise ValueError(f"must hold {shape[0]} x {shape[1]} values, one a cell of its shape; it holds {len(flat)}")
        masked = [each is None for each in value]
        return np.ma.MaskedArray(flat, mask=masked, dtype=np.float64).reshape(shape)

    return parse
