from pathlib import Path

import pytest
from claims import compared_over_seeds

UTTERANCES = 100


def transcribed(folder: Path, name: str, wrong: set[int]) -> None:
    """One word each utterance; those in `wrong` are misheard."""
    write(folder / "transcripts" / name / "hash" / "dev.trn", wrong)


def write(path: Path, wrong: set[int]) -> None:
    path.parent.mkdir(parents=True)
    heard = ("no" if one in wrong else "yes" for one in range(UTTERANCES))
    path.write_text("".join(f"{word} (a-{one:03})\n" for one, word in enumerate(heard)))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write(tmp_path / "rows" / "input" / "reference.trn", set())
    transcribed(tmp_path, "start", set(range(40)))
    return tmp_path


def test_the_luck_of_seeds_evens_out_over_a_recipe(table: Path) -> None:
    """Each seed differs from the start elsewhere, so that the mean varies less than any of them."""
    for seed in range(3):
        others = {2 * seed, 2 * seed + 1, 50 + 2 * seed, 51 + 2 * seed}
        transcribed(table, f"seed-{seed}", set(range(40)) ^ others)

    one = compared_over_seeds(table, ["seed-0"], ["start"])
    all_three = compared_over_seeds(table, [f"seed-{seed}" for seed in range(3)], ["start"])

    assert one["wer"] == pytest.approx([0.4, 0.4])
    assert all_three["wer"] == pytest.approx([0.4, 0.4])
    assert all_three["wers"][0] == [pytest.approx(0.4)] * 3
    assert one["verdict"] == "inconclusive"
    assert one["detectable"] > 0.1 > all_three["detectable"]
    assert all_three["verdict"] == "lossless"
    assert all_three["interval"][0] == pytest.approx(-all_three["interval"][1])


def test_a_recipe_is_worse_or_better_where_the_mean_differs(table: Path) -> None:
    for seed in range(2):
        transcribed(table, f"seed-{seed}", set(range(50 + seed)))
    seeds = [f"seed-{seed}" for seed in range(2)]

    worse, better = (
        compared_over_seeds(table, *pair) for pair in ((seeds, ["start"]), (["start"], seeds))
    )

    assert worse["p"] == better["p"] < 0.05
    assert (worse["verdict"], better["verdict"]) == ("worse", "better")
    assert worse["interval"][0] > 0 > better["interval"][1]
