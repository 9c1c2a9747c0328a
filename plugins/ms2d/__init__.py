"""Multi-scale 2D temporal map diffusion, and MS-2D-TAN as its one-step control."""

from __future__ import annotations

from framework.core.part import Paper, Part
from framework.hookspecs import hookimpl
from plugins.ms2d.conv import ConvDenoiser, ConvOptions
from plugins.ms2d.encoder import TanEncoder, TanOptions
from plugins.ms2d.iou_maps import IouMaps, IouMapsOptions
from plugins.ms2d.transformer import TransformerDenoiser, TransformerOptions

MS2D = Paper(
    "Multi-scale 2D Temporal Map Diffusion Models for Natural Language Video Localization",
    """@article{zhang2024multiscale,
  title = {Multi-scale 2D Temporal Map Diffusion Models for Natural Language Video Localization},
  author = {Zhang, Chongzhi and Zhang, Mingyuan and Teng, Zhiyang and Li, Jiayi and Zhu, Xizhou and Lu, Lewei and
            Liu, Ziwei and Sun, Aixin},
  journal = {arXiv preprint arXiv:2401.08232},
  year = {2024}
}""",
)
TAN = Paper(
    "Multi-Scale 2D Temporal Adjacency Networks for Moment Localization with Natural Language",
    """@article{zhang2022multiscale,
  title = {Multi-Scale 2D Temporal Adjacency Networks for Moment Localization with Natural Language},
  author = {Zhang, Songyang and Peng, Houwen and Fu, Jianlong and Lu, Yijuan and Luo, Jiebo},
  journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence},
  volume = {44},
  number = {12},
  pages = {9073--9087},
  year = {2022}
}""",
)
GATED_CONV = Paper(
    "Free-Form Image Inpainting with Gated Convolution",
    """@inproceedings{yu2019free,
  title = {Free-Form Image Inpainting with Gated Convolution},
  author = {Yu, Jiahui and Lin, Zhe and Yang, Jimei and Shen, Xiaohui and Lu, Xin and Huang, Thomas S.},
  booktitle = {ICCV},
  pages = {4471--4480},
  year = {2019}
}""",
)
MOTION_DIFFUSE = Paper(
    "MotionDiffuse: Text-Driven Human Motion Generation with Diffusion Model",
    """@article{zhang2022motiondiffuse,
  title = {MotionDiffuse: Text-Driven Human Motion Generation with Diffusion Model},
  author = {Zhang, Mingyuan and Cai, Zhongang and Pan, Liang and Hong, Fangzhou and Guo, Xinying and Yang, Lei and
            Liu, Ziwei},
  journal = {arXiv preprint arXiv:2208.15001},
  year = {2022}
}""",
)


@hookimpl
def register_parts() -> list[Part]:
    """Contribute the encoder, the target and both denoisers."""
    return [
        Part("encoder", "ms2d.tan", TanEncoder, TanOptions, (TAN, MS2D)),
        Part("target", "ms2d.iou_maps", IouMaps, IouMapsOptions, (MS2D, TAN)),
        Part("denoiser", "ms2d.conv", ConvDenoiser, ConvOptions, (MS2D, GATED_CONV, MOTION_DIFFUSE)),
        Part("denoiser", "ms2d.transformer", TransformerDenoiser, TransformerOptions, (MS2D, MOTION_DIFFUSE)),
    ]
