"""DiffusionVG: a video-centred encoder, a cascade that crops clips softly, and the noise its numbers came from."""

from __future__ import annotations

from framework.core.part import Paper, Part
from framework.hookspecs import hookimpl
from framework.samplers import GaussianOptions
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
DIFFUSIONDET = Paper(
    "DiffusionDet: Diffusion Model for Object Detection",
    """@inproceedings{chen2023diffusiondet,
  title = {{DiffusionDet}: Diffusion Model for Object Detection},
  author = {Chen, Shoufa and Sun, Peize and Song, Yibing and Luo, Ping},
  booktitle = {International Conference on Computer Vision},
  year = {2023}
}""",
)


@hookimpl
def register_parts() -> list[Part]:
    """Contribute the encoder, the denoiser and the process with the released starting noise."""
    return [
        Part("encoder", "diffusionvg.video_centred", VideoCentredEncoder, VideoCentredOptions, (DIFFUSIONVG,)),
        Part("denoiser", "diffusionvg.cascade", CascadeDenoiser, CascadeOptions, (DIFFUSIONVG, DIFFUSIONDET)),
        Part("sampler", "diffusionvg.clamped_start", ClampedStart, GaussianOptions, (DIFFUSIONVG,)),
    ]
