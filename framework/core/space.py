"""The only converter between a target's natural units and the signal that the process sees."""

from __future__ import annotations

import torch
from torch import Tensor


class Space:
    """Per-channel range of a target and its place in signal units.

    Natural values of channel c lie in [lo[c], hi[c]]. A signed signal lies in [-scale, scale], an unsigned one in
    [0, scale]. With ``clip`` the noisy signal is clamped to the signal range before a denoiser sees it, as span methods
    need: a noisy width can be negative.
    """

    def __init__(
        self,
        lo: tuple[float, ...] = (0.0,),
        hi: tuple[float, ...] = (1.0,),
        scale: float = 1.0,
        *,
        signed: bool = True,
        clip: bool = False,
    ) -> None:
        if len(lo) != len(hi) or any(a >= b for a, b in zip(lo, hi, strict=False)):
            raise ValueError(f"Space needs lo < hi for each channel; got lo = {lo}, hi = {hi}")
        if scale <= 0:
            raise ValueError(f"Space needs scale > 0; got {scale}")
        self.lo, self.hi, self.scale, self.signed, self.clip = lo, hi, scale, signed, clip

    @property
    def channels(self) -> int:
        """Numbers a slot (C)."""
        return len(self.lo)

    @property
    def low(self) -> float:
        """Lower end of the signal range."""
        return -self.scale if self.signed else 0.0

    def _range(self, like: Tensor) -> tuple[Tensor, Tensor]:
        lo = torch.tensor(self.lo, dtype=like.dtype, device=like.device)
        return lo, torch.tensor(self.hi, dtype=like.dtype, device=like.device) - lo

    def signal(self, natural: Tensor) -> Tensor:
        """Natural units (R, M, C) to signal units."""
        lo, width = self._range(natural)
        unit = (natural - lo) / width
        return (unit * 2 - 1) * self.scale if self.signed else unit * self.scale

    def natural(self, signal: Tensor) -> Tensor:
        """Signal units (R, M, C) to natural units; clamps first where the space clips."""
        lo, width = self._range(signal)
        unit = (self.clamp(signal) if self.clip else signal) / self.scale
        return ((unit + 1) / 2 if self.signed else unit) * width + lo

    def clamp(self, signal: Tensor) -> Tensor:
        """Clamp a predicted signal to the data range, before epsilon is formed from it."""
        return signal.clamp(self.low, self.scale)
