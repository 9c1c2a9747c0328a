"""Schedules, timestep pairs and single steps: mathematics on tensors."""

from framework.diffusion.ddim import ddim_step
from framework.diffusion.ddpm import ddpm_step
from framework.diffusion.dpm_solver import dpmpp_2m_step
from framework.diffusion.noising import add_noise
from framework.diffusion.schedules import SCHEDULES, schedule
from framework.diffusion.timesteps import SPACINGS, timestep_pairs

__all__ = [
    "SCHEDULES",
    "SPACINGS",
    "add_noise",
    "ddim_step",
    "ddpm_step",
    "dpmpp_2m_step",
    "schedule",
    "timestep_pairs",
]
