from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from sottovoce.config.options import PerBits
from sottovoce.config.recipe import Recipe, Training, named_recipes, over, read_recipe
from sottovoce.errors import InputError
from sottovoce.quantization.plan import Precision

TURNED = Recipe(
    bits=None,
    eta=2e-5,
    steps=7,
    candidates=("2/asymmetric/64", 3, 8),
    scale_granularity="48",
    scale_bits=16,
    grid="half",
    students="all",
    teacher="live",
    augment=True,
    student_ctc=((3, 0.25), (8, 1.0)),
    student_kl=(),
)


@pytest.mark.parametrize("recipe", [*map(read_recipe, named_recipes()), Recipe(), TURNED])
def test_toml_there_and_back_is_the_same_recipe(recipe: Recipe, tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(recipe.to_toml())
    assert read_recipe(str(file)) == recipe


def test_the_papers_recipe_is_the_papers() -> None:
    paper = read_recipe("paper")
    assert (paper.teacher, paper.students, paper.kl_mixed) == ("live", "all", 1.0)
    assert paper.candidates == (2, 4, 8)
    assert dict(paper.student_ctc) == {2: 0.0, 4: 1.0, 8: 1.0}
    assert dict(paper.student_kl) == {2: 1.0, 4: 1.0, 8: 0.0}
    assert (paper.grid, paper.grid_at_2_bits) == ("symmetric", "symmetric")
    assert (paper.temperature_start, paper.temperature_end) == (1.0, 0.03)
    assert (paper.learning_rate, paper.epochs, paper.warmup) == (3e-5, 5.0, 0.1)
    without = read_recipe("paper-no-kl")
    assert (without.teacher, without.students) == ("none", "none")
    sampled = read_recipe("paper-sampled")
    assert replace(sampled, students="all", kl_students=0.05) == paper


def test_default_is_named_and_has_the_defaults_of_the_fields() -> None:
    assert "default" in named_recipes()
    assert read_recipe("default") == Recipe()


@pytest.mark.parametrize("of", [Training, Recipe])
def test_every_option_has_help_and_a_reader(of: type[Training]) -> None:
    recipe = of()
    for spec in fields(of):
        assert len(spec.metadata["help"]) > 3, spec.name
        value = getattr(recipe, spec.name)
        assert getattr(recipe.replaced({spec.name: value}), spec.name) == value


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("candidates", "2,4,8", (2, 4, 8)),
        ("candidates", "8, 2", (2, 8)),
        ("candidates", "8, 2/asymmetric/64", ("2/asymmetric/64", 8)),
        ("candidates", [4, "1/half"], ("1/half", 4)),
        ("scale_granularity", 64, "64"),
        ("scale_bits", "16", 16),
        ("student_kl", "2:0,4:1", ((2, 0.0), (4, 1.0))),
        ("student_ctc", {"2": 0, "8": 0.5}, ((2, 0.0), (8, 0.5))),
        ("bits", "4.6", 4.6),
        ("steps", "12", 12),
        ("steps", 12.0, 12),
        ("learning_rate", "1e-3", 1e-3),
        ("augment", "true", True),
        ("augment", False, False),
        ("grid", "full", "full"),
    ],
)
def test_flags_and_tables_are_read(option: str, text: Any, value: Any) -> None:
    found = getattr(Recipe().replaced({option: text}), option)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bit": 4}, "'bit' is no option of a recipe; known are .*bits"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"learning_rate": None}, "learning_rate is None"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"scale_learning_rate": -1e-3}, "scale_learning_rate is -0.001"),
        ({"temperature_end": 0}, "temperature_end is 0"),
        ({"kl_students": -1}, "kl_students is -1"),
        ({"epochs": float("inf")}, "epochs is inf"),
        ({"seed": -1}, "seed is -1"),
        ({"steps": 2.7}, r"steps is 2\.7"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": True}, "steps is True"),
        ({"bits": True}, "bits is True"),
        ({"warmup": 1.0}, "warmup is 1"),
        ({"search_share": 0}, "search_share is 0"),
        ({"augment": "perhaps"}, "augment is 'perhaps'"),
        ({"teacher": "loud"}, "teacher is 'loud'; it must be one of .*cached"),
        ({"grid": 3}, "grid is '3'"),
        ({"candidates": []}, "candidates"),
        ({"candidates": 4}, "candidates is 4"),
        ({"candidates": "2,7"}, r"candidate 7 is no precision; .* with bits of \(1, 1.6, 2,"),
        ({"candidates": [2.5, 4]}, r"candidate 2\.5 is no precision"),
        ({"candidates": "2 4"}, "candidates is '2 4'; .*commas between them, such as 2,4,8"),
        ({"student_kl": "2=1"}, "student_kl is '2=1'; .*such as 4:1.0,8:0.5"),
        ({"student_kl": {"2": "much"}}, "student_kl"),
        ({"bits": 1.9}, r"bits is 1\.9, but the candidates \(2, 4, 8\) allow 2 to 8"),
        ({"bits": 8.1}, r"bits is 8\.1"),
        ({"candidates": [4, 8], "bits": 3}, "allow 4 to 8"),
        ({"candidates": [2], "bits": 4}, "allow 2 to 2; give other bits"),
        (
            {"cnn_bits": 1, "grid_at_2_bits": "symmetric"},
            "cnn_bits.*the symmetric grid has no levels",
        ),
        ({"eta": 1e-5, "bits": 4}, "either bits .* or eta"),
        ({"eta": 1e-5, "bits": None, "plan_by": "kl"}, "needs a target size"),
        ({"bits": None, "eta": -1}, "eta is -1.0; it must be 0 or more"),
        ({"bits": "four"}, "bits is 'four'; it must be a number"),
        ({"teacher": "none", "students": "all"}, "set teacher to"),
        ({"candidates": [3, 6], "students": "all"}, "students of 3, 6 bits learn nothing"),
        ({"students": "all", "student_ctc": "2:0", "kl_students": 0}, "learn nothing"),
        ({"unlabelled": True, "students": "all", "student_kl": "2:0"}, "learn nothing"),
        ({"student_ctc": "4:nan"}, "student_ctc of 4 bits is nan"),
        ({"student_kl": "4:-1"}, "student_kl of 4 bits is -1"),
        (
            {"students": "all", "student_ctc": "4:1,4:5"},
            "student_ctc gives a width two weights",
        ),
        ({"candidates": "4", "plan_by": "kl"}, "plan_by kl has nothing to choose"),
        ({"kl_finetune": 1}, "of Pass 2: set finetune to"),
        ({"students_finetune": "all"}, "of Pass 2: set finetune to"),
        ({"seed": 2**32}, "seed is 4294967296; it must be below"),
    ],
)
def test_what_does_not_suit_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe().replaced(changes)


