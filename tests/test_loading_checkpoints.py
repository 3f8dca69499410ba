import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub.errors import RepositoryNotFoundError
from safetensors.torch import load_file, save_file
from tiny import VOCABULARY, noise, tiny_model
from torch import Tensor
from transformers import AutoConfig, Wav2Vec2FeatureExtractor, WavLMConfig

from sottovoce import loading as checkpoint
from sottovoce.artifact.writer import write_artifact
from sottovoce.commands.scored_systems import float_system
from sottovoce.errors import InputError
from sottovoce.loading import (
    has_head,
    is_artifact,
    load,
    load_backbone,
    load_checkpoint,
    load_feature_extractor,
)
from sottovoce.models.families import FAMILIES, family_of
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.plan import Plan
from sottovoce.scoring import Transcripts, score

MakeCheckpoint = Callable[..., Path]
Tensors = dict[str, Tensor]


@pytest.fixture
def make_checkpoint(make_recogniser: Callable[..., Recogniser], tmp_path: Path) -> MakeCheckpoint:
    def make(family: str = "wav2vec2", **changes: Any) -> Path:
        folder = tmp_path / "checkpoint"
        recogniser = make_recogniser(family, **changes)
        recogniser.model.save_pretrained(folder)
        recogniser.processor.save_pretrained(folder)
        return folder

    return make


def _change_weights(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def _change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _without(part: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: one for name, one in tensors.items() if part not in name}


def _as_bin(folder: Path, **extra: Any) -> None:
    """The weights as older checkpoints have them: pickled, weight norm under its old names."""
    tensors = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): one
        for name, one in load_file(folder / "model.safetensors").items()
    }
    (folder / "model.safetensors").unlink()
    torch.save({**tensors, **extra}, folder / "pytorch_model.bin")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_checkpoint_loads_as_it_was_saved(
    make_checkpoint: MakeCheckpoint, make_recogniser: Callable[..., Recogniser], family: str
) -> None:
    folder = make_checkpoint(family)
    assert has_head(folder)
    loaded, original = load_checkpoint(folder), make_recogniser(family)
    assert not loaded.model.training
    state = loaded.model.state_dict()
    for name, one in original.model.state_dict().items():
        assert torch.equal(state[name], one), name
    assert loaded.recognise([noise(0.3)]) == original.recognise([noise(0.3)])
    assert load(folder).recognise([noise(0.3)]) == original.recognise([noise(0.3)])


def test_layers_are_not_run_anew_whatever_the_config_asks(make_checkpoint: MakeCheckpoint) -> None:
    """In the backward pass they would have other weights than the quantized ones."""
    folder = make_checkpoint()
    plain = load_checkpoint(folder).fingerprint()
    _change_config(folder, gradient_checkpointing=True)
    loaded = load_checkpoint(folder)
    modules = list(loaded.model.modules())
    assert any(hasattr(one, "gradient_checkpointing") for one in modules)
    assert not any(getattr(one, "gradient_checkpointing", False) for one in modules)
    assert loaded.fingerprint() == plain


