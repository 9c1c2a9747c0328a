"""A recipe of a small map method for any folder of annotations and features."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.conftest import Folder

SETTINGS = """
name = "small"
[data]
name = "{name}"
root = "{root}"
{data}
[layout]
clips = {clips}
scales = {scales}
anchors = {anchors}
[encoder]
name = "ms2d.tan"
width = 16
lstm_layers = 1
word_width = 12
pool = {pool}
[target]
name = "ms2d.iou_maps"
[denoiser]
name = "ms2d.conv"
width = 16
map_width = 8
kernel = 3
groups = 4
time_width = 32
[sampler]
name = "gaussian"
steps = 2
[post]
{post}
[train]
epochs = 1
batch_size = 4
[evaluate]
batch_size = 4
{evaluate}
"""


def write(
    folder: Folder, data: str, evaluate: str, layout: tuple[int, int, int, int], post: str = 'name = "nms"'
) -> Path:
    clips, scales, anchors, pool = layout
    path = folder.path.parent / "recipe.toml"
    path.write_text(
        SETTINGS.format(
            name=folder.name,
            root=folder.path,
            data=data,
            clips=clips,
            scales=scales,
            anchors=anchors,
            pool=pool,
            post=post,
            evaluate=evaluate,
        )
    )
    return path
