"""Pure functions on moments: IoU, gIoU, NMS, conversions."""

from framework.moments.iou import giou, giou_of_ends, iou
from framework.moments.nms import nms
from framework.moments.soft_nms import gaussian_decay, linear_decay, soft_nms
from framework.moments.spans import cxw_to_start_end, start_end_to_cxw

__all__ = [
    "cxw_to_start_end",
    "gaussian_decay",
    "giou",
    "giou_of_ends",
    "iou",
    "linear_decay",
    "nms",
    "soft_nms",
    "start_end_to_cxw",
]
