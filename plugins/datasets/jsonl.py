"""Anybody's own data, one JSON object a line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import attrs

from framework.core.options import at_least, one_of, option
from framework.data.dataset import Query
from framework.errors import RecipeError
from plugins.datasets.annotation_files import AnnotationFiles, Dropped
from plugins.datasets.json_lines import LineRules, read_queries

HIGHEST: Final = 1000
"""The best rating of a clip that is taken for one."""

OTHER_MEANING: Final = ("train", "val", "test", "auto", "held_out")
"""Names of splits that mean something of their own in a recipe."""


def _file(value: str) -> str | None:
    return None if value and value.isprintable() else "must name a file"


@attrs.frozen
class JsonLinesOptions:
    """Which file is which split, and what is done with what other projects wrote."""

    train: str = option("train.jsonl", doc="file to train on, from the data root", rule=_file)
    val: str | None = option(None, doc="file that choices are made on, from the data root", rule=_file)
    test: str = option("test.jsonl", doc="file to test on, from the data root", rule=_file)
    others: tuple[str, ...] = option(
        (),
        doc="further files, from the data root; each is a split with the file's name, less its extension",
        rule=lambda names: next(filter(None, map(_file, names)), None),
    )
    rated_clip_s: float = option(
        2.0, doc="seconds of the clips that relevant_clip_ids counts, from 0", rule=at_least(0.01)
    )
    overlong: str = option(
        "refuse", doc="a window that ends after its video: an error, or cut to it", rule=one_of("refuse", "clip")
    )


class JsonLines(AnnotationFiles):
    """Your own data: a file a split, a JSON object a line.

    A line has qid, query, vid, duration (s), relevant_windows ([start, end] in s) and, where clips have been rated,
    relevant_clip_ids and saliency_scores (a list of whole numbers a clip, one an annotator). This is the form of
    QVHighlights, into which others have converted Charades-STA, TACoS, ActivityNet Captions, Ego4D NLQ and the
    location-shifted splits of Charades-CD. Other keys are left alone. Outside the training split a line may have no
    windows (none, null or []): its query can be answered, and no rule scores the answer.
    """

    def __init__(self, options: JsonLinesOptions, root: Path) -> None:
        super().__init__(options, root)
        self.paths = {"train": self.folder / options.train}
        if options.val is not None:
            self.paths["val"] = self.folder / options.val
        self.paths["test"] = self.folder / options.test
        for name in options.others:
            self._add(name)
        self._require_distinct()
        self.splits = tuple(self.paths)
        self.validation = None if options.val is None else "val"

    def files(self, split: str) -> list[tuple[Path, str]]:
        key = split if split in ("train", "val", "test") else "others"
        return [(self.paths[split], f"[data] {key} names the file of this split, from the data root.")]

    def read(self, split: str) -> tuple[list[Query], list[Dropped]]:
        ((path, source),) = self.files(split)
        rules = LineRules(
            labelled=split == self.train,
            clip_s=self.options.rated_clip_s,
            annotators=None,
            highest=HIGHEST,
            clipped=self.options.overlong == "clip",
            overlong='Mend the line, or set [data] overlong = "clip" to end such windows with their videos.',
        )
        queries = read_queries(path, source, rules)
        if any(query.ratings for query in queries):
            self.rated_clip_s = self.options.rated_clip_s
        return queries, []

    def _add(self, name: str) -> None:
        split = Path(name).stem
        if not split or split in OTHER_MEANING or split in self.paths:
            raise RecipeError(
                f'[data] others: "{name}" would be a split called "{split}", which is taken. Rename the file.'
            )
        self.paths[split] = self.folder / name

    def _require_distinct(self) -> None:
        seen: dict[str, str] = {}
        for split, path in self.paths.items():
            known = seen.setdefault(os.path.realpath(path), split)
            if known != split:
                raise RecipeError(
                    f"[data] {known} and {split} are the same file, {path}. Each split needs a file of its own."
                )
