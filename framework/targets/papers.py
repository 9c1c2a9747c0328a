"""Sources of the span-set target."""

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
SPANS: Final = (DIFFUSION_DET, DETR)
