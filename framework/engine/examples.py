"""A few queries in detail for a report: truth, answers, and each sampling step of maps and of sets of spans."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from framework.core.noise import KeyedNoise
from framework.core.structures import Batch, Candidates, Rows, Slots
from framework.engine.assemble import Objective
from framework.engine.predict import Answers, seconds

PROPOSALS: Final = 20
"""Spans that are kept of one sampling step."""


def examples_of(objective: Objective, batch: Batch, found: Answers, shown: set[int | str]) -> list[dict[str, Any]]:
    """Describe the rows of a batch whose query id is in ``shown``, as values that JSON can hold."""
    rows = objective.rows.rows(batch, None)
    ideal, walked = _ideal(objective, rows, found.slots), _walked(objective, batch, found)
    described = []
    for row, text in enumerate(found.index.ask.tolist()):
        if batch.meta.ids[text] not in shown:
            continue
        video = int(found.index.pool[row, 0])
        extent, duration = float(batch.extent[video]), batch.meta.durations[video]
        described.append(
            {
                "qid": batch.meta.ids[text],
                "query": batch.meta.queries[text],
                "video": batch.meta.videos[video],
                "duration": duration,
                "truth": _rounded((rows.moments[row][:, 1:3] * extent).clamp(0, duration)),
                "moments": _spans(found.candidates, row),
                "scales": [] if ideal is None else _scales(found, row, ideal, extent),
                "steps": [_spans(step, row)[:PROPOSALS] for step in walked],
            }
        )
    return described


def _ideal(objective: Objective, rows: Rows, slots: Slots) -> Tensor | None:
    """The clean value of a target of 2-D grids, (R, M, 1); None for other targets."""
    if slots.anchor is None or any(len(shape) != 2 for shape in slots.shapes) or objective.target.space.channels != 1:
        return None
    return objective.target.ideal(rows, slots, KeyedNoise(0, rows.index.key)).x0


def _walked(objective: Objective, batch: Batch, found: Answers) -> list[Candidates]:
    """What a target of free spans reads from each sampling step alone, in seconds; nothing for other targets."""
    if found.slots.anchor is not None or objective.target.space.channels != 2:
        return []
    decoded = [objective.target.decode([step], found.cond, found.slots) for step in found.predictions]
    return [seconds(step, batch, found.index) for step in decoded]


def _scales(found: Answers, row: int, truth: Tensor, extent: float) -> list[dict[str, Any]]:
    """One entry a scale: truth and steps as flat lists, None where a cell is masked."""
    slots, one = found.slots, slice(row, row + 1)
    assert slots.anchor is not None
    anchor = slots.anchor[row] if slots.anchor.dim() == 3 else slots.anchor
    lengths = [float(part[0, 1] - part[0, 0]) * extent for part in torch.split(anchor, slots.sizes)]
    masks, truths = slots.split(slots.mask[one]), slots.split(truth[one])
    walked = [slots.split(step.x0[one]) for step in found.predictions]
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


def _spans(candidates: Candidates, row: int) -> list[list[float]]:
    """Start, end and score of the candidates of one row, best first."""
    table = torch.stack([candidates.start[row], candidates.end[row], candidates.score[row]], -1)
    return _rounded(table[candidates.mask[row]])


def _flat(values: Tensor, mask: Tensor) -> list[float | None]:
    pairs = zip(values.flatten().tolist(), mask.flatten().tolist(), strict=True)
    return [round(value, 4) if real else None for value, real in pairs]


def _rounded(values: Tensor) -> list[list[float]]:
    return [[round(number, 4) for number in line] for line in values.tolist()]
