"""Datasets of the field, and an invented one that needs no file."""

from __future__ import annotations

from typing import Final

from framework.core.part import Paper, Part
from framework.hookspecs import hookimpl
from plugins.datasets.charades_sta import CharadesSta, CharadesStaOptions
from plugins.datasets.synthetic import Synthetic, SyntheticOptions

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


@hookimpl
def register_parts() -> list[Part]:
    """Give the datasets to the framework."""
    return [
        Part("dataset", "charades_sta", CharadesSta, CharadesStaOptions, (CHARADES_STA, CHARADES)),
        Part("dataset", "synthetic", Synthetic, SyntheticOptions),
    ]
