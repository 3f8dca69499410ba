import copy
import importlib
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForCTC, PreTrainedModel, Wav2Vec2Processor

from sottovoce.artifact import PackedLayer, hf_quantizer, plan_of, read_artifact, write_artifact
from sottovoce.errors import InputError
from sottovoce.quantization.plan import Plan

Build = Callable[..., tuple[PreTrainedModel, dict[str, PackedLayer], Plan]]

LOAD_BOTH_WAYS = """
import sys
from pathlib import Path
import torch
import sottovoce.artifact
from transformers import AutoModelForCTC

root = Path(sys.argv[1])
speech = torch.load(root / "speech.pt")
logits = {}
for folder in sorted((root / "artifacts").iterdir()):
    with torch.no_grad():
        logits[folder.name] = (
            AutoModelForCTC.from_pretrained(folder)(speech).logits,
            sottovoce.artifact.read_artifact(folder)[0](speech).logits,
        )
torch.save(logits, root / "logits.pt")
"""


@pytest.fixture
def speech() -> torch.Tensor:
    return torch.randn(2, 1600, generator=torch.Generator().manual_seed(1))


def test_a_fresh_process_computes_the_logits_of_the_trained_weights(
    packed_tiny: Build, processor: Wav2Vec2Processor, speech: torch.Tensor, tmp_path: Path
) -> None:
    expected = {}
    for family, cnns in product(("wav2vec2", "hubert", "wavlm"), (False, True)):
        model, packed, plan = packed_tiny(family, cnns=cnns)
        name = f"{family}{cnns}"
        with torch.no_grad():
            expected[name] = model(speech).logits
        write_artifact(tmp_path / "artifacts" / name, model, processor, packed, plan)
    torch.save(speech, tmp_path / "speech.pt")
    subprocess.run(
        [sys.executable, "-c", LOAD_BOTH_WAYS, str(tmp_path)],
        check=True,
        cwd=Path(__file__).parents[2],
    )

    computed = torch.load(tmp_path / "logits.pt")
    assert computed.keys() == expected.keys()
    for family, logits in expected.items():
        for found in computed[family]:
            assert torch.equal(found, logits), family


@pytest.mark.parametrize("cnns", [False, True])
@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm"])
def test_save_pretrained_writes_the_same_bytes_again(
    packed_tiny: Build,
    processor: Wav2Vec2Processor,
    speech: torch.Tensor,
    tmp_path: Path,
    family: str,
    cnns: bool,
) -> None:
    model, packed, plan = packed_tiny(family, cnns=cnns)
    write_artifact(tmp_path / "first", model, processor, packed, plan)
    first = AutoModelForCTC.from_pretrained(tmp_path / "first")
    first.save_pretrained(tmp_path / "second")
    processor.save_pretrained(tmp_path / "second")
    stored = [load_file(tmp_path / name / "model.safetensors") for name in ("first", "second")]
    assert stored[0].keys() == stored[1].keys()
    for name, tensor in stored[0].items():
        assert tensor.dtype == stored[1][name].dtype
        assert torch.equal(tensor, stored[1][name]), name

    second, _ = read_artifact(tmp_path / "second")
    assert list(plan_of(second).items()) == list(plan.items())
    with torch.no_grad():
        assert torch.equal(second(speech).logits, first(speech).logits)


def test_the_positional_convolution_round_trips_exactly(
    packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("wav2vec2")
    write_artifact(tmp_path / "artifact", model, processor, packed, plan)
    loaded, _ = read_artifact(tmp_path / "artifact")
    name = "wav2vec2.encoder.pos_conv_embed.conv"
    before, after = model.get_submodule(name), loaded.get_submodule(name)
    assert torch.equal(before.weight, after.weight)
    for key, tensor in before.state_dict().items():
        assert torch.equal(after.state_dict()[key], tensor), key


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_half_precision_dtype_runs_with_exact_scales_and_is_not_saved(
    packed_tiny: Build,
    processor: Wav2Vec2Processor,
    speech: torch.Tensor,
    tmp_path: Path,
    dtype: torch.dtype,
) -> None:
    model, packed, plan = packed_tiny("wavlm")
    write_artifact(tmp_path / "artifact", model, processor, packed, plan)
    loaded = AutoModelForCTC.from_pretrained(tmp_path / "artifact", dtype=dtype)
    for name, layer in packed.items():
        found = loaded.get_submodule(name)
        assert found.bias.dtype == dtype
        assert torch.equal(found.scale, layer.scale)
        assert torch.equal(found.weight, layer.weight.to(dtype))
    assert loaded.lm_head.weight.dtype == dtype
    with torch.no_grad():
        assert loaded(speech.to(dtype)).logits.dtype == dtype
    with pytest.raises(InputError, match=r"is torch\..*16 and an artifact holds float32"):
        loaded.save_pretrained(tmp_path / "other")


def test_a_loaded_model_can_be_copied(
    packed_tiny: Build, processor: Wav2Vec2Processor, speech: torch.Tensor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("wav2vec2")
    write_artifact(tmp_path / "artifact", model, processor, packed, plan)
    loaded, _ = read_artifact(tmp_path / "artifact")
    with torch.no_grad():
        logits = loaded(speech).logits
        assert torch.equal(copy.deepcopy(loaded)(speech).logits, logits)


def test_the_processor_comes_back(
    packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("wav2vec2")
    write_artifact(tmp_path / "artifact", model, processor, packed, plan)
    _, found = read_artifact(tmp_path / "artifact")
    assert found.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    assert found.feature_extractor.to_dict() == processor.feature_extractor.to_dict()


def test_another_head_is_refused_by_layer(
    packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("wav2vec2")
    write_artifact(tmp_path / "artifact", model, processor, packed, plan)
    with pytest.raises(InputError, match=r"layer 'wav2vec2\..*' of the plan is not in Wav2Vec2Mod"):
        AutoModel.from_pretrained(tmp_path / "artifact")


def test_a_float_checkpoint_is_not_quantized_while_loading(
    packed_tiny: Build, tmp_path: Path
) -> None:
    model, _, plan = packed_tiny("wav2vec2")
    model.save_pretrained(tmp_path / "float")
    with pytest.raises(ValueError, match="require the model to be pre-quantized"):
        AutoModelForCTC.from_pretrained(
            tmp_path / "float", quantization_config=hf_quantizer.SottovoceConfig(plan.to_json())
        )


def test_importing_again_keeps_the_method_registered(
    packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("wav2vec2")
    write_artifact(tmp_path / "artifact", model, processor, packed, plan)
    importlib.reload(hf_quantizer)
    loaded = AutoModelForCTC.from_pretrained(tmp_path / "artifact")
    assert isinstance(loaded.hf_quantizer, hf_quantizer.SottovoceQuantizer)
