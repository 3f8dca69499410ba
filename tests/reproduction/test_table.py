"""Tables as TOML."""

from itertools import product
from pathlib import Path

import pytest

from sottovoce.config.recipe import Recipe
from sottovoce.errors import InputError
from sottovoce.reproduction.table import named_tables, read_table

ROW = '[[rows]]\nname = "U1"\nsystem = "full"\nmethod = "finetune"\n'


@pytest.mark.parametrize("name", named_tables())
def test_every_row_of_a_named_table_can_be_run(name: str) -> None:
    table = read_table(name)
    assert table.paper.startswith(
        "arXiv 2305.16619" if name == "rybakov2023" else "arXiv 2501.03643"
    )
    for row in table.rows:
        if row.method != "published":
            recipe = row.training({"steps": 7})
            assert recipe.steps == 7
            if isinstance(recipe, Recipe) and recipe.bits and len(recipe.candidates) > 1:
                assert f"{recipe.bits:g} bits" in row.system
        assert len(row.paper.wer) in (0, len(table.tests))
        if row.paper.wer and row.paper.all is not None:
            # P1 weights its two test sets by utterances.
            clean, other = row.paper.wer[2:]
            mean = (2620 * clean + 2939 * other) / (2620 + 2939)
            assert row.paper.all == pytest.approx(mean, abs=0.021)


def test_the_papers_rows_say_what_they_train() -> None:
    rows = {row.name: row.training({}) for row in read_table("xu2025-table-1").rows}
    assert len(rows) == 1 + 5 + 6 + 4 + 8 + 9
    recipes = {name: recipe for name, recipe in rows.items() if isinstance(recipe, Recipe)}
    with_kl = {name for name, recipe in recipes.items() if recipe.teacher == "live"}
    assert {"O2", "O4", "N2", "N3", "N4", "F9", "M2"} <= with_kl
    assert not {"O1", "O3", "N1", "N5", "F1", "F5", "M1", "U2"} & with_kl
    assert {name for name, one in recipes.items() if one.kl_finetune} == {
        *("N2", "N4", "N6", "N8", "F2", "F4", "F6", "F8", "F9")
    }
    assert {name for name, one in recipes.items() if one.finetune == "start"} == {
        f"N{k}" for k in range(1, 9)
    }
    assert recipes["F9"].cnn_bits == 8
    assert recipes["N2"].kl_mixed == 0 < recipes["N3"].kl_mixed
    assert {name for name, one in recipes.items() if one.students_finetune == "all"} == {
        name for name, one in recipes.items() if one.kl_finetune
    }
    assert recipes["M2"].students == "all"


def test_the_study_of_two_bits_crosses_offset_block_and_clipping() -> None:
    rows = {row.name: row.training({}) for row in read_table("rybakov2023").rows}
    two = {name: one for name, one in rows.items() if isinstance(one, Recipe) and one.bits == 2}
    crossed = {
        (one.precisions[2].grid, one.precisions[2].scale_per, one.initial_range)
        for one in two.values()
        if one.scale_learning_rate == 0
    }
    shared = ("channel", "128 weights", "64 weights", "32 weights")
    assert crossed == set(product(("symmetric", "asymmetric"), shared, ("max", "l1")))
    assert len(two) == len(crossed) + 1
    assert {one.bits for one in rows.values() if isinstance(one, Recipe)} == {2, 4}
    for one in rows.values():
        if isinstance(one, Recipe):
            assert (one.cnn_bits, one.scale_bits, len(one.candidates)) == (8, 16, 1)


def test_a_row_may_turn_the_papers_own_option(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    row = '[[rows]]\nname = "O"\nsystem = "by eta"\nrecipe = "paper"\noptions = { eta = 2e-5 }\n'
    file.write_text('baseline = "U1"\n' + ROW + row)
    recipe = read_table(str(file)).rows[1].training({})
    assert isinstance(recipe, Recipe)
    assert (recipe.bits, recipe.eta) == (None, 2e-5)


def test_what_holds_for_all_rows_gives_up_what_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("eta = 1e-5\n")
    file = tmp_path / "mine.toml"
    row = '[[rows]]\nname = "O"\nsystem = "ours"\nrecipe = "own.toml"\n'
    row += "options = { steps = 9, bits = 3 }"
    file.write_text('baseline = "U1"\n' + ROW + row)
    recipe = read_table(str(file)).rows[1].training({"epochs": 2.0})
    assert isinstance(recipe, Recipe)
    assert (recipe.steps, recipe.epochs, recipe.bits, recipe.eta) == (None, 2.0, 3.0, None)


def test_a_recipe_file_is_found_beside_its_table(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("bits = 2.5\n")
    file = tmp_path / "mine.toml"
    row = '[[rows]]\nname = "O"\nsystem = "ours"\nrecipe = "own.toml"\n'
    file.write_text('baseline = "U1"\n' + ROW + row)
    recipe = read_table(str(file)).rows[1].training({})
    assert isinstance(recipe, Recipe)
    assert recipe.bits == 2.5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rows = [", "table .*: "),
        ('baseline = "U1"\n', "its baseline 'U1' is no row that is run"),
        ('baseline = "U1"\n' + ROW + ROW, "two rows are called 'U1'"),
        ('baseline = "U1"\n' + ROW + "options = { stepps = 3 }", "row U1: 'stepps' is no option"),
        ('baseline = "U1"\n' + ROW + "paper = { hour = 3 }", "row U1: .*'hour'"),
        ('baseline = "U1"\n' + ROW.replace("finetune", "prune"), "row U1: method is 'prune'"),
        ('baseline = "U1"\n' + ROW.replace('"U1"', '"a/b"'), "the name 'a/b'"),
        ('baseline = "U1"\n' + ROW.replace('"U1"', '".."'), r"the name '\.\.'"),
        ('baseline = "U1"\n' + ROW.replace('"U1"', '"input"'), "the name 'input'"),
        ('baseline = "U1"\nrows = 3\n', "table .*: "),
        ('baseline = "U1"\nrows = ["x"]\n', "table .*: "),
        ('baseline = "U1"\n' + ROW + 'paper = { wer = ["a"] }', "row U1: .*'a'"),
        ('baseline = "U1"\n' + ROW + 'paper = { mark = "good" }', "row U1: .*mark is 'good'"),
        ('baseline = "U1"\n' + ROW.replace("U1", "O") + "recipe = 3\n", "row O: "),
        ('baseline = "U1"\ncolour = 1\n' + ROW, "'colour' is unknown"),
    ],
)
def test_a_table_that_cannot_be_run_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=told):
        read_table(str(file))
    with pytest.raises(InputError, match="neither a table"):
        read_table(str(tmp_path / "none"))
