"""Predicted saliency brought to the clips that people have rated, and scored against what they gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.core.structures import Batch
from framework.data.clip_length import whole_clips
from framework.engine.predict import Answers
from framework.metrics.metric import Metric

Scores = dict[int | str, NDArray[np.float64]]


@attrs.frozen(eq=False)
class Rated:
    """What people gave the clips of a split. clip_s: seconds a clip. ratings: query id -> (clips, annotators)."""

    clip_s: float
    ratings: Mapping[int | str, NDArray[np.int64]]

    def score(self, metric: Metric, saliency: Mapping[int | str, NDArray[np.float64]]) -> dict[str, float]:
        """Numbers of the rule's highlight part; none where the rule has none or the method scores no clips.

        A video whose features end before the middle of its first clip has no score at all; it counts as one of 0.
        """
        if not metric.highlight_names or not self.ratings or not saliency:
            return {}
        scores = {query: saliency[query] if len(saliency[query]) else np.zeros(1) for query in self.ratings}
        return metric.highlights(scores, self.ratings)


def saliency_of(found: Answers, batch: Batch, clip_s: float) -> Iterator[tuple[int | str, NDArray[np.float64]]]:
    """Query id and (n,) scores, one for each clip of ``clip_s`` seconds that fits into the video.

    There are fewer where the features end earlier, and none where the encoder gives no "saliency". A clip takes the
    score of the feature row that its middle falls into.
    """
    if "saliency" not in found.cond.feats:
        return
    scores = found.cond.feats["saliency"][..., 0].double().cpu().numpy()
    rows = found.cond.feats["clips"].long().cpu().tolist()
    for row, (text, video) in enumerate(zip(found.index.ask.tolist(), found.index.pool[:, 0].tolist(), strict=True)):
        row_s = float(batch.extent[video]) / rows[row]
        middles = (np.arange(whole_clips(batch.meta.durations[video], clip_s)) + 0.5) * clip_s
        places = np.floor(middles / row_s).astype(np.int64)
        yield batch.meta.ids[text], scores[row, places[places < rows[row]]]
