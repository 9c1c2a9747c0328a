"""Pair: the same work done twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from numpy.typing import NDArray
from torch import Tensor

Work = Callable[[], Mapping[str, Tensor | NDArray[Any]]]


@attrs.frozen(eq=False)
class Pair:
    """One line of the table: the same work done twice. Each side returns all its results by name, gradients too."""

    case: str
    obvious: Work
    ours: Work
