"""Sources of the rules that have one of their own."""

from __future__ import annotations

from typing import Final

from framework.core.part import Paper

DIDEMO: Final = Paper(
    "Localizing Moments in Video with Natural Language",
    """@inproceedings{hendricks2017localizing,
  author = {Hendricks, Lisa Anne and Wang, Oliver and Shechtman, Eli and Sivic, Josef and Darrell, Trevor
            and Russell, Bryan},
  title = {Localizing Moments in Video with Natural Language},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  pages = {5803--5812},
  year = {2017}
}""",
)