def test_outputs_have_names_where_a_config_asks_for_tuples(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    expected = load_checkpoint(folder)
    _change_config(folder, return_dict=False)
    found, waveforms = load_checkpoint(folder), [noise(0.5)]
    for one, other in zip(
        found.frame_logits(waveforms), expected.frame_logits(waveforms), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_half_precision_is_read_as_single(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    _change_weights(folder, lambda tensors: {name: one.half() for name, one in tensors.items()})
    assert all(one.dtype == torch.float32 for one in load_checkpoint(folder).model.parameters())


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_checkpoints_size_is_that_of_its_file(
    make_recogniser: Callable[..., Recogniser], tmp_path: Path, dtype: torch.dtype, said: bool
) -> None:
    recogniser, words = make_recogniser(), Transcripts("one", {"u": ("", ("a",))})
    recogniser.model.to(dtype).save_pretrained(tmp_path / "kept")
    recogniser.processor.save_pretrained(tmp_path / "kept")
    if not said:
        _change_config(tmp_path / "kept", dtype="float16" if dtype == torch.float32 else None)
    system = float_system("input", load_checkpoint(tmp_path / "kept"), score(words, words))
    assert system.nominal_bits == torch.finfo(dtype).bits
    file = (tmp_path / "kept" / "model.safetensors").stat().st_size
    assert 0.8 * file < system.bytes < file  # the rest is the file's header


def test_an_old_bin_loads(
    make_checkpoint: MakeCheckpoint, make_recogniser: Callable[..., Recogniser]
) -> None:
    folder = make_checkpoint()
    _as_bin(folder)
    state = make_recogniser().model.state_dict()
    for name, one in load_checkpoint(folder).model.state_dict().items():
        assert torch.equal(one, state[name]), name


class _Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
        return os.mkdir, (self.path,)


def test_a_bin_that_runs_code_is_refused_unrun(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    folder, trace = make_checkpoint(), tmp_path / "it ran"
    _as_bin(folder, payload=_Malicious(trace))
    with pytest.raises(InputError, match="more than tensors.*safetensors"):
        load_checkpoint(folder)
    assert not trace.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert trace.exists()


def test_published_checkpoints_without_a_mask_embedding_load(
    make_checkpoint: MakeCheckpoint,
) -> None:
    folder = make_checkpoint()
    _change_weights(folder, _without("masked_spec_embed"))
    loaded = load_checkpoint(folder)
    assert not bool(loaded.model.wav2vec2.masked_spec_embed.any())


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("lm_head", "no CTC head; `sottovoce finetune"),
        ("layers.1.attention.q_proj.weight", "lacks .*q_proj.weight"),
        ("pos_conv_embed", "lacks .*pos_conv_embed"),
    ],
)
def test_missing_weights_are_named(
    make_checkpoint: MakeCheckpoint, missing: str, message: str
) -> None:
    folder = make_checkpoint()
    _change_weights(folder, _without(missing))
    with pytest.raises(InputError, match=message):
        load_checkpoint(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(
    make_checkpoint: MakeCheckpoint, value: float
) -> None:
    def change(tensors: Tensors) -> Tensors:
        tensors["wav2vec2.encoder.layers.0.attention.k_proj.weight"][3, 1] = value
        return tensors

    folder = make_checkpoint()
    _change_weights(folder, change)
    with pytest.raises(InputError, match=r"layers\.0\.attention\.k_proj\.weight .*not finite"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "'bert' are not supported; supported are hubert"),
        ({"model_type": "nonsense"}, "cannot read the checkpoint"),
        ({"hidden_size": "wide"}, "config.json has hidden_size 'wide'"),
        ({"hidden_size": 48}, "cannot read the checkpoint"),
        ({"conv_dim": [16]}, "cannot read the checkpoint"),
        ({"num_hidden_layers": 3}, r"lacks .*layers\.2"),
        ({"num_hidden_layers": 1}, r"has .*layers\.1.* correct the config"),
    ],
)
def test_a_config_that_does_not_suit_is_refused(
    make_checkpoint: MakeCheckpoint, changes: dict[str, Any], message: str
) -> None:
    folder = make_checkpoint()
    _change_config(folder, **changes)
    with pytest.raises(InputError, match=message) as raised:
        load_checkpoint(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_config_that_is_no_config_is_refused(
    make_checkpoint: MakeCheckpoint, content: bytes
) -> None:
    folder = make_checkpoint()
    (folder / "config.json").write_bytes(content)
    with pytest.raises(InputError, match="cannot read the checkpoint .*checkpoint"):
        load_checkpoint(folder)


@pytest.mark.parametrize("kept", [0, 0.5, 0.999])
def test_a_truncated_file_is_refused(make_checkpoint: MakeCheckpoint, kept: float) -> None:
    folder = make_checkpoint()
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match="cannot read the checkpoint"):
        load_checkpoint(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the checkpoint .*nowhere"):
        load_checkpoint(tmp_path / "nowhere")


def _raises(error: Exception) -> Callable[..., Any]:
    def raising(*_: Any, **__: Any) -> Any:
        raise error

    return raising


def test_a_hub_that_cannot_be_reached_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "get_hf_file_metadata", _raises(ConnectionError("no route")))
    monkeypatch.setattr(AutoConfig, "from_pretrained", _raises(AssertionError("asked again")))
    with pytest.raises(InputError, match=r"no such folder.* hub cannot be reached \(no route\)"):
        load("nobody/mistyped")


def test_what_the_hub_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = RepositoryNotFoundError("404", response=SimpleNamespace(headers={}, request=None))
    monkeypatch.setattr(checkpoint, "get_hf_file_metadata", _raises(answer))
    monkeypatch.setattr(AutoConfig, "from_pretrained", _raises(OSError("not a valid identifier")))
    with pytest.raises(InputError, match=r"no such folder.* as a hub id: not a valid identifier"):
        load("nobody/mistyped")


def test_what_is_cached_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "try_to_load_from_cache", lambda *_: str(tmp_path))
    monkeypatch.setattr(checkpoint, "get_hf_file_metadata", _raises(AssertionError("asked")))
    monkeypatch.setattr(AutoConfig, "from_pretrained", lambda *_, **__: WavLMConfig())
    assert not has_head("somebody/cached")


