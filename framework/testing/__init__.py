"""Strategies, the laws and a tiny dataset, for our parts and for others'; needs ``pip install nlvl[test]``."""

from framework.testing import strategies, tiny, toys
from framework.testing.laws import LawError, check_denoiser, check_encoder, check_sampler, check_target

__all__ = [
    "LawError",
    "check_denoiser",
    "check_encoder",
    "check_sampler",
    "check_target",
    "strategies",
    "tiny",
    "toys",
]
