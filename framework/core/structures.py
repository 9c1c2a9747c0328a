"""The values that travel between the four interfaces.

Shapes: R rows (a text asked against one or more videos), M slots a row, C channels, V videos, Q texts, T clips, L words
and D features, G ground-truth moments, P videos in a row's pool. Every mask is True where real.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import torch
from torch import Tensor

Value = TypeVar("Value")


@attrs.frozen(eq=False)
class Meta:
    """What the evaluator and the writer of predictions need to name things; nothing here reaches a part.

    ids: Q query ids as the dataset gives them. queries: Q sentences. videos: V video ids.
    durations: V annotated lengths in seconds.
    """

    ids: tuple[int | str, ...]
    queries: tuple[str, ...]
    videos: tuple[str, ...]
    durations: tuple[float, ...]


@attrs.frozen(eq=False)
class Batch:
    """Features of V videos and Q texts, who belongs to whom, and the ground truth.

    feats: side -> (x, mask). "video": (V, T, D), (V, T). "text": (Q, L, D), (Q, L), or token ids (Q, L) long.
    extent: (V,) seconds that fraction 1.0 of each video means: the one time base of targets, decoding and metrics.
    pairs: (P, 2) long, the (text, video) pairs that belong together, whether or not their moments are known.
    key: (Q,) long, a stable integer of each query id; noise at evaluation is drawn from it.
    gold: (G, 5) text, video, start, end, weight; start and end are fractions of the extent and may lie outside [0, 1]
    where a training window cut the moment off; any number a pair.
    saliency: (S, 5) text, video, start, end, score: how well each annotated stretch fits the text, larger is better,
    in the same units; None where the data have no such labels.
    """

    feats: Mapping[str, tuple[Tensor, Tensor]]
    extent: Tensor
    pairs: Tensor
    key: Tensor
    gold: Tensor
    meta: Meta
    saliency: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on ``device``."""
        feats = {
            side: (x.to(device, non_blocking=True), mask.to(device, non_blocking=True))
            for side, (x, mask) in self.feats.items()
        }
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in ("extent", "pairs", "key", "gold")}
        saliency = None if self.saliency is None else self.saliency.to(device, non_blocking=True)
        return attrs.evolve(self, feats=feats, saliency=saliency, **moved)


@attrs.frozen(eq=False)
class Index:
    """Who is asked against what. Holds no ground truth.

    ask: (R,) item of the asking side. pool: (R, P) items of the answering side, -1 = padding; P = 1 for localization.
    key: (R,) stable integer of the query, for noise. sides: (asking, answering).
    """

    ask: Tensor
    pool: Tensor
    key: Tensor
    sides: tuple[str, str] = ("text", "video")

    def __len__(self) -> int:
        return int(self.ask.shape[0])


@attrs.frozen(eq=False)
class Rows:
    """An index with the ground truth of each row.

    moments: R tensors (n_r, 4) of place, start, end, weight; n_r = 0 for a negative pair, more than 1 for several
    windows. ``place`` is a position in the row's pool; start and end are fractions of that video's extent.
    saliency: R tensors (s_r, 4) of place, start, end, score in the same units; None where the data have no such labels.
    """

    index: Index
    moments: Sequence[Tensor]
    saliency: Sequence[Tensor] | None = None

    def __len__(self) -> int:
        return len(self.index)

    def padded(self) -> tuple[Tensor, Tensor]:
        """Return the moments as one tensor (R, n, 4) with n at least 1, and its mask (R, n)."""
        longest = max([len(m) for m in self.moments] + [1])
        device = self.index.ask.device
        if all(len(m) == longest for m in self.moments) and self.moments:
            even = torch.stack(list(self.moments)).to(device, torch.float32)
            return even, torch.ones(even.shape[:2], dtype=torch.bool, device=device)
        out = torch.zeros(len(self.moments), longest, 4, device=device)
        mask = torch.zeros(len(self.moments), longest, dtype=torch.bool, device=device)
        if sum(len(m) for m in self.moments):
            counts = torch.tensor([len(m) for m in self.moments], device=device)
            mask = torch.arange(longest, device=device) < counts[:, None]
            out[mask] = torch.cat(list(self.moments)).to(out)
        return out, mask


@attrs.frozen(eq=False)
class Condition:
    """What the encoder gives a row: features whose leading dimension is R.

    memo holds work of a denoiser that no sampling step changes.
    """

    feats: Mapping[str, Tensor]
    rows: int
    memo: dict[Any, Any] = attrs.field(factory=dict)

    def once(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What ``make`` gives, kept in the memo while sampling, so that only the first step pays for it.

        key: names it, the module that makes it for one. With gradients on nothing is kept: a graph can be walked once,
        and weights change between uses.
        """
        if torch.is_grad_enabled():
            return make()
        if key not in self.memo:
            self.memo[key] = make()
        kept: Value = self.memo[key]
        return kept

    @property
    def device(self) -> torch.device:
        """Where the features are, and where a target makes its slots."""
        return next((feature.device for feature in self.feats.values()), torch.device("cpu"))


@attrs.frozen(eq=False)
class Slots:
    """The support of the diffusion variable for one batch.

    mask: (R, M). place: (R, M) long, position in the row's pool. anchor: (M, 2) or (R, M, 2), None for free slots;
    its meaning is the target's (cells: start and end as fractions of the extent).
    shapes: the grid of each scale or level; sizes add up to M. A grid grows along its first dimension only, so that
    the first slots of a longer grid are those of the shorter one.
    """

    mask: Tensor
    place: Tensor
    anchor: Tensor | None
    shapes: tuple[tuple[int, ...], ...]

    @property
    def sizes(self) -> list[int]:
        """Number of slots a scale."""
        return [math.prod(shape) for shape in self.shapes]

    def split(self, x: Tensor) -> list[Tensor]:
        """Cut (R, M, ...) into one grid a scale, (R, *shape, ...)."""
        parts = torch.split(x, self.sizes, dim=1)
        return [part.reshape(x.shape[0], *shape, *x.shape[2:]) for part, shape in zip(parts, self.shapes, strict=True)]

    def merge(self, xs: Sequence[Tensor]) -> Tensor:
        """Undo ``split``: grids (R, *shape, ...) to (R, M, ...)."""
        return torch.cat([x.flatten(1, len(shape)) for x, shape in zip(xs, self.shapes, strict=True)], dim=1)


@attrs.frozen(eq=False)
class Prediction:
    """What a denoiser answers.

    x0: (R, M, C) natural units, what the process continues from. heads: anything else, by name (logits, saliency),
    leading dimensions (R, M). aux: the answers of earlier decoder layers, first layer first.
    """

    x0: Tensor
    heads: Mapping[str, Tensor] = attrs.field(factory=dict)
    aux: Sequence[Prediction] = ()


@attrs.frozen(eq=False)
class Candidates:
    """The decoded candidates of each row, best first, padding last.

    place: (R, n) long. start, end: (R, n), fractions of the extent as a target returns them, seconds once the engine
    has converted them. score: (R, n), any range, larger is better. mask: (R, n).
    """

    place: Tensor
    start: Tensor
    end: Tensor
    score: Tensor
    mask: Tensor


@attrs.frozen(eq=False)
class Moments:
    """The answer to one query, best first: the only thing that leaves a method.

    place: n positions in the pool. start_s, end_s: n seconds, 0 <= start <= end <= duration. score: n.
    """

    place: Tensor
    start_s: Tensor
    end_s: Tensor
    score: Tensor

    def __len__(self) -> int:
        return int(self.score.shape[0])
