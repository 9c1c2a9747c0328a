"""The two processes as parts: Gaussian and one-step."""

from __future__ import annotations

from typing import Final

from framework.core.part import Part
from framework.samplers import papers
from framework.samplers.gaussian import Gaussian, GaussianOptions
from framework.samplers.one_step import OneStep, OneStepOptions

PARTS: Final = (
    Part("sampler", "gaussian", Gaussian, GaussianOptions, papers.GAUSSIAN),
    Part("sampler", "one_step", OneStep, OneStepOptions),
)

__all__ = ["PARTS", "Gaussian", "GaussianOptions", "OneStep", "OneStepOptions"]
