"""What the references of other families start from."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import noise

from benchmarks.train_references import REFERENCES, save_start, start
from sottovoce.loading import load_checkpoint
from sottovoce.models.recogniser import Recogniser

MakeRecogniser = Callable[..., Recogniser]


@torch.inference_mode()
def _logits(recogniser: Recogniser) -> torch.Tensor:
    return recogniser.logits(recogniser.features([noise(0.4)]))


def test_hubert_starts_as_the_recogniser_itself(
    make_recogniser: MakeRecogniser, tmp_path: Path
) -> None:
    source = make_recogniser()
    save_start(source, REFERENCES["commands-hubert"], tmp_path / "start")
    found = load_checkpoint(tmp_path / "start")
    assert found.family.model_type == "hubert"
    assert torch.equal(_logits(found), _logits(source))


@pytest.mark.parametrize(
    ("name", "fresh"), [("commands-wavlm", "rel"), ("commands-conformer", "encoder")]
)
def test_only_what_the_recogniser_lacks_is_fresh(
    make_recogniser: MakeRecogniser, name: str, fresh: str
) -> None:
    source, reference = make_recogniser(), REFERENCES[name]
    model = start(source, reference)
    theirs = {key.split(".", 1)[1]: one for key, one in source.model.state_dict().items()}
    for key, one in model.state_dict().items():
        twin = theirs.get(key.split(".", 1)[1])
        if twin is not None and twin.shape == one.shape:
            assert torch.equal(one, twin), key
        else:
            assert fresh in key or "conformer" in name, key
    front_end = [key for key in model.state_dict() if "feature_extractor" in key]
    assert front_end
    assert all(key.split(".", 1)[1] in theirs for key in front_end)
