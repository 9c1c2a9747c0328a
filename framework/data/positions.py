"""Where each row lies in its excerpt, as two more columns ("tef" of Moment-DETR)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

COLUMNS: Final = 2
"""How many columns ``with_positions`` adds."""


def with_positions(clips: NDArray[np.float32]) -> NDArray[np.float32]:
    """Append i / T and (i + 1) / T to row i of (T, D): where the row starts and ends, as fractions of all rows given.

    Never normalised: the second column of the last row is 1 in every video, however long.
    """
    edges = (np.arange(len(clips) + 1) / max(len(clips), 1)).astype(np.float32)
    return np.concatenate([clips, edges[:-1, None], edges[1:, None]], axis=1)
