"""QVHighlights: queries with several moments each, and how well every clip of them fits (Lei et al. 2021)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs

from framework.core.options import option
from framework.data.dataset import Query
from plugins.datasets.annotation_files import AnnotationFiles, Dropped
from plugins.datasets.json_lines import LineRules, read_queries

HOMEPAGE: Final = "https://github.com/jayleicn/moment_detr"
SOURCE: Final = f"QVHighlights is in the data folder of {HOMEPAGE}"
CLIP_S: Final = 2.0
TEST_LABELLED: Final = "highlight_test_with_gt.jsonl"

ANNOTATORS: Final = 3
HIGHEST: Final = 4
"""The best of the ratings 0, 1, ... that an annotator gives a clip."""


@attrs.frozen
class QVHighlightsOptions:
    """Where the annotations are."""

    annotations: str = option(
        "", doc=f"folder with highlight_{{train,val,test}}_release.jsonl, or {TEST_LABELLED}, from the data root"
    )


class QVHighlights(AnnotationFiles):
    """QVHighlights: 7,218 training, 1,550 validation and 1,542 test queries, one or more moments each, 150 s a video.

    The release has the test split without labels: its queries can be answered, and no rule scores the answers. Since
    the authors' server closed the labels are in a file of their own, which is read where it is there. Most papers
    report val and choose weights on it too; who wants neither to be optimistic holds out a share of the training
    videos, by [data] holdout. Ids are the numbers of the release.
    """

    splits = ("train", "val", "test")
    validation = "val"
    rated_clip_s = CLIP_S
    rule = "qvhighlights"
    homepage = HOMEPAGE

    def __init__(self, options: QVHighlightsOptions, root: Path) -> None:
        super().__init__(options, root, options.annotations)

    def files(self, split: str) -> list[tuple[Path, str]]:
        release, labelled = self.folder / f"highlight_{split}_release.jsonl", self.folder / TEST_LABELLED
        if split != "test":
            return [(release, SOURCE)]
        if labelled.is_file():
            return [(labelled, SOURCE)]
        return [(release, f"{SOURCE}; {TEST_LABELLED}, which has the labels too, will do as well.")]

    def read(self, split: str) -> tuple[list[Query], list[Dropped]]:
        ((path, source),) = self.files(split)
        labelled = split != "test" or path.name == TEST_LABELLED
        return read_queries(path, source, LineRules(labelled, CLIP_S, ANNOTATORS, HIGHEST)), []
