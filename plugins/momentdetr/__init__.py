"""Moment-DETR: learned queries find spans at once, the discriminative control of span diffusion."""

from __future__ import annotations

from framework.core.part import Part
from framework.hookspecs import hookimpl
from framework.targets.papers import DETR, MOMENT_DETR
from plugins.momentdetr.decoder import DecoderOptions, QueryDecoder


@hookimpl
def register_parts() -> list[Part]:
    """Contribute the denoiser."""
    return [Part("denoiser", "momentdetr.decoder", QueryDecoder, DecoderOptions, (MOMENT_DETR, DETR))]