def test_a_folder_without_weights_is_refused(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no file named model\.safetensors"):
        load_checkpoint(folder)


@pytest.mark.parametrize("lost", ["vocab.json", "everything but the weights"])
def test_a_folder_without_its_processor_is_refused(
    make_checkpoint: MakeCheckpoint, lost: str
) -> None:
    folder = make_checkpoint()
    kept = {"config.json", "model.safetensors"}
    for path in folder.iterdir():
        if path.name == lost or (lost.startswith("everything") and path.name not in kept):
            path.unlink()
    with pytest.raises(InputError, match=str(folder)):
        load_checkpoint(folder)


def test_a_compressed_folder_is_no_start_point(
    make_recogniser: Callable[..., Recogniser], tmp_path: Path
) -> None:
    recogniser, folder = make_recogniser(), tmp_path / "packed"
    write_artifact(folder, recogniser.model, recogniser.processor, {}, Plan({}))
    assert is_artifact(folder)
    with pytest.raises(InputError, match="compressed already"):
        load_checkpoint(folder)


def test_a_backbone_gets_a_new_head(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    _change_weights(folder, _without("lm_head"))
    vocabulary = {"<pad>": 0, "<unk>": 1, "|": 2, "a": 3}
    model = load_backbone(folder, vocabulary)
    assert model.lm_head.weight.shape == (4, 32)
    assert model.config.pad_token_id == 0
    expected = load_file(folder / "model.safetensors")
    for name, one in expected.items():
        assert torch.equal(model.state_dict()[name], one)


def test_a_backbone_with_a_hole_is_refused(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    _change_weights(folder, _without("layers.1.attention.q_proj"))
    with pytest.raises(InputError, match="lacks .*q_proj"):
        load_backbone(folder, {token: label for label, token in enumerate(VOCABULARY)})


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_masked_features_do_not_stop_training(make_checkpoint: MakeCheckpoint, family: str) -> None:
    asked = {"apply_spec_augment": True} if family == "whisper" else {}
    source = make_checkpoint(family, mask_feature_prob=0.5, mask_feature_length=4, **asked)
    recogniser = load_checkpoint(source)
    targets = [recogniser.head.sample_targets]
    recogniser.model.train()
    masked = recogniser.logits(recogniser.features([noise(0.4)], targets))
    assert masked.isfinite().all()
    recogniser.model.eval()
    whole = recogniser.logits(recogniser.features([noise(0.4)], targets))
    assert not torch.equal(whole, masked)


@pytest.mark.parametrize("family", ["wav2vec2", "parakeet_ctc"])
def test_a_processor_that_lacks_a_package_says_which(
    make_checkpoint: MakeCheckpoint, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: Any, **__: Any) -> None:
        raise ImportError("ParakeetConverter requires the protobuf library but it was not found")

    folder = make_checkpoint(family)
    processor_class = getattr(transformers, family_of(family).processor)
    monkeypatch.setattr(processor_class, "from_pretrained", lacking)
    with pytest.raises(InputError, match=r"another package: .* requires the protobuf.*with pip"):
        load_checkpoint(folder)


def test_another_familys_feature_extractor_is_refused(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint("wav2vec2-bert")
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    path = folder / "processor_config.json"
    extractor = json.loads((folder / "preprocessor_config.json").read_text())
    path.write_text(json.dumps(json.loads(path.read_text()) | {"feature_extractor": extractor}))
    with pytest.raises(InputError, match=r"makes input_values and the model takes input_features"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ((), r"no processor with a tokenizer.*ParakeetProcessor\.save_pretrained"),
        (("tokenizer.model",), r"sentencepiece model.*: pip install sentencepiece protobuf"),
    ],
)
def test_a_tokenizer_that_cannot_be_read_is_told(
    make_checkpoint: MakeCheckpoint,
    monkeypatch: pytest.MonkeyPatch,
    kept: tuple[str, ...],
    message: str,
) -> None:
    folder = make_checkpoint("parakeet_ctc")
    (folder / "tokenizer.json").unlink()
    for name in kept:
        (folder / name).write_bytes(b"a sentencepiece model")
    monkeypatch.setattr("sottovoce.loading.find_spec", lambda _: None)
    with pytest.raises(InputError, match=message):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 10**6}, "num_hidden_layers 1000000; .* from 1 to 1,024"),
        ({"hidden_size": 10**12}, "hidden_size 1000000000000"),
        ({"hidden_size": 0}, "hidden_size 0"),
        ({"vocab_size": -1}, "vocab_size -1"),
        ({"num_attention_heads": 5}, "num_attention_heads 5, which does not divide hidden_size 32"),
        ({"conv_stride": [0, 10]}, "conv_stride 0"),
        ({"conv_kernel": [20, "10"]}, "conv_kernel"),
        ({"mask_time_length": 10**9}, "mask_time_length 1000000000"),
        (
            {"mask_feature_prob": 0.5, "mask_feature_length": 32},
            "mask_feature_length 32, which leaves nothing of hidden_size 32",
        ),
        ({"hidden_dropout": float("nan")}, "hidden_dropout nan; it must be a number from 0 to 1"),
        ({"hidden_dropout": "0.1"}, "hidden_dropout"),
        ({"mask_time_prob": 2.0}, "mask_time_prob 2.0"),
        ({"layer_norm_eps": float("inf")}, "layer_norm_eps inf; it must be a finite number"),
        ({"eos_token_id": 10**12}, "eos_token_id"),
        ({"intermediate_size": 2**18, "hidden_size": 2**16}, "asks for a model of [0-9,]+ numbers"),
        ({"vocab_size": None}, "cannot read the checkpoint"),
        ({"num_labels": 10**12}, "num_labels 1,000,000,000,000; no model has more"),
        ({"dtype": "nonsense"}, "cannot read the checkpoint"),
        ({"layer_norm_eps": "1e-5"}, "'layer_norm_eps': TypeError"),
        ({"hidden_act": "evil"}, "^cannot read the checkpoint"),
        ({"attn_implementation": "evil/kernel"}, "names code for its attention, evil/kernel"),
    ],
)
def test_settings_that_no_model_has_are_refused_before_it_is_built(
    make_checkpoint: MakeCheckpoint, changes: dict[str, Any], message: str
) -> None:
    folder = make_checkpoint()
    _change_config(folder, **changes)
    with pytest.raises(InputError, match=message) as raised:
        load_checkpoint(folder)
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


