"""DiffusionVMR: spans drawn at random and refined, crop by crop, to the moments of a sentence."""

from __future__ import annotations

from framework.core.part import Paper, Part
from framework.hookspecs import hookimpl
from framework.targets.papers import DIFFUSION_DET, MOMENT_DETR, MOMENT_DIFF
from plugins.diffusionvmr.cascade import Cascade, CascadeOptions
from plugins.diffusionvmr.joint import JointEncoder, JointOptions

DIFFUSIONVMR = Paper(
    "DiffusionVMR: Diffusion Model for Video Moment Retrieval",
    """@article{zhao2023diffusionvmr,
  title = {DiffusionVMR: Diffusion Model for Video Moment Retrieval},
  author = {Zhao, Henghao and Lin, Kevin Qinghong and Yan, Rui and Li, Zechao},
  journal = {arXiv preprint arXiv:2308.15109},
  year = {2023}
}""",
)
SPARSE_RCNN = Paper(
    "Sparse R-CNN: End-to-End Object Detection with Learnable Proposals",
    """@inproceedings{sun2021sparse,
  title = {Sparse R-CNN: End-to-End Object Detection with Learnable Proposals},
  author = {Sun, Peize and Zhang, Rufeng and Jiang, Yi and Kong, Tao and Xu, Chenfeng and Zhan, Wei and
            Tomizuka, Masayoshi and Li, Lei and Yuan, Zehuan and Wang, Changhu and Luo, Ping},
  booktitle = {CVPR},
  pages = {14454--14463},
  year = {2021}
}""",
)


@hookimpl
def register_parts() -> list[Part]:
    """Contribute the encoder and the denoiser."""
    return [
        Part("encoder", "diffusionvmr.joint", JointEncoder, JointOptions, (DIFFUSIONVMR, MOMENT_DETR, MOMENT_DIFF)),
        Part("denoiser", "diffusionvmr.cascade", Cascade, CascadeOptions, (DIFFUSIONVMR, DIFFUSION_DET, SPARSE_RCNN)),
    ]
