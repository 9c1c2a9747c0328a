"""MomentDiff: spans denoised by a decoder that attends to clips, proposal by proposal."""

from __future__ import annotations

from framework.core.part import Paper, Part
from framework.hookspecs import hookimpl
from plugins.momentdiff.decoder import DecoderOptions, SpanDecoder
from plugins.momentdiff.encoder import CrossEncoder, CrossOptions

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
CONDITIONAL_DETR = Paper(
    "Conditional DETR for Fast Training Convergence",
    """@inproceedings{meng2021conditional,
  title = {Conditional {DETR} for Fast Training Convergence},
  author = {Meng, Depu and Chen, Xiaokang and Fan, Zejia and Zeng, Gang and Li, Houqiang and Yuan, Yuhui and
            Sun, Lei and Wang, Jingdong},
  booktitle = {ICCV},
  pages = {3651--3660},
  year = {2021}
}""",
)


@hookimpl
def register_parts() -> list[Part]:
    """Contribute the encoder and the denoiser."""
    return [
        Part("encoder", "momentdiff.cross", CrossEncoder, CrossOptions, (MOMENT_DIFF,)),
        Part("denoiser", "momentdiff.decoder", SpanDecoder, DecoderOptions, (MOMENT_DIFF, CONDITIONAL_DETR)),
    ]