def _change_processor(folder: Path, **changes: Any) -> None:
    path = folder / "processor_config.json"
    settings = json.loads(path.read_text())
    settings["feature_extractor"] |= changes
    path.write_text(json.dumps(settings))


@pytest.mark.parametrize("family", ["wav2vec2", "wav2vec2-bert", "parakeet_ctc"])
@pytest.mark.parametrize("rate", [0, -16000, "16000", 16000.0, 10**12, None, [16000], True])
def test_a_sampling_rate_that_is_none_is_refused(
    make_checkpoint: MakeCheckpoint, family: str, rate: object
) -> None:
    folder = make_checkpoint(family)
    _change_processor(folder, sampling_rate=rate)
    with pytest.raises(InputError, match=f"{folder}.*") as raised:
        load_checkpoint(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("wav2vec2", {"do_normalize": "yes"}, "do_normalize 'yes'; it must be true or false"),
        ("wav2vec2", {"padding_value": "0"}, "padding_value '0'"),
        ("wav2vec2-bert", {"stride": 0}, "stride 0"),
        ("wav2vec2-bert", {"num_mel_bins": 10**12}, "processor_config.json has num_mel_bins"),
        ("parakeet_ctc", {"n_fft": 10**12}, "processor_config.json has n_fft"),
        ("wav2vec2-bert", {"stride": 4}, "gives 320 features a frame, and the model takes 160"),
        ("parakeet_ctc", {"hop_length": 0}, "hop_length 0|cannot read"),
        ("parakeet_ctc", {"feature_size": 40}, "40 features a frame, and the model takes 80"),
    ],
)
def test_settings_of_a_feature_extractor_that_cannot_be_meant_are_refused(
    make_checkpoint: MakeCheckpoint, family: str, changes: dict[str, Any], message: str
) -> None:
    folder = make_checkpoint(family)
    _change_processor(folder, **changes)
    with pytest.raises(InputError, match=message):
        load_checkpoint(folder)


