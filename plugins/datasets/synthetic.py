"""The embedded data set: invented activity scripts, our own sentences, simulated features; no file is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.core.options import at_least, option
from framework.data.dataset import Dataset, FeatureSource, Query
from framework.data.simulation import SIMULATOR, SimulationConstants, row_count, simulate
from plugins.datasets.activity_scripts import CLASSES, WORDS, Script, ScriptConstants, write_script

VERSION: Final = "synthetic 1"
"""Grows with every change that changes a sentence, a moment or a feature."""

SIMULATION: Final = SimulationConstants(classes=CLASSES, scene_strength=0.3, video_strength=0.15, noise=0.3)
"""As for Charades, but with less background and noise: a seventh of the sentences has to do."""


@attrs.frozen
class SyntheticOptions:
    """How much of it is made."""

    train_queries: int = option(2000, doc="training queries", rule=at_least(1))
    val_queries: int = option(200, doc="validation queries", rule=at_least(1))
    test_queries: int = option(400, doc="test queries", rule=at_least(1))
    width: int = option(64, doc="numbers a feature row", rule=at_least(1))
    seed: int = option(0, doc="seed of everything that is drawn")


class SyntheticFeatures(FeatureSource):
    """Features simulated from scripts when first asked for, then kept."""

    name = "synthetic features"

    def __init__(self, scripts: Mapping[str, Script], constants: SimulationConstants, width: int, seed: int) -> None:
        self.scripts, self.constants, self.width, self.seed = scripts, constants, width, seed
        self._kept: dict[str, NDArray[np.float32]] = {}

    def videos(self) -> frozenset[str]:
        return frozenset(self.scripts)

    def shape(self, video: str) -> tuple[int, int]:
        return row_count(self.scripts[video].duration, self.constants.clip_s), self.width

    def read(self, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        if video not in self._kept:
            script = self.scripts[video]
            self._kept[video] = simulate(
                video, script.duration, script.intervals, script.room, self.constants, self.width, self.seed
            )
        rows: NDArray[np.float32] = self._kept[video][start:stop].copy()
        return rows


class Synthetic(Dataset):
    """Invented videos with lengths and moments like those of Charades-STA; never a result on real data.

    A video depends on its name and the seed alone, so a larger size adds queries and changes none.
    """

    splits = ("train", "val", "test")
    validation = "val"

    def __init__(self, options: SyntheticOptions, root: Path) -> None:
        super().__init__(options, root)
        self.sizes = {"train": options.train_queries, "val": options.val_queries, "test": options.test_queries}
        self.script_constants = ScriptConstants()
        self.constants = SIMULATION

    def missing(self, splits: Sequence[str] | None = None) -> list[str]:
        return []

    def queries(self, split: str) -> list[Query]:
        self.require(split)
        asked = (
            (script, activity, sentence)
            for script in self._scripts[split]
            for activity, sentences in zip(script.activities, script.asked, strict=False)
            for sentence in sentences
        )
        return [
            Query(
                f"{split}_{number}",
                sentence,
                script.video,
                script.duration,
                ((activity.start, activity.end, 1.0),),
                f"synthetic {split}:{number}",
            )
            for number, (script, activity, sentence) in enumerate(islice(asked, self.sizes[split]), 1)
        ]

    def features(self) -> FeatureSource:
        return self._features

    def fingerprint(self, splits: Sequence[str] | None = None) -> str:
        stated = (VERSION, SIMULATOR, WORDS, self.options, self.script_constants, self.constants)
        return hashlib.sha256(repr(stated).encode()).hexdigest()

    @cached_property
    def _scripts(self) -> dict[str, list[Script]]:
        return {split: list(self._write(split)) for split in self.splits}

    def _write(self, split: str) -> Iterator[Script]:
        """Scripts of a split, until they ask enough queries."""
        asked = 0
        for number in count(1):
            if asked >= self.sizes[split]:
                return
            script = write_script(f"{split}_{number:05d}", self.script_constants, self.options.seed)
            asked += sum(map(len, script.asked))
            yield script

    @cached_property
    def _features(self) -> SyntheticFeatures:
        scripts = {script.video: script for split in self.splits for script in self._scripts[split]}
        return SyntheticFeatures(scripts, self.constants, self.options.width, self.options.seed)
