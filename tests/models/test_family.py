from collections.abc import Callable

import pytest
import torch
import transformers

from sottovoce.artifact.packed_layers import WeightedLayer
from sottovoce.artifact.tied_projection import tied_names
from sottovoce.errors import InputError
from sottovoce.models.families import FAMILIES, family_of
from sottovoce.models.recogniser import Recogniser

MakeRecogniser = Callable[..., Recogniser]

TRANSFORMERS = ("wav2vec2", "hubert", "wavlm")
CONFORMERS = ("wav2vec2-conformer", "wav2vec2-bert", "parakeet_ctc")
TRANSFORMER_MODULES = [*["attention"] * 4, *["feed_forward"] * 2]
CONFORMER_ROLES = [
    *("feed-forward 1 in", "feed-forward 1 out"),
    *("q", "k", "v", "positions", "out", "pointwise 1", "pointwise 2"),
    *("feed-forward 2 in", "feed-forward 2 out"),
]
NOT_QUANTIZED = (
    "rel_attn_embed",
    "gru_rel_pos_linear",
)  # of WavLM's positions


def _changes(name: str) -> dict[str, str]:
    return {"position_embeddings_type": "relative"} if name == "wav2vec2-bert" else {}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_layer_is_an_encoder_matrix_or_among_the_cnns(
    make_recogniser: MakeRecogniser, name: str
) -> None:
    recogniser = make_recogniser(name, **_changes(name))
    family, model = recogniser.family, recogniser.model
    multiplying = {
        path
        for path, module in model.named_modules()
        if isinstance(module, WeightedLayer) and not path.endswith(NOT_QUANTIZED)
    }
    multiplying -= {names[0] for names in [tied_names(model)] if names}  # the embedding's weight
    matrices, cnns = family.shapes(model), family.cnns(model)
    assert not matrices.keys() & cnns.keys()
    assert matrices.keys() | cnns.keys() == multiplying
    stacks = tuple(f"{family.backbone}.{stack.layers}." for stack in family.stacks)
    assert all(path.startswith(stacks) for path in matrices)
    within = [path for path in cnns if f".{family.encoder.layers}." in path and "depthwise" in path]
    assert len(within) == (2 if name in CONFORMERS else 0)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformer_layer_has_six_matrices(make_recogniser: MakeRecogniser, name: str) -> None:
    recogniser = make_recogniser(name)
    matrices = recogniser.family.encoder_matrices(recogniser.model)
    assert [matrix.depth for matrix in matrices] == [0] * 6 + [1] * 6
    assert [matrix.module for matrix in matrices[:6]] == TRANSFORMER_MODULES
    shapes = recogniser.family.shapes(recogniser.model)
    assert list(shapes.values())[:6] == [(32, 32)] * 4 + [(48, 32), (32, 48)]


@pytest.mark.parametrize("name", CONFORMERS)
def test_a_conformer_layer_has_eleven_matrices_in_four_modules(
    make_recogniser: MakeRecogniser, name: str
) -> None:
    recogniser = make_recogniser(name, **_changes(name))
    matrices = recogniser.family.encoder_matrices(recogniser.model)
    assert [matrix.depth for matrix in matrices] == [0] * 11 + [1] * 11
    assert [matrix.role for matrix in matrices] == CONFORMER_ROLES * 2
    modules = [matrix.module for matrix in matrices[:11]]
    assert [modules.count(one) for one in dict.fromkeys(modules)] == [2, 5, 2, 2]
    shapes = list(recogniser.family.shapes(recogniser.model).values())[:11]
    feed_forward = [(48, 32), (32, 48)]
    assert shapes == [*feed_forward, *[(32, 32)] * 5, (64, 32), (32, 32), *feed_forward]


def test_a_layer_without_projected_positions_has_ten_matrices(
    make_recogniser: MakeRecogniser,
) -> None:
    recogniser = make_recogniser("wav2vec2-bert", position_embeddings_type="relative_key")
    roles = [one.role for one in recogniser.family.encoder_matrices(recogniser.model)]
    assert roles == [role for role in CONFORMER_ROLES if role != "positions"] * 2


@pytest.mark.parametrize(
    ("name", "layers", "weights"),
    [
        ("wav2vec2-conformer", 24, 24 * (4 * 1024 * 4096 + 5 * 1024**2 + 3 * 1024**2)),
        ("wav2vec2-bert", 24, 24 * (4 * 1024 * 4096 + 4 * 1024**2 + 3 * 1024**2)),
        ("parakeet_ctc", 24, 24 * (4 * 1024 * 4096 + 5 * 1024**2 + 3 * 1024**2)),
    ],
)
def test_published_shapes(name: str, layers: int, weights: int) -> None:
    """wav2vec2-conformer-rel-pos-large, w2v-bert-2.0, parakeet-ctc-0.6b, without their weights."""
    family = family_of(name)
    model_class = getattr(transformers, family.model_class)
    large = {"hidden_size": 1024, "num_hidden_layers": layers, "intermediate_size": 4096}
    settings = large | {"num_attention_heads": 16, "vocab_size": 32}
    with torch.device("meta"):
        model = model_class(model_class.config_class(**settings if name != "parakeet_ctc" else {}))
    assert sum(rows * columns for rows, columns in family.shapes(model).values()) == weights


def test_other_families_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"'speecht5' .* hubert, .*conformer, wavlm, whisper"):
        family_of("speecht5")