@pytest.mark.parametrize("plan_by", ["hessian", "nas"])
def test_a_sensitivity_by_the_task_loss_needs_transcripts(plan_by: str) -> None:
    recipe = Recipe().replaced({"unlabelled": True, "plan_by": plan_by})
    with pytest.raises(InputError, match=f"plan_by {plan_by} needs transcripts"):
        recipe.refuse_without_transcripts()


def test_every_width_that_a_target_can_name_is_allowed() -> None:
    assert Recipe(bits=2).bits == 2
    assert Recipe(bits=8).bits == 8
    assert Recipe(bits=4, candidates=(4,)).candidates == (4,)


def test_a_size_may_be_left_open() -> None:
    recipe = Recipe().replaced({"bits": None, "candidates": "1,1.6", "plan_by": "kl"})
    assert not {"bits", "eta"} & recipe.to_record().keys()


def test_quantizers_that_are_not_compiled_are_one_recipe_however_that_is_said() -> None:
    """A run resumes and a stage is shared only under the same recipe."""
    assert Recipe().replaced({"fused": False}) == Recipe()
    assert "fused" not in Recipe(fused=False).to_record()
    assert Recipe(fused=True).to_record()["fused"] is True


def test_a_candidate_without_words_takes_the_recipes_own() -> None:
    recipe = Recipe(
        candidates=(1, "2/asymmetric/64", "3/full", 4),
        scale_granularity="32",
        scale_bits=16,
        cnn_bits=8,
    )
    assert recipe.widths == (1, 2, 3, 4)
    assert recipe.precisions == {
        1: Precision(1, "half", "block", 32, 16),
        2: Precision(2, "asymmetric", "block", 64, 16),
        3: Precision(3, "full", "block", 32, 16),
        4: Precision(4, "symmetric", "block", 32, 16),
    }
    assert recipe.cnn_precision == Precision(8, "symmetric", "channel", scale_bits=16)
    assert Recipe(cnn_bits=8, scale_granularity="tensor").cnn_precision == Precision(
        8, granularity="tensor"
    )
    assert Recipe().cnn_precision is None


