"""Moment-DETR: learned queries find spans at once, the discriminative control of span diffusion."""

from __future__ import annotations

from framework.core.part import Paper, Part
from framework.hookspecs import hookimpl
from plugins.momentdetr.decoder import DecoderOptions, QueryDecoder

MOMENT_DETR = Paper(
    "QVHighlights: Detecting Moments and Highlights in Videos via Natural Language Queries",
    """@inproceedings{lei2021qvhighlights,
  title = {{QVHighlights}: Detecting Moments and Highlights in Videos via Natural Language Queries},
  author = {Lei, Jie and Berg, Tamara L. and Bansal, Mohit},
  booktitle = {NeurIPS},
  pages = {11846--11858},
  year = {2021}
}""",
)
DETR = Paper(
    "End-to-End Object Detection with Transformers",
    """@inproceedings{carion2020end,
  title = {End-to-End Object Detection with Transformers},
  author = {Carion, Nicolas and Massa, Francisco and Synnaeve, Gabriel and Usunier, Nicolas and Kirillov, Alexander and
            Zagoruyko, Sergey},
  booktitle = {ECCV},
  pages = {213--229},
  year = {2020}
}""",
)


@hookimpl
def register_parts() -> list[Part]:
    """Contribute the denoiser."""
    return [Part("denoiser", "momentdetr.decoder", QueryDecoder, DecoderOptions, (MOMENT_DETR, DETR))]
