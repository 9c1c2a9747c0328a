"""Datasets of the field, and an invented one that needs no file."""

from __future__ import annotations

from typing import Final

from framework.core.part import Paper, Part
from framework.hookspecs import hookimpl
from framework.metrics import DIDEMO
from framework.targets.papers import MOMENT_DETR
from plugins.datasets.activitynet import ActivityNet
from plugins.datasets.charades_sta import CharadesSta, CharadesStaOptions
from plugins.datasets.didemo import Didemo, DidemoOptions
from plugins.datasets.jsonl import JsonLines, JsonLinesOptions
from plugins.datasets.qvhighlights import QVHighlights, QVHighlightsOptions
from plugins.datasets.synthetic import Synthetic, SyntheticOptions
from plugins.datasets.tacos import Tacos
from plugins.datasets.timed_sentences import TimedSentencesOptions

CHARADES_STA: Final = Paper(
    "TALL: Temporal Activity Localization via Language Query",
    """@inproceedings{gao2017tall,
  author = {Gao, Jiyang and Sun, Chen and Yang, Zhenheng and Nevatia, Ram},
  title = {{TALL}: Temporal Activity Localization via Language Query},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  pages = {5267--5275},
  year = {2017}
}""",
)

CHARADES: Final = Paper(
    "Hollywood in Homes: Crowdsourcing Data Collection for Activity Understanding",
    """@inproceedings{sigurdsson2016hollywood,
  author = {Sigurdsson, Gunnar A. and Varol, G{\\"u}l and Wang, Xiaolong and Farhadi, Ali and Laptev, Ivan
            and Gupta, Abhinav},
  title = {Hollywood in Homes: Crowdsourcing Data Collection for Activity Understanding},
  booktitle = {European Conference on Computer Vision (ECCV)},
  pages = {510--526},
  year = {2016}
}""",
)

ACTIVITYNET_CAPTIONS: Final = Paper(
    "Dense-Captioning Events in Videos",
    """@inproceedings{krishna2017dense,
  author = {Krishna, Ranjay and Hata, Kenji and Ren, Frederic and Fei-Fei, Li and Niebles, Juan Carlos},
  title = {Dense-Captioning Events in Videos},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  pages = {706--715},
  year = {2017}
}""",
)

TACOS: Final = Paper(
    "Grounding Action Descriptions in Videos",
    """@article{regneri2013grounding,
  author = {Regneri, Michaela and Rohrbach, Marcus and Wetzel, Dominikus and Thater, Stefan and Schiele, Bernt
            and Pinkal, Manfred},
  title = {Grounding Action Descriptions in Videos},
  journal = {Transactions of the Association for Computational Linguistics},
  volume = {1},
  pages = {25--36},
  year = {2013}
}""",
)


@hookimpl
def register_parts() -> list[Part]:
    """Give the datasets to the framework."""
    return [
        Part("dataset", "charades_sta", CharadesSta, CharadesStaOptions, (CHARADES_STA, CHARADES)),
        Part("dataset", "didemo", Didemo, DidemoOptions, (DIDEMO,)),
        Part("dataset", "tacos", Tacos, TimedSentencesOptions, (TACOS, CHARADES_STA)),
        Part("dataset", "activitynet", ActivityNet, TimedSentencesOptions, (ACTIVITYNET_CAPTIONS,)),
        Part("dataset", "qvhighlights", QVHighlights, QVHighlightsOptions, (MOMENT_DETR,)),
        Part("dataset", "jsonl", JsonLines, JsonLinesOptions),
        Part("dataset", "synthetic", Synthetic, SyntheticOptions),
    ]