@pytest.mark.parametrize("content", ["[]", "{", "null", '{"a": {}}', '{"a": []}', "[" * 10**5])
@pytest.mark.parametrize("file", ["vocab.json", "tokenizer_config.json", "processor_config.json"])
def test_a_file_beside_the_weights_that_is_none_is_refused(
    make_checkpoint: MakeCheckpoint, file: str, content: str
) -> None:
    folder = make_checkpoint()
    (folder / file).write_text(content)
    try:
        load_checkpoint(folder)
    except InputError as error:
        assert str(folder) in str(error)
        assert "\n" not in str(error)
    else:
        assert file == "tokenizer_config.json"  # whose defaults are those of this checkpoint


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_file_is_no_folder(make_checkpoint: MakeCheckpoint, file: str) -> None:
    folder = make_checkpoint()
    for read in (load, load_checkpoint, has_head, load_feature_extractor):
        with pytest.raises(InputError, match=f"{file} is a file; give its folder, {folder}"):
            read(folder / file)


_CODE = {"AutoConfig": "evil.C", "AutoModelForCTC": "evil.M", "AutoProcessor": "evil.P"}
_CODE |= {"AutoFeatureExtractor": "evil.F", "AutoTokenizer": ["evil.T", None]}


@pytest.mark.parametrize(
    "file", ["config.json", "processor_config.json", "tokenizer_config.json", "all"]
)
@pytest.mark.parametrize("known", [True, False])
def test_code_in_a_folder_is_neither_run_nor_asked_for(
    make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch, file: str, known: bool
) -> None:
    monkeypatch.setattr("builtins.input", _raises(AssertionError("asked")))
    folder = make_checkpoint()
    trace = folder / "it ran"
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(trace)!r})\n")
    kinds = {
        "config.json": "model_type",
        "processor_config.json": "processor_class",
        "tokenizer_config.json": "tokenizer_class",
    }
    for name in kinds if file == "all" else [file]:
        path = folder / name
        settings = json.loads(path.read_text()) | {"auto_map": _CODE}
        if name == "processor_config.json":
            settings["feature_extractor"]["auto_map"] = _CODE
        if not known:
            settings[kinds[name]] = "Evil"
        path.write_text(json.dumps(settings))
    for read in (load, load_checkpoint):
        try:
            read(folder)
        except InputError as error:
            assert str(folder) in str(error)
            assert "\n" not in str(error)
            assert "trust_remote_code" not in str(error)
    assert not trace.exists()
    if known:
        load(folder)


