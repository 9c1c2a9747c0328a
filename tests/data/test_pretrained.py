from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import framework
from framework.data.pretrained import PretrainedOptions, PretrainedText, fingerprint
from framework.errors import DataError

SENTENCES = ["a", "a person opens", "a person opens the door.", "Door, door!", "the bed is made ok"]
WIDE = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
KINDS = ["bert", "distilbert", "t5", "clip", "clip_text"]

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "person", "open", "##s", "the", "door", ".", ",", "!"]
LETTERS = "abcdefghijklmnopqrstuvwxyz.,!"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model of each kind: real architectures and tokenizers, random weights."""
    pytest.importorskip("transformers", reason="needs transformers: pip install 'nlvl[text]'")
    root = tmp_path_factory.mktemp("models")
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        for kind, model in _models().items():
            (_save_clip_tokenizer if kind.startswith("clip") else _save_bert_tokenizer)(root / kind)
            for weight in model.parameters():  # Fresh norms are all alike, and biases zero: an error would not show.
                torch.nn.init.normal_(weight, std=0.3)
            model.save_pretrained(root / kind)
    return root


def _models() -> dict[str, Any]:
    import transformers as tf

    size = len(LETTERS) * 2 + 4
    text = {**WIDE, "vocab_size": size, "max_position_embeddings": 24, "bos_token_id": size - 2}
    text |= {"eos_token_id": size - 1, "pad_token_id": size - 1}
    vision = {**WIDE, "image_size": 8, "patch_size": 4}
    bert = tf.BertConfig(**WIDE, vocab_size=len(PIECES) + 26, max_position_embeddings=24)
    distil = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 24}
    t5 = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
    return {
        "bert": tf.BertForMaskedLM(bert),  # Comes without the pooler that BertModel has.
        "distilbert": tf.DistilBertForMaskedLM(tf.DistilBertConfig(vocab_size=len(PIECES) + 26, **distil)),
        "t5": tf.T5Model(tf.T5Config(vocab_size=len(PIECES) + 26, **t5)),
        "clip": tf.CLIPModel(tf.CLIPConfig(text_config=text, vision_config=vision)),
        "clip_text": tf.CLIPTextModel(tf.CLIPTextConfig(**text)),
    }


def _save_bert_tokenizer(folder: Path) -> None:
    from transformers import BertTokenizerFast

    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join([*PIECES, *(f"##{letter}" for letter in LETTERS[:26])]))
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)


def _save_clip_tokenizer(folder: Path) -> None:
    from transformers import CLIPTokenizerFast

    folder.mkdir()
    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "do", "or</w>", "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\nd o\no r</w>\n")
    CLIPTokenizerFast.from_pretrained(folder).save_pretrained(folder)


@pytest.fixture
def bert(models: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(models / "bert", tmp_path / "bert")


def _text(folder: Path, **options: Any) -> PretrainedText:
    source = PretrainedText(PretrainedOptions(model=folder.name, **options), folder.parent)
    source.prepare([], [])
    return source


def _by_hand(folder: Path, sentence: str) -> Any:
    """What transformers itself gives for one sentence: the hidden states and, of CLIP, the pooled one."""
    import transformers as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tf.utils.logging.set_verbosity_error()
        tokens = tf.AutoTokenizer.from_pretrained(folder)(sentence, return_tensors="pt")
        kind = json.loads((folder / "config.json").read_text())["model_type"]
        model = (tf.T5EncoderModel if kind == "t5" else tf.AutoModel).from_pretrained(folder)
    model = model.text_model if kind == "clip" else model
    tokens.pop("token_type_ids", None)
    with torch.no_grad():
        return model(**tokens, output_hidden_states=True)


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_the_hidden_states_of_transformers(models: Path, kind: str) -> None:
    sentence, known = SENTENCES[2], _by_hand(models / kind, SENTENCES[2])
    found = _text(models / kind, normalize=False).encode(1, sentence)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, known.last_hidden_state[0].numpy(), atol=1e-5)
    for layer in (0, 1, -2):
        states = _text(models / kind, normalize=False, layer=layer).encode(1, sentence)
        np.testing.assert_allclose(states, known.hidden_states[layer][0].numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_one_vector_a_sentence_is_the_end_token_of_clip_and_the_mean_over_tokens_of_others(
    models: Path, kind: str
) -> None:
    known = _by_hand(models / kind, SENTENCES[2])
    pooled = known.pooler_output[0] if kind.startswith("clip") else known.last_hidden_state[0].mean(0)
    found = _text(models / kind, normalize=False, pool="sentence", words=1).encode(1, SENTENCES[2])
    np.testing.assert_allclose(found, pooled[None].numpy(), atol=1e-5)


@pytest.mark.parametrize("pool", ["tokens", "sentence"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_vector_does_not_depend_on_the_sentences_beside_it(models: Path, kind: str, pool: str) -> None:
    alone, source = _text(models / kind, pool=pool), _text(models / kind, pool=pool, batch_size=3)

    @settings(deadline=None, max_examples=5)
    @given(st.permutations(SENTENCES), st.text("abc ", min_size=1).map(lambda tail: "a" + tail))
    def check(order: list[str], new: str) -> None:
        source.expect([(number, sentence) for number, sentence in enumerate([*order, new])])
        for sentence in [*order, new]:
            np.testing.assert_allclose(source.encode(0, sentence), alone.encode(0, sentence), atol=1e-5)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_no_sentence_is_padded_and_all_of_one_length_go_together(models: Path, kind: str) -> None:
    source, seen = _text(models / kind, batch_size=2), []
    model, tokenizer = source._opened().model, source._opened().tokenizer

    def see(_: Any, __: Any, given: dict[str, Any]) -> None:
        seen.append(given["input_ids"])

    sentences = [*SENTENCES, "the", "a door", "the door", "a a"]
    model.register_forward_pre_hook(see, with_kwargs=True)
    source.expect(list(enumerate(sentences)))
    lengths = [len(tokenizer(sentence)["input_ids"]) for sentence in sentences]
    assert sorted(length for ids in seen for length in [ids.shape[1]] * len(ids)) == sorted(lengths)
    assert len(seen) == sum(-(-lengths.count(length) // 2) for length in set(lengths)) < len(sentences)


def test_vectors_have_length_1_unless_asked_otherwise(models: Path) -> None:
    for pool in ("tokens", "sentence"):
        lengths = np.linalg.norm(_text(models / "bert", pool=pool).encode(1, SENTENCES[1]), axis=1)
        np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    assert not np.allclose(np.linalg.norm(_text(models / "bert", normalize=False).encode(1, "a"), axis=1), 1)


def test_the_first_tokens_of_the_whole_sentence_are_used(models: Path) -> None:
    whole = _text(models / "bert", words=None).encode(1, SENTENCES[2])
    assert whole.shape == (9, 16), "[CLS] a person open ##s the door . [SEP]"
    np.testing.assert_array_equal(_text(models / "bert", words=3).encode(1, SENTENCES[2]), whole[:3])
    assert _text(models / "bert").encode(1, "a " * 40).shape == (24, 16), "the model has 24 positions"
    assert _text(models / "t5").encode(1, "a " * 40).shape == (32, 16), "it has none, so words decides"


@pytest.mark.parametrize("kind", ["bert", "clip"])
def test_special_tokens_are_dropped_where_asked(models: Path, kind: str) -> None:
    kept = _text(models / kind, normalize=False).encode(1, SENTENCES[1])
    bare = _text(models / kind, normalize=False, special=False).encode(1, SENTENCES[1])
    np.testing.assert_array_equal(bare, kept[1:-1])
    assert len(_text(models / kind, special=False, words=2).encode(1, SENTENCES[1])) == 2
    pooled = _text(models / kind, normalize=False, special=False, pool="sentence").encode(1, SENTENCES[1])
    np.testing.assert_allclose(pooled[0], kept[-1] if kind == "clip" else bare.mean(0), atol=1e-5)


def test_a_long_sentence_keeps_its_end_token(models: Path) -> None:
    source = _text(models / "clip", normalize=False, layer=0, words=None)
    long, short = source.encode(1, "a " * 40), source.encode(1, "a " * 22)
    np.testing.assert_allclose(long, short, atol=1e-5)


def test_expected_sentences_are_computed_once_and_others_are_not_kept(models: Path) -> None:
    source = _text(models / "bert")
    source.expect([(1, "a door"), (2, "a door")])
    kept = source.encode(1, "a door")
    source.expect([(3, "a door")])
    assert source.encode(3, "a door") is kept
    assert source.encode(4, "the door") is not source.encode(4, "the door")


def test_half_precision_weights_are_read_as_float32(models: Path, bert: Path) -> None:
    weights = load_file(models / "bert" / "model.safetensors")
    save_file({name: weight.half() for name, weight in weights.items()}, bert / "model.safetensors", {"format": "pt"})
    _configure(dtype="float16", torch_dtype="float16")(bert)
    found = _text(bert, normalize=False, layer=0).encode(1, "a door")
    assert found.dtype == np.float32
    whole = _text(models / "bert", normalize=False, layer=0).encode(1, "a door")
    np.testing.assert_allclose(found, whole, atol=0.02)
    assert not np.array_equal(found, found.astype(np.float16)), "computed in half precision as well"


def test_a_restored_source_encodes_new_sentences_alike_from_the_same_folder(models: Path) -> None:
    source = _text(models / "clip")
    other = PretrainedText(PretrainedOptions(model="clip"), models)
    other.restore(json.loads(json.dumps(source.state())))
    assert (other.width, other.vocabulary) == (source.width, None) == (16, None)
    for sentence in SENTENCES:
        np.testing.assert_array_equal(other.encode(0, sentence), source.encode(0, sentence))


@pytest.mark.parametrize("change", ["weights", "tokenizer", "absent"])
def test_a_new_sentence_needs_the_folder_of_the_checkpoint(bert: Path, change: str) -> None:
    state = _text(bert).state()
    if change == "weights":
        path = bert / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    elif change == "tokenizer":
        (bert / "vocab.txt").write_text((bert / "vocab.txt").read_text().replace("door", "gate"))
    else:
        shutil.rmtree(bert)
    source = PretrainedText(PretrainedOptions(model="bert"), bert.parent)
    source.restore(state)
    wanted = "no folder of a language model there" if change == "absent" else "is not the language model of the check"
    with pytest.raises(DataError, match=wanted) as caught:
        source.encode("new", "a new door")
    assert str(bert) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_files_of_a_folder_do_not_change_its_fingerprint(bert: Path) -> None:
    before = fingerprint(bert)
    (bert / "README.md").write_text("a model")
    (bert / "._model.safetensors").write_bytes(b"\0\5\x16\7")  # As macOS puts beside a file.
    assert fingerprint(bert) == before != fingerprint(bert.parent)


def _drop(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def _write(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


def _configure(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-40])


def _lose_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["bert.embeddings.LayerNorm.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def _infinite(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["bert.embeddings.LayerNorm.weight"].fill_(torch.inf)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def _pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (shutil.rmtree, r"no folder of a language model there.*--set data.text.model=FOLDER"),
        (_drop("config.json"), "holds no config.json"),
        (_drop("model.safetensors"), "holds no weights"),
        (_pickled, r"only weights as pickles, which can run code.*save_pretrained"),
        (_drop("vocab.txt", "tokenizer.json"), "holds no tokenizer"),
        (_write("adapter_config.json", '{"base_model_name_or_path": "bert-base-uncased"}'), "holds an adapter"),
        (_cut, r"cannot use it as a language model \(SafetensorError.*damaged"),
        (_write("model.safetensors", "<html>"), "SafetensorError"),
        (_write("config.json", "{"), "not a valid JSON file"),
        (_write("tokenizer.json", "{"), "cannot use it as a language model"),
        (_configure(model_type="nope"), "`nope`"),
        (_configure(model_type="mine", auto_map={"AutoConfig": "x.Y", "AutoModel": "x.Z"}), "custom code"),
        (_configure(num_hidden_layers=3), "16 weights are absent or not of the shape .* first encoder.layer.2"),
        (_configure(hidden_size=32), "not of the shape that its config.json says"),
        (_lose_a_weight, "1 weights are absent .* first embeddings.LayerNorm.weight"),
        (_configure(model_type="bart", is_encoder_decoder=True), "bart is an encoder with a decoder"),
        (_infinite, "query 1: .* gives NaN or infinity"),
    ],
)
def test_a_folder_that_is_not_in_order_is_refused_in_one_line(
    bert: Path, change: Callable[[Path], None], wanted: str
) -> None:
    change(bert)
    with pytest.raises(DataError, match=wanted) as caught:
        _text(bert).encode(1, "a door")
    assert str(bert) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_tokenizer_of_a_larger_model_is_refused(models: Path, bert: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        shutil.copy(models / "clip" / name, bert / name)
    with pytest.raises(DataError, match="tokenizer has 62 words, the model embeddings of 40; they belong to different"):
        _text(bert)


def test_pickled_weights_can_be_made_safe_as_the_message_says(bert: Path) -> None:
    from transformers import AutoModel

    known = _text(bert).encode(1, "a door")
    _pickled(bert)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        AutoModel.from_pretrained(bert).save_pretrained(bert)
    np.testing.assert_allclose(_text(bert).encode(1, "a door"), known, atol=1e-6)


def test_a_layer_that_the_model_lacks_is_refused_with_those_it_has(models: Path) -> None:
    for layer in (3, -4):
        with pytest.raises(DataError, match=rf"text.layer = {layer}: the model in .* hidden states 0, .* to 2; -1 is"):
            _text(models / "bert", layer=layer)


@pytest.mark.parametrize("sentence", ["", "  ", "?!"])
def test_a_sentence_without_words_is_refused_with_its_query(models: Path, sentence: str) -> None:
    source = _text(models / "bert")
    with pytest.raises(DataError, match=r"query 7: the sentence .* has no words"):
        source.expect([(6, "a door"), (7, sentence)])
    with pytest.raises(DataError, match="query 8: the sentence"):
        source.encode(8, sentence)


def test_a_sentence_without_tokens_is_refused_where_special_ones_are_dropped(models: Path) -> None:
    unseen = "\u200b"  # BERT's tokenizer takes a zero-width space away.
    for pool in ("tokens", "sentence"):
        with pytest.raises(DataError, match=r"query 7: .* makes no token of the sentence .* text.special = true"):
            _text(models / "bert", special=False, pool=pool).encode(7, unseen)


def test_nothing_is_missing_where_the_folder_is(models: Path) -> None:
    assert PretrainedText(PretrainedOptions(model="bert"), models).missing() == []


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    (tmp_path / "bert").mkdir()
    source = PretrainedText(PretrainedOptions(model="bert"), tmp_path)
    (line,) = source.missing()
    assert "pip install 'nlvl[text]'" in line
    with pytest.raises(DataError, match=r"needs transformers, which is not installed.*nlvl\[text\]"):
        source.prepare([], [])


def test_transformers_is_imported_by_nobody_before_a_model_is_opened() -> None:
    code = (
        "import sys, framework, framework.cli; from framework.registry import load_registry; load_registry()\n"
        "from framework.data.pretrained import PretrainedOptions, PretrainedText; from pathlib import Path\n"
        "PretrainedText(PretrainedOptions(), Path('.')).missing()\n"
        "print(*(name for name in ('transformers', 'tokenizers', 'huggingface_hub') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_nothing_is_looked_for_on_the_network(models: Path, bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def refuse(*where: Any, **_: Any) -> Any:
        asked.append(where)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(OSError, match="no network"):
        socket.create_connection(("127.0.0.1", 9))
    asked.clear()  # That one was asked on purpose: it shows that asking is seen.
    for kind in KINDS:
        _text(models / kind).encode(1, "a door")
    _configure(_attn_implementation="kernels-community/flash-attn3", _name_or_path="bert-base-uncased")(bert)
    _drop("tokenizer_config.json", "vocab.txt")(bert)
    _text(bert).encode(1, "a door")
    _drop("model.safetensors")(bert)
    with pytest.raises(DataError, match="holds no weights"):
        _text(bert)
    assert asked == []


def test_transformers_says_nothing_and_keeps_its_settings(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    said = MemoryHandler(1000)
    logging.set_verbosity_info()
    logging.enable_progress_bar()
    try:
        logging.add_handler(said)
        for kind in KINDS:
            _text(models / kind).expect(list(enumerate(SENTENCES)))
        assert logging.get_verbosity() == logging.INFO
        assert logging.is_progress_bar_enabled()
    finally:
        logging.set_verbosity_warning()
        logging.remove_handler(said)
    assert said.buffer == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("count", "shown"), [(3, False), (9, True)])
def test_many_batches_show_on_a_terminal_how_far_they_are(
    models: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], count: int, shown: bool
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # To rich, a terminal.
    _text(models / "bert", batch_size=1).expect([(number, f"a door {number}") for number in range(count)])
    said = capfd.readouterr()
    assert ("Sentences" in said.err) == shown
    assert said.out == ""


def test_the_random_numbers_of_a_run_do_not_depend_on_the_model(models: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    _text(models / "bert").encode(1, "a door")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("name", "value"), [("words", 0), ("pool", "max"), ("batch_size", 0)])
def test_values_out_of_range_break_a_stated_rule(name: str, value: object) -> None:
    assert "must" in attrs.fields_dict(PretrainedOptions)[name].metadata["rule"](value)


RECIPE = """
name = "tiny"
layout = { clips = 16, scales = 2, anchors = 4 }
encoder = { name = "ms2d.tan", width = 16, lstm_layers = 1, pool = 4 }
target = { name = "ms2d.iou_maps" }
denoiser = { name = "ms2d.conv", width = 16, map_width = 8, kernel = 3, groups = 4, time_width = 32 }
sampler = { name = "gaussian", steps = 2 }
post = { name = "nms" }
train = { epochs = 1, batch_size = 8, optimizer = { name = "adam", lr = 1e-3 } }
evaluate = { rule = "rank", batch_size = 8 }
[data]
name = "synthetic"
train_queries = 16
val_queries = 8
test_queries = 8
width = 24
clip_s = 0.64
window = 64
"""


def test_a_run_on_a_language_model_answers_new_sentences_as_long_as_its_folder_is_there(
    bert: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(f'{RECIPE}text = {{ name = "pretrained", model = "{bert.as_posix()}", words = 12 }}\n')
    result = framework.run(recipe, out=tmp_path / "run", device="cpu")
    assert result.metrics
    clips = np.random.default_rng(0).normal(size=(40, 24)).astype(np.float32)
    localizer = framework.load(result.folder, device="cpu")
    answer = localizer.localize(clips, "a person opens the quiet door", top=3)
    assert len(answer) == 3
    again = framework.load(result.folder, device="cpu").localize(clips, "a person opens the quiet door", top=3)
    assert again == answer
    assert localizer.localize(clips, "quiet", top=3) != answer
    shutil.rmtree(bert)
    with pytest.raises(DataError, match="no folder of a language model there"):
        framework.load(result.folder, device="cpu").localize(clips, "a person opens the quiet door")
