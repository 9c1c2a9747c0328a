from __future__ import annotations

import json
from pathlib import Path

import attrs
import numpy as np
import pytest
from numpy.typing import NDArray

from framework.data import DataOptions, FeatureSource, VideoCache, open_features, plan_store, write_store
from framework.data.spec import FeatureSpec, typical_length


def features(*sources: tuple[str, int]) -> VideoCache:
    return VideoCache(*(OneVideo(name, width) for name, width in sources))


class OneVideo(FeatureSource):
    def __init__(self, name: str, width: int) -> None:
        self.name, self.width = name, width

    def videos(self) -> frozenset[str]:
        return frozenset({"v"})

    def shape(self, video: str) -> tuple[int, int]:
        return 3, self.width

    def read(self, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        return np.ones((3, self.width), np.float32)[start:stop]


TWO = features(("data/slowfast.hdf5", 2304), ("clip", 512))
SPEC = FeatureSpec.of(DataOptions(mode="window", clip_s=2.0), TWO, ["v"])


def test_sources_are_named_without_folder_and_ending_in_their_order() -> None:
    assert (SPEC.names, SPEC.widths) == (("slowfast", "clip"), (2304, 512))


def test_a_store_is_called_after_what_it_was_made_of(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.ones((3, 2), np.float32))
    folder = open_features(tmp_path)
    write_store(plan_store(folder, "features/i3d.hdf5"), tmp_path / "store")
    assert FeatureSpec.of(DataOptions(), VideoCache(open_features(tmp_path / "store")), ["v"]).names == ("i3d",)


def test_a_spec_survives_json() -> None:
    assert FeatureSpec.read(json.loads(json.dumps(attrs.asdict(SPEC)))) == SPEC
    with pytest.raises(KeyError, match="widths"):
        FeatureSpec.read({"names": ["a"]})


def test_typical_length_is_that_of_most_rows() -> None:
    assert typical_length(np.array([[3, 4], [0, 5], [600, 800]], np.float32)) == pytest.approx(5)
    assert SPEC.lengths == pytest.approx((2304**0.5, 512**0.5))


def test_rows_of_another_length_are_doubted_and_those_alike_are_not() -> None:
    assert list(SPEC.doubts(SPEC.lengths)) == []
    assert list(SPEC.doubts([length * 1.9 for length in SPEC.lengths])) == []
    (doubt,) = SPEC.doubts([SPEC.lengths[0], 1.0])
    assert doubt.startswith("rows of clip are typically 1 long, those of training 22.6")


def test_equal_specs_have_no_difference() -> None:
    assert list(SPEC.differences(attrs.evolve(SPEC))) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"names": ("clip", "slowfast"), "widths": (512, 2304)},
            "sources in the order clip, slowfast, trained on slowfast, clip",
        ),
        ({"widths": (2304, 768)}, "slowfast 2304, clip 768 columns, trained on slowfast 2304, clip 512"),
        ({"names": ("slowfast", "clip_l14")}, "slowfast, clip_l14, trained on slowfast, clip"),
        ({"clip_s": 1.0}, "clip_s = 1.0, trained on 2.0"),
        ({"normalize": False}, "normalize = False, trained on True"),
        ({"positions": True}, "positions = True, trained on False"),
        ({"mode": "sample"}, "mode = sample, trained on window"),
    ],
)
def test_each_difference_is_told(changes: dict[str, object], words: str) -> None:
    assert list(SPEC.differences(attrs.evolve(SPEC, **changes))) == [words]


def test_only_a_change_of_name_can_be_waved_through() -> None:
    assert list(SPEC.differences(attrs.evolve(SPEC, names=("slowfast", "moved")), renamed=True)) == []
    swapped = attrs.evolve(SPEC, names=("clip", "slowfast"))
    assert list(SPEC.differences(swapped, renamed=True))
    assert list(SPEC.differences(attrs.evolve(SPEC, widths=(2304, 3)), renamed=True))


def test_what_reaches_no_weight_may_differ() -> None:
    """A window is cropped in training alone; spread over the video it is what the network sees."""
    assert list(SPEC.differences(attrs.evolve(SPEC, window=10, resample="mean"))) == []
    spread = attrs.evolve(SPEC, mode="sample")
    assert len(list(spread.differences(attrs.evolve(spread, window=10, resample="mean")))) == 2
    assert list(spread.differences(attrs.evolve(spread, clip_s=0.5))) == []
