"""`finetune` on backbones without a CTC head, of families with processors of their own."""

from pathlib import Path
from typing import Any

import pytest
from program import save_speech, sottovoce
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


def test_an_encoder_of_its_own_type_is_refused_by_name(tmp_path: Path) -> None:
    speech = save_speech(tmp_path / "speech")
    tiny_model("parakeet_ctc").encoder.save_pretrained(tmp_path / "encoder")
    ended = sottovoce(
        *("finetune", tmp_path / "encoder", "--train", speech, "--dev", speech),
        *("--out", tmp_path / "out"),
    )
    assert ended.status == 2
    assert "'parakeet_encoder' are not supported" in ended.err
