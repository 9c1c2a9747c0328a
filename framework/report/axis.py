"""What stands below a plot."""

from __future__ import annotations

from typing import Any, Final

import attrs
from matplotlib.ticker import MaxNLocator, NullLocator


@attrs.frozen
class Axis:
    """The horizontal axis of a plot.

    label: shown as it is, never as a formula. ticks: place and words of each, empty where they are to be found. whole:
    ticks that are found stand at whole numbers.
    """

    label: str
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()
    whole: bool = False

    def draw(self, axes: Any, colour: str) -> None:
        """Set label, scale and ticks of matplotlib's ``axes``."""
        axes.set_xlabel(self.label, color=colour, parse_math=False)
        if self.log:
            axes.set_xscale("log")
        if self.ticks:
            axes.set_xticks([place for place, _ in self.ticks], [words for _, words in self.ticks], parse_math=False)
            axes.xaxis.set_minor_locator(NullLocator())
        elif not self.log:
            axes.xaxis.set_major_locator(MaxNLocator(integer=self.whole))


EPOCHS: Final = Axis("epoch", whole=True)
