"""Every law of the framework on every installed part of the project, in several settings each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from framework.core.denoiser import Denoiser, Site
from framework.core.encoder import Encoder
from framework.core.sampler import Sampler
from framework.core.target import Target
from framework.registry import load_registry
from framework.testing import check_denoiser, check_encoder, check_sampler, check_target, tiny

# The longest cell, anchors * 2^(scales - 1) clips, is as long as the longest video below: the ceiling holds up to it.
LAYOUT = {"clips": 16, "scales": 2, "anchors": 8}
CLIPS = (4, 16)
SMALL = {"width": 8, "time_width": 16}
ATTENTION = {"heads": 2, "ffn": 16, "dropout": 0.0}
REGISTRY = load_registry()


def made(kind: str, name: str, given: dict[str, Any], *more: Any) -> Any:
    part = REGISTRY.part(kind, name, "tests")
    return part.factory(part.options(**given), *more)


def maps(**given: Any) -> Target:
    target: Target = made("target", "ms2d.iou_maps", {**LAYOUT, **given})
    return target


def encoder_of(words: Any, **given: Any) -> Encoder:
    small = {"width": 8, "lstm_layers": 1, "word_width": 6}
    encoder: Encoder = made("encoder", "ms2d.tan", {**LAYOUT, **small, **given}, words)
    return encoder


def denoiser_of(name: str, **given: Any) -> Denoiser:
    denoiser: Denoiser = made("denoiser", name, {**SMALL, **given}, Site({"cells": 8, "clips": 1, "clip": 1}, 1))
    return denoiser


def conv(**given: Any) -> Callable[[], None]:
    return lambda: _denoiser("ms2d.conv", **{"kernel": 3, "map_width": 4, "groups": 2, "scales": 2, **given})


def transformer(**given: Any) -> Callable[[], None]:
    return lambda: _denoiser("ms2d.transformer", layers=1, heads=2, ffn=16, **LAYOUT, **given)


def _denoiser(name: str, **given: Any) -> None:
    check_denoiser(denoiser_of(name, **given), target=maps(), encoder=encoder_of(tiny.INPUTS), examples=5)


def sampler(name: str, **given: Any) -> Callable[[], None]:
    def check() -> None:
        process: Sampler = made("sampler", name, given)
        check_sampler(process, examples=10)
        check_sampler(process, target=maps(), examples=5)

    return check


def spans(**given: Any) -> Target:
    target: Target = made("target", "spans", {"proposals": 4, "train_proposals": 3, **given})
    return target


def span_encoder(name: str, words: Any = tiny.INPUTS, **given: Any) -> Encoder:
    small = {"width": 8, "layers": 1, "word_width": 6, "input_dropout": 0.0, **ATTENTION}
    encoder: Encoder = made("encoder", name, {**small, **given}, words)
    return encoder


def checked_encoder(name: str, **given: Any) -> Callable[[], None]:
    def check() -> None:
        check_encoder(span_encoder(name, **given), examples=5)
        check_encoder(span_encoder(name, tiny.INPUTS_OF_IDS, **given), ids=True, examples=5)

    return check


def span_denoiser(name: str, **given: Any) -> Callable[[], None]:
    def check() -> None:
        encoder = span_encoder("diffusionvmr.joint")
        site = Site(encoder.widths, 2, spans().most_slots)
        denoiser: Denoiser = made("denoiser", name, {**ATTENTION, "layers": 2, **given}, site)
        check_denoiser(denoiser, target=spans(), encoder=encoder, examples=5)

    return check


def span_sampler(name: str, **given: Any) -> Callable[[], None]:
    return lambda: check_sampler(made("sampler", name, given), target=spans(), examples=5)


VOTE = {"padding": "repeat", "match": "all", "score": "vote"}

CASES: dict[tuple[str, str, str], Callable[[], None]] = {
    ("target", "ms2d.iou_maps", "full"): lambda: check_target(maps(), clips=CLIPS, examples=15),
    ("target", "ms2d.iou_maps", "rescaled"): lambda: check_target(maps(value="rescaled"), clips=CLIPS, examples=10),
    ("target", "ms2d.iou_maps", "bce"): lambda: check_target(maps(loss="bce", range="unit"), clips=CLIPS, examples=10),
    ("target", "ms2d.iou_maps", "scale"): lambda: check_target(maps(scale=0.4), clips=CLIPS, examples=10),
    ("encoder", "ms2d.tan", "vectors"): lambda: check_encoder(encoder_of(tiny.INPUTS), target=maps(), examples=5),
    ("encoder", "ms2d.tan", "ids"): lambda: check_encoder(
        encoder_of(tiny.INPUTS_OF_IDS, pool=2), ids=True, target=maps(), examples=5
    ),
    ("denoiser", "ms2d.conv", "concat"): conv(),
    ("denoiser", "ms2d.conv", "multiply, channel gates"): conv(condition="multiply", gate="channel", map_width=8),
    ("denoiser", "ms2d.conv", "self-conditioned"): conv(previous=True),
    ("denoiser", "ms2d.conv", "sigmoid, no time"): conv(output="sigmoid", stylize_fusion=False, stylize_conv=False),
    ("denoiser", "ms2d.transformer", "cross"): transformer(condition="cross"),
    ("denoiser", "ms2d.transformer", "cross_all"): transformer(condition="cross_all"),
    ("denoiser", "ms2d.transformer", "concat"): transformer(condition="concat"),
    ("target", "spans", "matched"): lambda: check_target(spans(), examples=15),
    ("target", "spans", "curriculum"): lambda: check_target(spans(first_proposals=1), examples=10),
    ("target", "spans", "renewed"): lambda: check_target(spans(renew=0.5, ensemble="but_last"), examples=10),
    ("target", "spans", "voted"): lambda: check_target(spans(**VOTE), examples=10),
    ("target", "spans", "voted by the first"): lambda: check_target(spans(**VOTE, votes="first"), examples=10),
    ("encoder", "diffusionvmr.joint", ""): checked_encoder("diffusionvmr.joint"),
    ("encoder", "diffusionvmr.joint", "no scores"): checked_encoder(
        "diffusionvmr.joint", saliency="none", contrast=False, endpoints=False
    ),
    ("encoder", "momentdiff.cross", ""): checked_encoder("momentdiff.cross"),
    ("encoder", "diffusionvg.video_centred", ""): checked_encoder("diffusionvg.video_centred", pool_clips=6),
    ("encoder", "diffusionvg.video_centred", "endpoints"): checked_encoder(
        "diffusionvg.video_centred", pool_clips=6, endpoints=True
    ),
    ("denoiser", "diffusionvmr.cascade", "delta"): span_denoiser("diffusionvmr.cascade", dynamic=4),
    ("denoiser", "diffusionvmr.cascade", "absolute, queries"): span_denoiser(
        "diffusionvmr.cascade", dynamic=4, update="absolute", queries=4
    ),
    ("denoiser", "diffusionvmr.cascade", "logit, repool"): span_denoiser(
        "diffusionvmr.cascade", dynamic=4, update="logit", repool=True, clamp_rois=False
    ),
    ("denoiser", "momentdiff.decoder", ""): span_denoiser("momentdiff.decoder"),
    ("denoiser", "momentdiff.decoder", "self-attention, queries"): span_denoiser(
        "momentdiff.decoder", self_attention=True, queries=4
    ),
    ("denoiser", "momentdetr.decoder", ""): span_denoiser("momentdetr.decoder"),
    ("denoiser", "diffusionvg.cascade", "linear"): span_denoiser("diffusionvg.cascade", time_width=16),
    ("denoiser", "diffusionvg.cascade", "self, queries"): span_denoiser(
        "diffusionvg.cascade", time_width=16, interaction="self", update="logit", queries=4
    ),
    ("sampler", "diffusionvg.clamped_start", ""): span_sampler("diffusionvg.clamped_start", steps=2, eta=1.0),
    ("sampler", "gaussian", "spans"): span_sampler("gaussian", steps=3, eta=1.0, spacing="peer"),
    ("sampler", "gaussian", "ddim"): sampler("gaussian", steps=3),
    ("sampler", "gaussian", "stochastic"): sampler("gaussian", steps=3, eta=1.0, schedule="linear"),
    ("sampler", "gaussian", "zeros"): sampler("gaussian", steps=2, temperature=0.0, self_condition=0.5),
    ("sampler", "gaussian", "solver"): sampler("gaussian", steps=5, solver="dpmpp_2m", schedule="scaled_linear"),
    ("sampler", "gaussian", "ddpm"): sampler("gaussian", steps=4, solver="ddpm"),
    ("sampler", "one_step", ""): sampler("one_step"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case).strip())
def test_the_laws_hold(case: tuple[str, str, str]) -> None:
    CASES[case]()


def test_every_installed_part_of_a_contract_is_put_to_the_laws() -> None:
    checked = {(kind, name) for kind, name, _ in CASES}
    installed = {
        (part.kind, part.name)
        for kind in ("encoder", "target", "denoiser", "sampler")
        for part in REGISTRY.parts(kind)
        if part.factory.__module__.split(".")[0] in ("framework", "plugins")
    }
    assert checked == installed
