"""The laws that every part keeps, and one call a part that tries them all."""

from framework.testing.laws.denoiser import DENOISER_LAWS, check_denoiser
from framework.testing.laws.encoder import ENCODER_LAWS, check_encoder
from framework.testing.laws.law import Law, LawError
from framework.testing.laws.sampler import SAMPLER_LAWS, check_sampler
from framework.testing.laws.target import TARGET_LAWS, check_target

__all__ = [
    "DENOISER_LAWS",
    "ENCODER_LAWS",
    "SAMPLER_LAWS",
    "TARGET_LAWS",
    "Law",
    "LawError",
    "check_denoiser",
    "check_encoder",
    "check_sampler",
    "check_target",
]
