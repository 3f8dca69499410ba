"""`finetune` on backbones without a CTC head, of families with processors of their own."""

import json
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from program import Ended, save_checkpoint, save_speech, sottovoce, write_manifest
from safetensors.torch import load_file, save_file
from tiny import noise, tiny_model
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2FeatureExtractor

from sottovoce import load

QUICK = ("--steps", 2, "--evaluations", 1, "--seconds-per-batch", 1.5)


@pytest.mark.parametrize(
    ("family", "extractor"),
    [
        ("wav2vec2-conformer", Wav2Vec2FeatureExtractor()),
        ("wav2vec2-bert", SeamlessM4TFeatureExtractor()),
    ],
)
def test_a_backbone_gets_a_head_over_the_transcripts_characters(
    tmp_path: Path, family: str, extractor: Any
) -> None:
    backbone, out, speech = tmp_path / "backbone", tmp_path / "out", save_speech(tmp_path / "s")
    tiny_model(family).base_model.save_pretrained(backbone)
    extractor.save_pretrained(backbone)
    ended = sottovoce(
        *("finetune", backbone, "--train", speech, "--dev", speech, "--out", out, *QUICK)
    )
    assert ended.status == 0, ended.err
    assert "has no CTC head" in ended.err
    found = load(out)
    assert sorted(found.labels.written.values()) == ["", "", " ", "a", "b", "c"]
    assert type(found.processor).__name__ == found.family.processor
    assert set(found.recognise([noise(0.4)])[0]) <= set(" abc")


def _dev(folder: Path, *texts: str) -> Path:
    records = [json.loads(line) for line in save_speech(folder, 8).read_text().splitlines()]
    changed = zip(records, cycle(texts), strict=False)
    return write_manifest(folder / "dev.jsonl", [{**one, "text": text} for one, text in changed])


def _finetuned(tmp_path: Path, dev: Path) -> Ended:
    tiny_model("wav2vec2").base_model.save_pretrained(tmp_path / "backbone")
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "backbone")
    speech = ("--train", save_speech(tmp_path / "train"), "--dev", dev)
    return sottovoce("finetune", tmp_path / "backbone", *speech, "--out", tmp_path / "out", *QUICK)


def test_dev_transcripts_may_be_in_another_case_and_with_punctuation(tmp_path: Path) -> None:
    ended = _finetuned(tmp_path, _dev(tmp_path / "dev", "AB, C!", "Ca–b…", "B'a"))
    assert ended.status == 0, ended.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ab 7é", "has '7', 'é', which the model's vocabulary cannot write"),
        ("", "has no words in its transcripts"),
    ],
)
def test_dev_transcripts_that_a_new_head_cannot_write_are_refused_before_training(
    tmp_path: Path, updates: list[int], text: str, told: str
) -> None:
    ended = _finetuned(tmp_path, _dev(tmp_path / "dev", text))
    assert ended.status == 2
    last = ended.err.splitlines()[-1]
    assert "error: a new head over 3 characters (abc) of train/speech: dev/dev" in last
    assert told in last
    assert (updates, list(tmp_path.glob("out*"))) == ([], [])


def test_an_encoder_of_its_own_type_is_refused_by_name(tmp_path: Path) -> None:
    speech = save_speech(tmp_path / "speech")
    tiny_model("parakeet_ctc").encoder.save_pretrained(tmp_path / "encoder")
    ended = sottovoce(
        *("finetune", tmp_path / "encoder", "--train", speech, "--dev", speech),
        *("--out", tmp_path / "out"),
    )
    assert ended.status == 2
    assert "'parakeet_encoder' are not supported" in ended.err


def test_a_head_that_the_config_names_and_the_weights_lack_is_made(tmp_path: Path) -> None:
    checkpoint, speech = save_checkpoint(tmp_path / "start"), save_speech(tmp_path / "s")
    weights = load_file(checkpoint / "model.safetensors")
    kept = {name: one for name, one in weights.items() if not name.startswith("lm_head")}
    save_file(kept, checkpoint / "model.safetensors", metadata={"format": "pt"})
    out = ("--out", tmp_path / "out")
    ended = sottovoce("finetune", checkpoint, "--train", speech, "--dev", speech, *out, *QUICK)
    assert ended.status == 0, ended.err
    assert "has no CTC head: it gets a new head over 3 characters (abc)" in ended.err
    assert load(tmp_path / "out").outputs == 6
    ended = sottovoce("transcribe", checkpoint, speech.with_name("0.wav"))
    assert "no CTC head; `sottovoce finetune" in ended.err


def test_a_training_that_ends_with_blanks_alone_says_so(tmp_path: Path) -> None:
    tiny_model("wav2vec2").base_model.save_pretrained(tmp_path / "backbone")
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "backbone")
    speech = save_speech(tmp_path / "s")
    ended = sottovoce(
        *("finetune", tmp_path / "backbone", "--train", speech, "--dev", speech),
        *("--out", tmp_path / "out", "--steps", 40, "--learning-rate", 0.1, "--evaluations", 1),
    )
    assert ended.status == 0, ended.err
    silent = not any(load(tmp_path / "out").recognise([noise(0.4), noise(0.5, 1)]))
    assert ("every hypothesis of" in ended.err) is silent is True
