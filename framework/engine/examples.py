"""A few queries in detail for a report: truth, answers, and each sampling step of targets that live on 2-D grids."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from framework.core.noise import KeyedNoise
from framework.core.structures import Batch, Slots
from framework.engine.assemble import Objective
from framework.engine.predict import Answers


def examples_of(objective: Objective, batch: Batch, found: Answers, shown: set[int | str]) -> list[dict[str, Any]]:
    """Describe the rows of a batch whose query id is in ``shown``, as values that JSON can hold."""
    rows = objective.rows.rows(batch, None)
    ideal = objective.target.ideal(rows, found.slots, KeyedNoise(0, rows.index.key)).x0
    described = []
    for row, text in enumerate(found.index.ask.tolist()):
        if batch.meta.ids[text] not in shown:
            continue
        video = int(found.index.pool[row, 0])
        extent, duration = float(batch.extent[video]), batch.meta.durations[video]
        candidates = found.candidates
        moments = torch.stack([candidates.start[row], candidates.end[row], candidates.score[row]], -1)
        truth = (rows.moments[row][:, 1:3] * extent).clamp(0, duration)
        steps = [step.x0 for step in found.predictions]
        described.append(
            {
                "qid": batch.meta.ids[text],
                "query": batch.meta.queries[text],
                "video": batch.meta.videos[video],
                "duration": duration,
                "truth": _rounded(truth),
                "moments": _rounded(moments[candidates.mask[row]]),
                "scales": _scales(found.slots, row, ideal, steps, extent),
            }
        )
    return described


def _scales(slots: Slots, row: int, truth: Tensor, steps: list[Tensor], extent: float) -> list[dict[str, Any]]:
    """One entry a scale: truth and steps as flat lists, None where a cell is masked; empty for other targets."""
    if slots.anchor is None or any(len(shape) != 2 for shape in slots.shapes) or truth.shape[-1] != 1:
        return []
    one = slice(row, row + 1)
    anchor = slots.anchor[row] if slots.anchor.dim() == 3 else slots.anchor
    lengths = [float(part[0, 1] - part[0, 0]) * extent for part in torch.split(anchor, slots.sizes)]
    masks, truths = slots.split(slots.mask[one]), slots.split(truth[one])
    walked = [slots.split(step[one]) for step in steps]
    return [
        {
            "shape": list(shape),
            "stride": round(lengths[scale] / lengths[0]),
            "unit_s": round(lengths[0], 6),
            "truth": _flat(truths[scale], masks[scale]),
            "steps": [_flat(step[scale], masks[scale]) for step in walked],
        }
        for scale, shape in enumerate(slots.shapes)
    ]


def _flat(values: Tensor, mask: Tensor) -> list[float | None]:
    pairs = zip(values.flatten().tolist(), mask.flatten().tolist(), strict=True)
    return [round(value, 4) if real else None for value, real in pairs]


def _rounded(values: Tensor) -> list[list[float]]:
    return [[round(number, 4) for number in line] for line in values.tolist()]
