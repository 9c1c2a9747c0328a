"""MomentDiff: spans denoised by a decoder that attends to clips, proposal by proposal."""

from __future__ import annotations

from framework.core.part import Paper, Part
from framework.hookspecs import hookimpl
from framework.targets.papers import MOMENT_DIFF
from plugins.momentdiff.decoder import DecoderOptions, SpanDecoder
from plugins.momentdiff.encoder import CrossEncoder, CrossOptions

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
