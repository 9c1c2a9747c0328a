"""The maps of a video: their number and size, and which of their cells it has."""

from __future__ import annotations

import attrs
from torch import Tensor

from framework.core.options import at_least, option
from framework.targets import MapPyramid, map_rows


@attrs.frozen
class Scales:
    """The part of a layout that a network without positions needs."""

    scales: int = option(3, doc="maps, each of half the rows of the one before", rule=at_least(1), shared=True)


@attrs.frozen
class Layout(Scales):
    """Sizes of the maps; a recipe writes them once, in [layout]."""

    clips: int = option(64, doc="rows of the finest map; more for a longer video", rule=at_least(1), shared=True)
    anchors: int = option(16, doc="columns of each map", rule=at_least(1), shared=True)

    def check_layout(self) -> None:
        """Refuse sizes that no features can be made for; raises ValueError."""
        if (longest := self.anchors << (self.scales - 1)) > self.clips:
            raise ValueError(f"clips = {self.clips} must hold the longest cell, anchors * 2^(scales - 1) = {longest}")
        if self.scales > 1 and self.anchors % 2:
            raise ValueError(f"anchors = {self.anchors} must be even where there are several scales: half are copied")

    def pyramid(self, clips: Tensor) -> MapPyramid:
        """Maps that hold every video of a batch, clips (V,) long; encoder and target ask here, so their cells agree."""
        return MapPyramid.cached(map_rows(clips, self.clips, self.scales), self.scales, self.anchors)


def cells_inside(pyramid: MapPyramid, clips: Tensor) -> Tensor:
    """Mask (R, M) of the cells that end within their video; clips: (R,) long.

    Cell (row, a) of map k is real where row + a + 1 <= clips // 2^k, as the authors' network masks it. A video of fewer
    than 2^k clips has no cell there, although their data loader keeps one row of ground truth for it.
    """
    _, _, start, length = pyramid.cells.to(clips.device).unbind(dim=1)
    return start + length <= clips[:, None]
