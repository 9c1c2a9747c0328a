"""TensorBoard: losses, rates, metrics and pictures of maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter


class Boards:
    """Writes the event files of a run folder."""

    def __init__(self, folder: Path) -> None:
        self.writer = SummaryWriter(str(folder))

    def step(self, number: int, losses: Mapping[str, float]) -> None:
        """Losses of one optimizer step."""
        for name, value in losses.items():
            self.writer.add_scalar(f"loss/{name}", value, number)

    def epoch(self, number: int, record: Mapping[str, Any]) -> None:
        """Rate and metrics after an epoch, against optimizer steps."""
        self.writer.add_scalar("rate", record["lr"], record["step"])
        for split, metrics in record["metrics"].items():
            for name, value in metrics.items():
                self.writer.add_scalar(f"{split}/{name}", value, record["step"])
        self.writer.flush()

    def pictures(self, examples: Sequence[Mapping[str, Any]]) -> None:
        """True and predicted maps of a few queries, one row a scale: truth, then each sampling step."""
        for example in examples:
            for scale in example["scales"]:
                panels = [_panel(values, scale["shape"]) for values in [scale["truth"], *scale["steps"]]]
                picture = np.concatenate(panels, axis=1).clip(0, 1)
                tag = f"maps/{example['qid']}/stride {scale['stride']}"
                self.writer.add_image(tag, picture[None], dataformats="CHW")

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()


def _panel(values: Sequence[float | None], shape: Sequence[int]) -> NDArray[np.float32]:
    """A grid as an image, start downwards and length to the right, with a white column after it."""
    grid = np.array([0.0 if value is None else value for value in values], dtype=np.float32).reshape(tuple(shape))
    return np.pad(grid, ((0, 0), (0, 1)), constant_values=1.0)