@pytest.mark.parametrize("named", ["/etc/passwd", "../model.safetensors", "a/../../b.safetensors"])
def test_an_index_cannot_name_files_outside_the_folder(
    make_checkpoint: MakeCheckpoint, named: str
) -> None:
    folder = make_checkpoint()
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, named)}))
    with pytest.raises(InputError, match="index.json names .*outside the folder"):
        load_checkpoint(folder)
    (folder / "part.safetensors").symlink_to(folder.parent / "model.safetensors")
    for weight_map in ({}, [], None, {"a": 3}):
        index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
        with pytest.raises(InputError, match=str(folder)):
            load_checkpoint(folder)
    named = "part.safetensors"  # as the hub's cache has them
    index.write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, named)}))
    load_checkpoint(folder)


def _multilingual(folder: Path, language: str | None) -> Path:
    """Weights and vocabularies of two languages, as MMS has them; the weights are eng's."""
    special = ["<pad>", "<s>", "</s>", "<unk>", "|"]
    letters = {"eng": [*"abcdef"], "fra": [*"fedcbaz"]}
    vocabularies = {
        name: {one: label for label, one in enumerate(special + held)}
        for name, held in letters.items()
    }
    model = tiny_model("wav2vec2", vocab_size=11, adapter_attn_dim=8, do_stable_layer_norm=True)
    model.save_pretrained(folder)
    adapter = {
        name: torch.randn(12, *one.shape[1:])
        if name.startswith("lm_head")
        else torch.randn_like(one)
        for name, one in model._get_adapters().items()
    }
    save_file(adapter, folder / "adapter.fra.safetensors")
    (folder / "vocab.json").write_text(json.dumps(vocabularies))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(folder / "vocab.json", target_lang="eng")
    processor = transformers.Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer)
    processor.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target_lang": language}))
    return folder


def test_the_adapter_of_the_tokenizers_language_is_loaded(tmp_path: Path) -> None:
    folder = _multilingual(tmp_path / "mms", "fra")
    found = load_checkpoint(folder)
    adapter = load_file(folder / "adapter.fra.safetensors")
    state = found.model.state_dict()
    assert {name for name, one in adapter.items() if torch.equal(state[name], one)} == set(adapter)
    assert (found.outputs, found.labels.written[11]) == (12, "z")
    expected = load_file(folder / "model.safetensors")
    name = "wav2vec2.encoder.layers.1.attention.q_proj.weight"
    assert torch.equal(state[name], expected[name])


@pytest.mark.parametrize(
    ("language", "message"),
    [
        (None, "vocabularies of eng, fra, and target_lang .* is None; set it to one of these"),
        ("deu", "vocabularies of eng, fra, and target_lang .* is 'deu'"),
        ("eng", "no adapter.eng.safetensors for its tokenizer's target_lang 'eng'"),
    ],
)
def test_a_language_must_be_named_and_be_there(
    tmp_path: Path, language: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_checkpoint(_multilingual(tmp_path / "mms", language))


def test_a_language_without_a_vocabulary_of_its_own_is_refused(
    make_checkpoint: MakeCheckpoint,
) -> None:
    folder = make_checkpoint()
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target_lang": "fra"}))
    with pytest.raises(InputError, match="a single vocabulary, and target_lang .* remove it"):
        load_checkpoint(folder)


def test_a_type_that_is_no_float_s_says_nothing_of_the_weights(
    make_checkpoint: MakeCheckpoint,
) -> None:
    folder = make_checkpoint()
    _as_bin(folder)
    _change_config(folder, dtype="int8")
    assert load_checkpoint(folder).stored_bits == 32


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("do_lower_case", "no"),
        ("word_delimiter_token", 7),
        ("word_delimiter_token", ["|"]),
        ("target_lang", ["eng"]),
    ],
)
def test_a_setting_of_the_tokenizer_of_another_type_is_refused(
    make_checkpoint: MakeCheckpoint, name: str, value: object
) -> None:
    folder = make_checkpoint()
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(InputError, match=f"tokenizer_config.json has {name} "):
        load_checkpoint(folder)