def test_candidates_are_sorted_and_single() -> None:
    assert Recipe(candidates=(8, 2, 4, 2)).candidates == (2, 4, 8)


def test_two_bits_have_their_own_grid() -> None:
    recipe = Recipe(grid="full", grid_at_2_bits="half")
    assert [recipe.grid_name(bits) for bits in (1, 2, 3, 8)] == ["half", "half", "full", "full"]


def test_a_file_with_eta_needs_no_word_about_bits(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("eta = 1e-4\nsteps = 3\n")
    recipe = read_recipe(str(file))
    assert (recipe.eta, recipe.bits, recipe.steps) == (1e-4, None, 3)


@pytest.mark.parametrize(
    "content", [b"bits = = 4", b"bits = 4\nbits = 5", b"stepz = 4", b"\xff\xfe", b"steps = 'x'"]
)
def test_a_file_that_is_no_recipe_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "own.toml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"own\.toml(: | is not UTF-8)"):
        read_recipe(str(file))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'pape' is neither a recipe \(default, paper"):
        read_recipe("pape")


def test_per_bits_is_the_type_of_its_options() -> None:
    kinds = {spec.name for spec in fields(Recipe) if spec.type == PerBits}
    assert kinds == {"student_ctc", "student_kl"}
    assert set(asdict(Recipe())) >= kinds


def test_a_single_candidate_is_the_size() -> None:
    assert Recipe().replaced({"candidates": "2/asymmetric/64"}).bits == 2
    assert Recipe().replaced({"candidates": [4, 8]}).bits == 4.0
    assert Recipe(bits=None).replaced({"candidates": [3]}).bits is None
    assert Recipe().replaced({"candidates": [3], "bits": None, "eta": 0.1}).bits is None


def test_only_updates_that_need_the_teacher_are_taught() -> None:
    recipe = Recipe(search_share=0.15)
    assert recipe.searched(100) == recipe.taught(100, searching=True) == 15
    assert recipe.searched(2) == 1
    assert [Recipe(search_share=0.99).searched(n) for n in (1, 2, 10)] == [1, 1, 9]
    assert Recipe(search_share=1).searched(10) == 10
    assert recipe.taught(100, searching=False) == 0
    for changes in (
        {"kl_frozen": 0.5},
        {"unlabelled": True},
        {"students": "all"},
        {"finetune": "learnt", "kl_finetune": 1.0},
    ):
        assert recipe.replaced(changes).taught(100, searching=True) == 100
    for changes in ({"teacher": "none"}, {"kl_mixed": 0.0}, {"plan_by": "kl"}, {"candidates": [4]}):
        assert recipe.replaced(changes).taught(100, searching=True) == 0


def test_an_option_gives_up_the_one_that_says_the_same_in_another_way() -> None:
    short = Recipe(steps=100)
    assert short.replaced({"epochs": 20}).steps is None
    assert short.replaced({"epochs": 20, "steps": 3}).steps == 3
    by_size = short.replaced({"eta": 1e-5})
    assert (by_size.eta, by_size.bits) == (1e-5, None)
    assert by_size.replaced({"bits": 3}).eta is None
    assert by_size.replaced({"seed": 1}).eta == 1e-5
    assert Training(steps=100).replaced({"epochs": 2}).steps is None
    assert over({"steps": 100, "seed": 1}, {"epochs": 2}) == {"seed": 1, "epochs": 2}
