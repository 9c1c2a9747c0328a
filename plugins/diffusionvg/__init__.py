"""DiffusionVG: a video-centred encoder, a cascade that crops clips softly, and the noise its numbers came from."""

from __future__ import annotations

from framework.core.part import Paper, Part
from framework.hookspecs import hookimpl
from framework.samplers import GaussianOptions
from framework.targets.papers import DIFFUSION_DET
from plugins.diffusionvg.cascade import CascadeDenoiser, CascadeOptions
from plugins.diffusionvg.clamped_start import ClampedStart
from plugins.diffusionvg.encoder import VideoCentredEncoder, VideoCentredOptions

DIFFUSIONVG = Paper(
    "Exploring Iterative Refinement with Diffusion Models for Video Grounding",
    """@inproceedings{liang2024exploring,
  title = {Exploring Iterative Refinement with Diffusion Models for Video Grounding},
  author = {Liang, Xiao and Shi, Tao and Liang, Yaoyuan and Tao, Te and Huang, Shao-Lun},
  booktitle = {IEEE International Conference on Multimedia and Expo},
  year = {2024},
  note = {arXiv:2310.17189}
}""",
)


@hookimpl
def register_parts() -> list[Part]:
    """Contribute the encoder, the denoiser and the process with the released starting noise."""
    return [
        Part("encoder", "diffusionvg.video_centred", VideoCentredEncoder, VideoCentredOptions, (DIFFUSIONVG,)),
        Part("denoiser", "diffusionvg.cascade", CascadeDenoiser, CascadeOptions, (DIFFUSIONVG, DIFFUSION_DET)),
        Part("sampler", "diffusionvg.clamped_start", ClampedStart, GaussianOptions, (DIFFUSIONVG,)),
    ]
