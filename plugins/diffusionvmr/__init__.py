"""DiffusionVMR: spans drawn at random and refined, crop by crop, to the moments of a sentence."""

from __future__ import annotations

from framework.core.part import Paper, Part
from framework.hookspecs import hookimpl
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
MOMENT_DETR = Paper(
    "Detecting Moments and Highlights in Videos via Natural Language Queries",
    """@inproceedings{lei2021detecting,
  title = {Detecting Moments and Highlights in Videos via Natural Language Queries},
  author = {Lei, Jie and Berg, Tamara L. and Bansal, Mohit},
  booktitle = {NeurIPS},
  pages = {11846--11858},
  year = {2021}
}""",
)
MOMENT_DIFF = Paper(
    "MomentDiff: Generative Video Moment Retrieval from Random to Real",
    """@inproceedings{li2023momentdiff,
  title = {MomentDiff: Generative Video Moment Retrieval from Random to Real},
  author = {Li, Pandeng and Xie, Chen-Wei and Xie, Hongtao and Zhao, Liming and Zhang, Lei and Zheng, Yun and
            Zhao, Deli and Zhang, Yongdong},
  booktitle = {NeurIPS},
  year = {2023}
}""",
)
DIFFUSION_DET = Paper(
    "DiffusionDet: Diffusion Model for Object Detection",
    """@inproceedings{chen2023diffusiondet,
  title = {DiffusionDet: Diffusion Model for Object Detection},
  author = {Chen, Shoufa and Sun, Peize and Song, Yibing and Luo, Ping},
  booktitle = {ICCV},
  pages = {19830--19843},
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
