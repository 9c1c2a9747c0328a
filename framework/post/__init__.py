"""Post-processors: selection among decoded candidates."""

from framework.core.part import Paper, Part
from framework.post.nms import Nms, NmsOptions
from framework.post.select import select
from framework.post.soft_nms import SoftNms, SoftNmsOptions
from framework.post.top import Top, TopOptions

SOFT_NMS_PAPER = Paper(
    title="Soft-NMS: Improving Object Detection With One Line of Code",
    bibtex="""@inproceedings{bodla2017softnms,
  title = {Soft-{NMS}: Improving Object Detection With One Line of Code},
  author = {Bodla, Navaneeth and Singh, Bharat and Chellappa, Rama and Davis, Larry S.},
  booktitle = {Proceedings of the IEEE International Conference on Computer Vision (ICCV)},
  pages = {5561--5569},
  year = {2017}
}""",
)

PARTS = (
    Part("post", "nms", Nms, NmsOptions),
    Part("post", "soft_nms", SoftNms, SoftNmsOptions, (SOFT_NMS_PAPER,)),
    Part("post", "top", Top, TopOptions),
)

__all__ = ["PARTS", "Nms", "NmsOptions", "SoftNms", "SoftNmsOptions", "Top", "TopOptions", "select"]
