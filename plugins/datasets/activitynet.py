"""ActivityNet Captions: sentences with moments on videos of all kinds (Krishna et al. 2017)."""

from __future__ import annotations

from typing import Any, Final

from plugins.datasets.json_annotations import duration_of, value_of
from plugins.datasets.timed_sentences import TimedSentences, Video

HOMEPAGE: Final = "https://github.com/microsoft/VideoX"


class ActivityNet(TimedSentences):
    """ActivityNet Captions: 37,417 training, 17,505 validation and 17,031 test queries on 14,926 videos.

    Times are seconds. The splits are those of MS-2D-TAN: val is the release's val_1, and test is its val_2, a second
    annotation of the same videos. So an id of the test split says which it is of, as ``v_uqiMw7tQ1Cc_test_0``: else
    two sentences of one video would share an id, and vectors of words that are kept by id.
    """

    homepage = HOMEPAGE
    source = f"ActivityNet Captions as JSON is in the data folder of MS-2D-TAN: {HOMEPAGE}"

    def video(self, split: str, name: str, record: dict[str, Any], place: str) -> Video:
        duration = duration_of(value_of(record, "duration", place), f"{place} duration")
        return Video(name, f"{name}_test" if split == "test" else name, place, duration, "s", 1.0)
