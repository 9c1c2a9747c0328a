"""The command line: run, eval, predict, check, parts, report.

Exit status 0: done. 2: the input is wrong, one readable message on stderr, no traceback. 1: a fault of ours.
130: stopped by Ctrl-C, and the run can be resumed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import framework
from framework.errors import UserError, told

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        return command(options)
    except UserError as error:
        for line in told(error):
            print(f"error: {line}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nlvl", description=(framework.__doc__ or "").splitlines()[0])
    parser.add_argument("--version", action="version", version=f"nlvl {framework.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="train and evaluate a recipe"))
    _add_eval(commands.add_parser("eval", help="score a predictions file without a model"))
    _add_predict(commands.add_parser("predict", help="localize sentences in one video's features with a trained run"))
    _add_check(
        commands.add_parser("check", help="find everything that is wrong with a recipe or its data, before training")
    )
    _add_parts(commands.add_parser("parts", help="list what is installed, or describe one part"))
    _add_report(commands.add_parser("report", help="write the report of a run again"))
    return parser


def _add_recipe(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument(
        "recipe", nargs=None if required else "?", help="a .toml file, or the name of one that comes along"
    )
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="override a value"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_recipe(parser)
    parser.add_argument("--out", type=Path, help="run folder (default: runs/RECIPE/TIME)")
    parser.add_argument(
        "--profile", choices=("auto", "full", "embedded"), default="auto", help="the dataset or the embedded data"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the newest unfinished run of the recipe, or --out's"
    )
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    result = framework.run(
        options.recipe,
        overrides=options.overrides,
        out=options.out,
        profile=options.profile,
        device=options.device,
        resume=options.resume,
    )
    return 0 if result.finished else 130


def _add_eval(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("predictions", type=Path, help="a file in the QVHighlights submission form")
    parser.add_argument("--data", help="name of a dataset part (default: that of the run the file lies in)")
    parser.add_argument("--root", type=Path, help="folder of the dataset's files (default: that of the run, or here)")
    parser.add_argument("--split", help="default: the file's name without .jsonl")
    parser.add_argument("--rule", help="name of a metric part (default: rank, or that of the run)")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the rule; data.KEY=VALUE for one of the dataset",
    )
    parser.add_argument("--allow-missing", action="store_true", help="count queries without an answer as misses")
    parser.add_argument(
        "--allow-overlong", action="store_true", help="score windows that end after their video as they are"
    )
    parser.add_argument("--json", type=Path, help="write the metrics there")
    parser.set_defaults(command=_eval)


def _eval(options: argparse.Namespace) -> int:
    from framework.engine.score import score_file

    scored = score_file(
        options.predictions,
        data=options.data,
        root=options.root,
        split=options.split,
        rule=options.rule,
        overrides=options.overrides,
        allow_missing=options.allow_missing,
        allow_overlong=options.allow_overlong,
    )
    print(f"{options.predictions}: {scored.queries:,} queries of {scored.dataset} {scored.split}")
    if scored.profile == "embedded":
        print("EMBEDDED PROFILE: synthetic data, not a result on a dataset")
    print(f"rule: {scored.rule}")
    if scored.missing:
        print(f"{scored.missing:,} queries without an answer counted as misses")
    if scored.overlong:
        print(f"{scored.overlong:,} windows end after their video and are scored as they are")
    for line in scored.notes:
        print(f"note: {line}")
    for name, value in scored.metrics.items():
        print(f"{name:>{max(map(len, scored.metrics))}} {value:8.2f}")
    if options.json is not None:
        from framework.engine.folder import write_json, writing

        with writing(options.json):
            write_json(options.json, scored.to_dict())
    return 0


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="a run folder or a checkpoint (.safetensors)")
    parser.add_argument(
        "--video",
        type=Path,
        help="features of one video: npy, npz, FILE.hdf5:VIDEO, or STORE:VIDEO; several sources with commas between, "
        "in the order of the recipe's [data] video",
    )
    parser.add_argument("--query", action="append", help="a sentence; may be given several times")
    parser.add_argument(
        "--split", help="answer every query of a split of the run's dataset instead; eval scores the file it writes"
    )
    parser.add_argument(
        "--out", type=Path, help="with --split: file to write (default: predictions/SPLIT.jsonl of RUN)"
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="data.KEY=VALUE",
        help="files that lie elsewhere now; with --split also another dataset with the same features",
    )
    parser.add_argument(
        "--renamed-features", action="store_true", help="with --split: the features of training have another name now"
    )
    parser.add_argument("--top", type=int, default=5, help="moments a sentence")
    parser.add_argument("--duration", type=float, help="length of the video in seconds (default: rows x clip length)")
    parser.add_argument("--format", choices=("json", "csv", "srt"), default="json")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.set_defaults(command=_predict)


def _predict(options: argparse.Namespace) -> int:
    from framework.engine.formats import render
    from framework.engine.one_video import read_video

    if options.split is not None:
        return _predict_split(options)
    if options.video is None or not options.query:
        raise UserError("predict: give one video by --video and sentences by --query, or a whole split by --split.")
    localizer = framework.load(options.run, device=options.device, overrides=options.overrides)
    shown = read_video(options.video)
    video = localizer.index(shown.features, clip_s=shown.clip_s, duration=options.duration)
    if localizer.profile == "embedded":
        print("note: these weights were trained on the embedded synthetic data", file=sys.stderr)
    for doubt in localizer.doubts(video):
        print(f"note: {doubt}", file=sys.stderr)
    for query in options.query:
        if words := localizer.text.unknown(query):
            print(f'note: "{query}": never seen in training: {", ".join(words)}', file=sys.stderr)
    answers = localizer.localize(video, options.query, top=options.top)
    print(render(options.format, options.query, answers), end="")
    return 0


def _predict_split(options: argparse.Namespace) -> int:
    from framework.engine.answer import answer_split

    if options.video is not None or options.query:
        raise UserError("predict: --split asks the queries of its dataset; leave out --video and --query.")
    found = answer_split(
        options.run,
        options.split,
        overrides=options.overrides,
        out=options.out,
        device=options.device,
        renamed=options.renamed_features,
    )
    if found.profile == "embedded":
        print("note: these weights were trained on the embedded synthetic data", file=sys.stderr)
    for doubt in found.doubts:
        print(f"note: {doubt}", file=sys.stderr)
    print(f"{found.path}: {found.queries:,} queries of {found.dataset} {found.split}")
    return 0


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_recipe(parser, required=False)
    parser.add_argument(
        "--profile", choices=("full", "embedded"), default="full", help="the dataset or the embedded data"
    )
    parser.add_argument("--data", help="check one dataset instead of a recipe")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of that dataset's files")
    parser.set_defaults(command=_check)


def _check(options: argparse.Namespace) -> int:
    from framework.engine.check import check_dataset, check_recipe

    if (options.recipe is None) == (options.data is None):
        raise UserError("check: name a recipe, or a dataset by --data NAME --root DIR; one of the two.")
    if options.recipe:
        found = check_recipe(options.recipe, options.overrides, options.profile)
    else:
        found = check_dataset(options.data, options.root, options.overrides)
    for line in found.facts:
        print(line)
    for line in found.warnings:
        print(f"warning: {line}")
    for line in found.problems:
        print(f"error: {line}", file=sys.stderr)
    print(f"{len(found.problems)} problems, {len(found.warnings)} warnings")
    return 2 if found.problems else 0


def _add_parts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", help="a kind (encoder, target, ...) or the name of a part")
    parser.set_defaults(command=_parts)


def _parts(options: argparse.Namespace) -> int:
    from framework.report.parts import describe_parts

    print(describe_parts(options.what))
    return 0


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="a run folder")
    parser.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    from framework.api import report_run

    print(report_run(options.run))
    return 0
