"""Pure functions on moments: IoU, gIoU, NMS, conversions."""
