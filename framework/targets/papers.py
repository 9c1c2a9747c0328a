"""Sources of the span-set target, and those that several span methods share."""

from __future__ import annotations

from typing import Final

from framework.core.part import Paper

DETR: Final = Paper(
    "End-to-End Object Detection with Transformers",
    """@inproceedings{carion2020detr,
  title = {End-to-End Object Detection with Transformers},
  author = {Carion, Nicolas and Massa, Francisco and Synnaeve, Gabriel and Usunier, Nicolas and Kirillov, Alexander and
            Zagoruyko, Sergey},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year = {2020}
}""",
)
DIFFUSION_DET: Final = Paper(
    "DiffusionDet: Diffusion Model for Object Detection",
    """@inproceedings{chen2023diffusiondet,
  title = {{DiffusionDet}: Diffusion Model for Object Detection},
  author = {Chen, Shoufa and Sun, Peize and Song, Yibing and Luo, Ping},
  booktitle = {IEEE/CVF International Conference on Computer Vision (ICCV)},
  year = {2023}
}""",
)
MOMENT_DETR: Final = Paper(
    "QVHighlights: Detecting Moments and Highlights in Videos via Natural Language Queries",
    """@inproceedings{lei2021qvhighlights,
  title = {{QVHighlights}: Detecting Moments and Highlights in Videos via Natural Language Queries},
  author = {Lei, Jie and Berg, Tamara L. and Bansal, Mohit},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS)},
  pages = {11846--11858},
  year = {2021}
}""",
)
MOMENT_DIFF: Final = Paper(
    "MomentDiff: Generative Video Moment Retrieval from Random to Real",
    """@inproceedings{li2023momentdiff,
  title = {{MomentDiff}: Generative Video Moment Retrieval from Random to Real},
  author = {Li, Pandeng and Xie, Chen-Wei and Xie, Hongtao and Zhao, Liming and Zhang, Lei and Zheng, Yun and
            Zhao, Deli and Zhang, Yongdong},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS)},
  year = {2023}
}""",
)
SPANS: Final = (DIFFUSION_DET, DETR)
