"""The pyramid of two-dimensional temporal maps: cells, their IoU with moments, and fusion to one map.

Zhang et al. 2021, Multi-Scale 2D Temporal Adjacency Networks, section 3. Legend: N clips (rows of the finest map),
A anchors (columns of each map), K scales, R rows of a batch, M cells of all scales together.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from framework.errors import UserError
from framework.moments.iou import iou


class MapPyramid:
    """K maps; cell (row, a) of map k starts at clip row * 2^k and is (a + 1) * 2^k clips long.

    cells: (M, 4) long of scale, row, start, length, the last two in clips; finest map first, row by row.
    shapes: the size of each map, (N // 2^k, A).
    """

    # What is kept must not be an inference tensor: a later training step could not save it for its backward pass.
    @torch.inference_mode(False)
    def __init__(self, clips: int, scales: int, anchors: int) -> None:
        """Lay out the maps; raises UserError where their longest cell does not fit the finest map."""
        _check(clips, scales, anchors)
        self.clips, self.scales, self.anchors = clips, scales, anchors
        self.shapes = tuple((clips >> scale, anchors) for scale in range(scales))
        self.cells = torch.cat([_cells(scale, *shape) for scale, shape in enumerate(self.shapes)])
        keys, self._group = torch.unique(self._key(self.cells), return_inverse=True)
        self.distinct = torch.stack([keys // clips, keys % clips + 1], dim=1)
        """(M', 2) long: start and length in clips of each moment that some cell stands for, sorted."""
        self._copies: dict[torch.device, tuple[Tensor, Tensor]] = {}

    @staticmethod
    @functools.lru_cache(maxsize=64)
    def cached(clips: int, scales: int, anchors: int) -> MapPyramid:
        """Return one shared instance per size: batches ask for the same few sizes again and again."""
        return MapPyramid(clips, scales, anchors)

    def mask(self, lengths: Tensor) -> Tensor:
        """Cells (R, M) that end within their video. lengths: (R,) long, clips, at most N.

        Map k of a video of n clips has max(n // 2^k, 1) rows: the shortest video keeps one cell a scale.
        """
        scale, row, _, length = self._on(lengths.device)[0].unbind(1)
        rows = (lengths[:, None] >> scale).clamp(min=1)
        return row + (length >> scale) <= rows

    def iou(self, moments: Tensor, mask: Tensor | None, lengths: Tensor) -> Tensor:
        """Best temporal IoU of each cell with the moments of its row: (R, M) float32, 0 at cells outside the mask.

        moments: (R, n, 2) start and end in clips, fractions allowed; parts outside the map count in the union, as a
        moment cut by a crop should not look whole. mask: (R, n), None where all are real.
        """
        start, length = self._on(moments.device)[0][:, 2:].double().unbind(1)
        # float64: at clip 2000 of a long video a float32 end is off by 1e-4 clips.
        found = iou(moments.double(), torch.stack([start, start + length], dim=1))
        if mask is not None:
            found = found.masked_fill(~mask[..., None], 0.0)
        best = found.amax(dim=1) if found.shape[1] else found.new_zeros(found.shape[0], found.shape[2])
        return best.masked_fill(~self.mask(lengths), 0.0).float()

    def fuse(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Largest value of each distinct moment over the cells that stand for it, (R, M'); -inf where all are invalid.

        values: (R, M). Columns follow ``distinct``. Maxima start at -inf, where the authors' code starts at 0 and so
        loses every negative value, legal for a regression.
        """
        group = self._on(values.device)[1].expand_as(values)
        valid = values.masked_fill(~self.mask(lengths), -torch.inf)
        fused = valid.new_full((len(values), len(self.distinct)), -torch.inf)
        return fused.scatter_reduce(1, group, valid, "amax")

    def merge(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Fuse all scales to one map (R, N, N) of start clip and length - 1; -inf where nothing valid predicts.

        values: (R, M). lengths: (R,) long, clips. To rank moments, ``fuse`` and ``distinct`` need no N x N map.
        """
        joint = values.new_full((len(values), self.clips * self.clips), -torch.inf)
        start, length = self.distinct.to(values.device).unbind(1)
        joint[:, start * self.clips + length - 1] = self.fuse(values, lengths)
        return joint.view(-1, self.clips, self.clips)

    def _key(self, cells: Tensor) -> Tensor:
        """Place of each cell (M,) in the flattened joint map."""
        return cells[:, 2] * self.clips + cells[:, 3] - 1

    @torch.inference_mode(False)
    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """``cells`` and the distinct moment of each, on ``device``."""
        if device not in self._copies:
            self._copies[device] = self.cells.to(device), self._group.to(device)
        return self._copies[device]


def map_rows(clips: Tensor, window: int, scales: int) -> int:
    """Rows of the finest map for a batch: ``window``, or more where a video is longer, a multiple of 2^(K-1).

    clips: (V,) clips of each video. Longer videos are seen whole at inference; the multiple makes every map exact.
    """
    step = 1 << (scales - 1)
    return max(window, -(-int(clips.max()) // step) * step)


def _check(clips: int, scales: int, anchors: int) -> None:
    sizes = f"clips = {clips}, scales = {scales}, anchors = {anchors}"
    if min(clips, scales, anchors) < 1:
        raise UserError(f"map pyramid with {sizes}: each must be at least 1")
    longest = anchors << (scales - 1)
    if longest > clips:
        raise UserError(
            f"map pyramid with {sizes}: the longest cell, anchors * 2^(scales - 1) = {longest} clips, must fit in "
            f"{clips} clips; use fewer scales or anchors, or more clips"
        )


def _cells(scale: int, rows: int, anchors: int) -> Tensor:
    """Cells (rows * anchors, 4) of one map: scale, row, start, length."""
    row = torch.arange(rows).repeat_interleave(anchors)
    length = (torch.arange(anchors) + 1).repeat(rows) << scale
    return torch.stack([torch.full_like(row, scale), row, row << scale, length], dim=1)
