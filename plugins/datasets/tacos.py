"""TACoS: sentences with moments on long cooking videos (Regneri et al. 2013, split by Gao et al. 2017)."""

from __future__ import annotations

import os
from typing import Any, Final

from plugins.datasets.json_annotations import duration_of, number_of, value_of
from plugins.datasets.timed_sentences import TimedSentences, Video

HOMEPAGE: Final = "https://github.com/microsoft/VideoX"


class Tacos(TimedSentences):
    """TACoS: 9,790 training, 4,436 validation and 4,001 test queries on 127 videos, one moment a query.

    Times are frames, ``fps`` of them a second; a video is the key of its record without the extension.
    """

    homepage = HOMEPAGE
    source = f"TACoS as JSON is in the data folder of MS-2D-TAN: {HOMEPAGE}"

    def video(self, split: str, name: str, record: dict[str, Any], place: str) -> Video:
        fps, frames = (
            number_of(value_of(record, key, place), f"{place} {key}", positive=True) for key in ("fps", "num_frames")
        )
        duration_of(frames / fps, f"{place} num_frames / fps")
        video = os.path.splitext(name)[0]
        return Video(video, video, place, frames, "frames", fps)
