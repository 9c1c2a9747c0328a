"""A tiny dataset: clip r of video n holds (n, r + 1, 1), so that every number tells where it is from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from framework.data.dataset import Query
from framework.data.text import LearnedOptions, LearnedText

ROWS = {"a": 3, "b": 12, "c": 7, "d": 8, "e": 9, "f": 20}


@pytest.fixture(scope="session")
def clips() -> dict[str, NDArray[np.float32]]:
    return {
        video: np.array([(number, row + 1, 1) for row in range(rows)], dtype=np.float32)
        for number, (video, rows) in enumerate(ROWS.items())
    }


@pytest.fixture(scope="session")
def folder(clips: dict[str, NDArray[np.float32]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("npy")
    for video, values in clips.items():
        np.save(folder / f"{video}.npy", values)
    return folder


@pytest.fixture(scope="session")
def queries() -> list[Query]:
    """Three queries a video; query i asks with i + 1 words for row i of its video, whose rows last half a second."""
    return [
        Query(
            id=f"{video}{place}",
            text=" ".join(f"word{n}" for n in range(place + 1)),
            video=video,
            duration=rows * 0.5,
            moments=((place * 0.5, place * 0.5 + 0.5, 1.0),),
            place=f"file:{place}",
        )
        for video, rows in ROWS.items()
        for place in range(3)
    ]


@pytest.fixture(scope="session")
def text(queries: list[Query]) -> LearnedText:
    source = LearnedText(LearnedOptions(), Path("."))
    source.prepare([query.text for query in queries], [])
    return source
