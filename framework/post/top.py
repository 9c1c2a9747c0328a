"""The first few candidates, overlapping or not, as a part."""

from __future__ import annotations

import attrs

from framework.core.options import at_least, option
from framework.core.post import PostProcessor
from framework.core.structures import Candidates
from framework.post.rounding import rounded, rounding, stated


@attrs.frozen
class TopOptions:
    """First moments."""

    top: int = option(5, doc="moments kept a query", rule=at_least(1))
    round_s: float = rounding()


class Top(PostProcessor):
    """Keep the best moments and suppress none, as set methods do."""

    def __init__(self, options: TopOptions) -> None:
        self.options = options
        self.rule = f"{stated(options.round_s)}no suppression; first {options.top} kept"

    def __call__(self, candidates: Candidates) -> Candidates:
        fields = attrs.astuple(rounded(candidates, self.options.round_s), recurse=False)
        return Candidates(*(field[:, : self.options.top] for field in fields))
