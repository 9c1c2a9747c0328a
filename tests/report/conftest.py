"""A run folder written by hand, in the form that the engine writes: the report layer only reads files."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

STARTS, LENGTHS = 4, 2
UNIT_S = 2.5

MakeRun = Callable[..., Path]


def manifest(profile: str) -> dict[str, Any]:
    return {
        "framework": "0.1.0",
        "python": "3.11.2",
        "torch": "2.6.0",
        "numpy": "2.0.0",
        "seed": 7,
        "profile": profile,
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
        "plugins": ["datasets", "ms2d"],
        "git": None,
        "data": {
            "name": "charades_sta" if profile == "full" else "synthetic",
            "fingerprint": "5d1f",
            "splits": {"train": 12404, "test": 3720},
            "features": {"video": "i3d.hdf5", "clip_s": 0.64},
        },
        "parameters": {"encoder": 1200, "denoiser": 34000},
        "command": ["nlvl", "run", "ms2d charades.toml"],
        "started": "2025-01-02T03:04:05+00:00",
        "seconds": 8013.2,
        "status": "finished",
        "selection": "last epoch; no split was used to choose it",
    }


def metrics(profile: str) -> dict[str, Any]:
    return {
        "recipe": "ms2d_charades",
        "profile": profile,
        "split": "test",
        "rule": "rank, IoU > m, NMS 0.49",
        "seed": 7,
        "queries": 3720,
        "draws": 1,
        "seconds": 12.5,
        "sampler": "gaussian 5 steps, eta 0, temperature 0",
        "post": "nms, threshold 0.49, top 5",
        "checkpoint": "last",
        "metrics": {"R1@0.5": 59.25, "R1@0.7": 41.5, "mIoU": 51.0},
        "expected": {"R1@0.5": 60.3, "R1@0.7": 40.8, "R5@0.5": 79.7},
    }


def history() -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "step": 10 * epoch,
            "seconds": 4.0 + epoch,
            "lr": 1e-4 / epoch,
            "losses": {"main/mse": 0.5 / epoch, "total": 0.6 / epoch},
            "metrics": {"test": {"R1@0.5": 20.0 + epoch}} if epoch % 2 == 0 else {},
        }
        for epoch in range(1, 5)
    ]


def example(query: str = "a person opens the door") -> dict[str, Any]:
    """One scale of 4 starts by 2 lengths; the last start has no room for the longer length, so that cell is masked."""
    truth = [0.1, 0.2, 0.9, 0.4, 0.0, 0.1, 0.0, None]
    steps = [[0.8, 0.1, 0.3, 0.2, 0.1, 0.1, 0.0, None], [0.1, 0.1, 0.7, 0.2, 0.1, 0.1, 0.0, None]]
    scale = {"shape": [STARTS, LENGTHS], "stride": 1, "unit_s": UNIT_S, "truth": truth, "steps": steps}
    moments = [[2.4, 5.1, 0.71], [0.0, 2.5, 0.2]]
    named = {"qid": 12404, "query": query, "video": "3MSZA", "duration": 10.0, "truth": [[2.5, 5.0]]}
    return {**named, "moments": moments, "scales": [scale]}


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run folder; each argument replaces or adds keys of one file."""

    def make(
        profile: str = "full",
        *,
        said: dict[str, Any] | None = None,
        scored: dict[str, Any] | None = None,
        epochs: list[dict[str, Any]] | None = None,
        examples: list[dict[str, Any]] | None = None,
        sweeps: list[dict[str, Any]] | None = None,
    ) -> Path:
        folder = tmp_path / "runs" / "ms2d_charades" / "1"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(epoch) + "\n" for epoch in (history() if epochs is None else epochs)]
        files = {
            "recipe.toml": 'name = "ms2d_charades"\n[target]\nname = "ms2d.iou_maps"\n',
            "manifest.json": json.dumps({**manifest(profile), **(said or {})}),
            "metrics.json": json.dumps({**metrics(profile), **(scored or {})}),
            "history.jsonl": "".join(lines),
            "examples.json": json.dumps([example()] if examples is None else examples),
        }
        if sweeps is not None:
            files["sweeps.json"] = json.dumps(sweeps)
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
        return folder

    return make


VOID = {"br", "img", "input", "link", "meta"}


class ParsedPage(HTMLParser):
    """Every element of a page with its attributes, its text, and the tags that were not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.broken: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.broken += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.broken.append(f"/{tag} at line {self.getpos()[0]}")

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open[-1:]):
            self.text += data

    def all(self, tag: str, of_class: str | None = None) -> list[dict[str, str | None]]:
        """Attributes of each element ``tag``, or of those that have a class."""
        found = [attributes for name, attributes in self.elements if name == tag]
        return [each for each in found if of_class is None or of_class in (each.get("class") or "").split()]

    def values(self, *names: str) -> list[str]:
        """The values of some attributes, in any element."""
        return [each[name] or "" for _, each in self.elements for name in names if name in each]


@pytest.fixture(scope="session")
def parse() -> Callable[[str], ParsedPage]:
    return ParsedPage
