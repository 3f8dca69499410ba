"""A recipe: every option of a compression in one frozen value, TOML both ways.

The command line's flags, their defaults and their help are made from these fields; they stand
nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib import resources
from math import inf
from pathlib import Path
from typing import Any, Self

import tomli_w

from sottovoce.config.options import (
    PerBits,
    option,
    refuse_unknown_names,
    to_plain,
    with_options_set,
)
from sottovoce.errors import InputError, prefix_errors
from sottovoce.quantization.candidates import Candidates, precision_of, precisions_of
from sottovoce.quantization.grids import GRIDS
from sottovoce.quantization.plan import WHOLE_BITS, Precision
from sottovoce.quantization.rules import RANGES, SCALES
from sottovoce.reading import parse_toml, read_text

SEARCH_GRANULARITIES = ("matrix", "module", "block")
IMPORTANCE_GRADIENTS = ("sampled", "expected")
TEACHERS = ("none", "live", "cached")
STUDENTS = ("none", "sampled", "all")
FINETUNE = ("none", "start", "learnt")
PLAN_BY = ("joint", "kl", "hessian", "nas")
_BY_TASK_LOSS = ("hessian", "nas")
_IN_PLACE_OF = {"epochs": "steps", "bits": "eta", "eta": "bits"}
"""Option -> the one that says the same in another way."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The options of any training, full precision included."""

    epochs: float = option(5.0, "passes over the training speech")
    steps: int | None = option(None, "updates; overrides epochs")
    seconds_per_batch: float = option(101.0, "seconds of padded audio a batch (xu2025: about 101)")
    learning_rate: float = option(3e-5, "peak learning rate of the weights")
    warmup: float = option(0.1, "share of the updates over which the learning rate rises linearly")
    weight_decay: float = option(0.0, "AdamW's decay of the weight matrices")
    max_grad_norm: float = option(1.0, "gradients are clipped to this norm")
    evaluations: int = option(5, "how often the dev speech is recognised during training")
    mixed_precision: str = option(
        "no", "arithmetic of the networks while training", allowed=("no", "bf16")
    )
    augment: bool = option(
        False, "vary the training speech: spectral tilt, echo, gain and noise (same length)"
    )
    train_front_end: bool = option(
        False, "train the convolutional front end too, as training from scratch needs it"
    )
    seed: int = option(0, "of data order, dropout, masks and Gumbel noise")

    def __post_init__(self) -> None:
        refuse_unknown_names(self)
        self._refuse_below_zero("weight_decay", "evaluations", "seed")
        if self.seed >= 2**32:
            raise InputError(f"seed is {self.seed}; it must be below {2**32:,}")
        self._refuse_zero("epochs", "seconds_per_batch", "learning_rate", "max_grad_norm")
        if self.steps is not None and self.steps < 1:
            raise InputError(f"steps is {self.steps}; it must be at least 1")
        if not 0 <= self.warmup < 1:
            raise InputError(f"warmup is {self.warmup}; it must lie in [0, 1)")

    def _refuse_zero(self, *names: str) -> None:
        for name in names:
            if not 0 < getattr(self, name) < inf:
                raise InputError(f"{name} is {getattr(self, name)}; it must be above 0 and finite")

    def _refuse_below_zero(self, *names: str) -> None:
        for name in names:
            if not 0 <= getattr(self, name) < inf:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more, finite")

    def replaced(self, changes: Mapping[str, Any]) -> Self:
        """A copy with some options set; one that says the same in another way is given up.

        Raises:
            InputError: a name is no option, or a value does not suit it.
        """
        known = {spec.name for spec in fields(self)}
        given_up = dict.fromkeys(_given_up(changes) & known)
        return with_options_set(self, {**given_up, **changes})

    def to_record(self) -> dict[str, Any]:
        """The options as TOML and JSON hold them; one that is None is left out."""
        present = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return {name: to_plain(value) for name, value in present.items() if value is not None}

    def to_toml(self) -> str:
        """The recipe as TOML; an option that is None is left out."""
        return tomli_w.dumps(self.to_record())


@dataclass(frozen=True, kw_only=True)
class Recipe(Training):
    """The options of joint mixed-precision learning (xu2025, Pass 1 and Pass 2).

    With neither `bits` nor `eta` it has no size, which is then searched for (`compress_lossless`).
    `paper` is xu2025's reading; these defaults are the `default` recipe's.
    """

    bits: float | None = option(4.0, "target: nominal bits of the deployed plan, at most this")
    eta: float | None = option(None, "weight of the size term (xu2025's way); replaces the target")
    candidates: Candidates = option(
        (2, 4, 8),
        "what a layer may take, one candidate a bit-width: bits, bits/grid or "
        "bits/grid/granularity, such as 2/asymmetric/64",
    )
    plan_by: str = option(
        "joint",
        "joint: plan and weights in one training (xu2025); or in two stages, uniform models "
        "first and "
        "then the plan by each layer's sensitivity: kl, divergence; hessian, trace times error; "
        "nas, architecture search over the uniform models",
        allowed=PLAN_BY,
    )
    sensitivity_batches: int = option(4, "batches that a sensitivity is measured on")
    search_granularity: str = option(
        "matrix", "what shares a bit-width: matrix, module or block", allowed=SEARCH_GRANULARITIES
    )
    grid: str = option("symmetric", "grid of the quantized weights", allowed=tuple(GRIDS))
    grid_at_2_bits: str = option("half", "grid at 2 bits and below", allowed=tuple(GRIDS))
    scale_granularity: str = option(
        "channel",
        "what shares a scale (and an offset): tensor, channel, or the size of a block of a "
        "channel, such as 64; what is no encoder matrix has a scale a channel then",
    )
    scale_bits: int | None = option(None, "bits of a stored scale or offset: 16; 32 if not given")
    cnn_bits: int | None = option(
        None,
        'bits of what is no encoder matrix (xu2025\'s "CNNs": convolutions, feature projection, '
        "head); "
        "floating point if not given",
    )
    embedding_bits: int = option(
        8,
        "bits of an embedding of tokens that is the output projection too, as an attention decoder "
        "has it",
    )
    scales: str = option(
        "learnt",
        "learnt: scales and offsets train with the weights; from-weights: they are computed from "
        "the weights at every update, by the rule of initial_range (arXiv 2305.16619)",
        allowed=SCALES,
    )
    initial_range: str = option(
        "mse",
        "where scales start: max, the whole range; mse or l1, clipped for the least squared or "
        "absolute error; lsq",
        allowed=RANGES,
    )
    scale_learning_rate: float = option(
        1e-3, "of the logarithm of learnt scales, and of their offsets in scales"
    )
    importance_learning_rate: float = option(0.05, "of the logarithm of the importances")
    importance_gradient: str = option(
        "expected",
        "what teaches the importances: sampled, through the Gumbel-softmax sample (xu2025); or "
        "expected, the second-order cost of each width",
        allowed=IMPORTANCE_GRADIENTS,
    )
    fused: bool | None = option(
        None,
        "compile the encoder's quantizers: the same weights two to four times faster, after a "
        "minute or two of compiling; needs a C++ compiler",
    )
    search_share: float = option(
        0.15, "share of the updates in which the plan is learnt; then frozen"
    )
    search_pace: float = option(
        0.0,
        "learning rate of weights and scales while the plan is learnt, as a share of the peak (0: "
        "they wait); warm-up and decay begin when the plan is frozen",
    )
    budget_ramp: float = option(
        0.3, "share of the search over which the budget falls to its target"
    )
    temperature_start: float = option(1.0, "of the Gumbel-softmax, first update")
    temperature_end: float = option(0.03, "of the Gumbel-softmax, last update of the search")
    teacher: str = option(
        "cached",
        "none; live: the shared full-precision weights; cached: the start point, computed once",
        allowed=TEACHERS,
    )
    unlabelled: bool | None = option(
        None,
        "use no transcripts: KL(teacher || network) with weight 1 in place of every other term; "
        "true if not given for attention decoders, which then learn from what the start point "
        "writes itself",
    )
    students: str = option(
        "none", "uniform-precision networks trained beside the mixed one", allowed=STUDENTS
    )
    kl_mixed: float = option(
        1.0, "beta_mp: weight of KL(teacher || mixed network), while the plan is learnt"
    )
    kl_frozen: float = option(
        0.0, "weight of KL(teacher || network of the plan), once it is frozen"
    )
    kl_students: float = option(0.05, "beta_kl: weight of the students' KL terms")
    student_ctc: PerBits = option(
        ((2, 0.0), (4, 1.0), (8, 1.0)),
        "lambda_i: weight of each student's CTC loss; 0 if not named",
    )
    student_kl: PerBits = option(
        ((2, 1.0), (4, 1.0), (8, 0.0)), "beta_i: weight of each student's KL term; 0 if not named"
    )
    finetune: str = option(
        "none",
        "train the plan once more, for as many updates (Pass 2), from: none; start, the start "
        "point; learnt, the weights and scales of Pass 1",
        allowed=FINETUNE,
    )
    students_finetune: str = option(
        "none", "uniform-precision networks trained beside the plan's in Pass 2", allowed=STUDENTS
    )
    kl_finetune: float = option(0.0, "weight of KL(teacher || network of the plan) in Pass 2")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse_zero("temperature_start", "temperature_end")
        self._refuse_below_zero(
            *("scale_learning_rate", "importance_learning_rate", "budget_ramp"),
            *("search_pace", "kl_mixed", "kl_frozen", "kl_students", "kl_finetune"),
        )
        object.__setattr__(self, "candidates", tuple(self._precisions()))
        object.__setattr__(self, "fused", self.fused or None)  # off is one recipe, however said
        if self.bits is not None and self.eta is not None:
            raise InputError(
                "give either bits (a target size) or eta (xu2025's size weight), not both"
            )
        if self.eta is not None:
            self._refuse_below_zero("eta")
        self._refuse_unfit_widths()
        low, high = self.widths[0], self.widths[-1]
        if self.bits is not None and not low <= self.bits <= high:
            raise InputError(
                f"bits is {self.bits}, but the candidates {self.candidates} allow {low} to {high}; "
                "give other bits or other candidates"
            )
        self._refuse_idle_students()
        for name in ("kl_frozen", "kl_finetune"):
            if getattr(self, name) and self.teacher == "none":
                raise InputError(f"{name} needs a teacher: set teacher to live or cached")
        if self.finetune == "none" and (self.kl_finetune or self.students_finetune != "none"):
            raise InputError(
                "kl_finetune and students_finetune are of Pass 2: set finetune to start or learnt"
            )
        self._refuse_zero("sensitivity_batches")
        if self.plan_by != "joint" and len(self.candidates) == 1:
            raise InputError(
                f"plan_by {self.plan_by} has nothing to choose from a single candidate; give "
                "several, or plan_by joint"
            )
        if self.plan_by != "joint" and self.eta is not None:
            raise InputError(f"plan_by {self.plan_by} needs a target size: give bits, not eta")
        if not 0 < self.search_share <= 1:
            raise InputError(f"search_share is {self.search_share}; it must lie in (0, 1]")

    def replaced(self, changes: Mapping[str, Any]) -> Self:
        """As in `Training`; a single candidate is the size too, where `changes` name none."""
        if self.bits is None or "candidates" not in changes or changes.keys() & {"bits", "eta"}:
            return super().replaced(changes)
        turned = super().replaced({**changes, "bits": None})
        size = turned.widths[0] if len(turned.widths) == 1 else self.bits
        return replace(turned, bits=size)

    def _refuse_unfit_widths(self) -> None:
        for name, precision in (
            ("cnn_bits", "cnn_precision"),
            ("embedding_bits", "embedding_precision"),
        ):
            bits = getattr(self, name)
            if bits is not None and bits not in WHOLE_BITS:
                raise InputError(f"{name} is {bits}; it must be one of {WHOLE_BITS}")
            with prefix_errors(name):
                getattr(self, precision)

    def _refuse_idle_students(self) -> None:
        for name in ("student_ctc", "student_kl"):
            named = [bits for bits, _ in getattr(self, name)]
            if len({*named}) < len(named):
                raise InputError(f"{name} gives a width two weights; give each one")
            for bits, weight in getattr(self, name):
                if not 0 <= weight < inf:
                    raise InputError(f"{name} of {bits:g} bits is {weight}; it must be 0 or more")
        if {self.students, self.students_finetune} == {"none"}:
            return
        if self.teacher == "none":
            raise InputError("students learn from a teacher: set teacher to live or cached")
        alone = self.learns_from_teacher_alone
        weighed = {bits for bits, weight in self.student_ctc if weight and not alone}
        weighed |= {bits for bits, weight in self.student_kl if weight and self.kl_students}
        if len(self.widths) > 1 and not weighed & set(self.widths):
            raise InputError(
                f"students of {', '.join(f'{bits:g}' for bits in self.widths)} bits learn nothing: "
                "give one of them a weight in student_ctc or student_kl"
            )

    @cached_property
    def precisions(self) -> dict[float, Precision]:
        """Width -> the candidate of it, narrowest first."""
        return {one.bits: one for one in self._precisions().values()}

    @property
    def widths(self) -> tuple[float, ...]:
        """The candidates' bits, ascending."""
        return tuple(self.precisions)

    @property
    def cnn_precision(self) -> Precision | None:
        """Of what is no encoder matrix; None leaves it in floating point."""
        return None if self.cnn_bits is None else self._fixed_precision(self.cnn_bits)

    @property
    def embedding_precision(self) -> Precision:
        """Of an embedding of tokens that is the output projection too."""
        return self._fixed_precision(self.embedding_bits)

    def _fixed_precision(self, bits: int) -> Precision:
        granularity = "tensor" if self.scale_granularity == "tensor" else "channel"
        return precision_of(bits, self.grid_name, granularity, self.scale_bits)

    def _precisions(self) -> dict[float | str, Precision]:
        """Candidate -> its precision, narrowest first."""
        return precisions_of(
            self.candidates, self.grid_name, self.scale_granularity, self.scale_bits
        )

    @property
    def learns_from_teacher_alone(self) -> bool:
        """Whether KL(teacher || network) stands in place of every other term."""
        return bool(self.unlabelled) and self.teacher == "cached"

    def refuse_without_transcripts(self) -> None:
        """Raise InputError where a term needs transcripts that the head cannot do without."""
        if self.teacher != "cached":
            raise InputError(
                f"unlabelled learns from a frozen teacher, not from teacher {self.teacher}: "
                "set teacher to cached"
            )
        if self.plan_by in _BY_TASK_LOSS:
            raise InputError(f"plan_by {self.plan_by} needs transcripts; without them: joint or kl")

    def searched(self, updates: int) -> int:
        """In how many of so many updates, the first ones, the plan is learnt.

        One at least is left to train a frozen plan, but where the share is all, or there is one.
        """
        most = updates if self.search_share == 1 else max(1, updates - 1)
        return min(most, max(1, round(self.search_share * updates)))

    def taught(self, updates: int, *, searching: bool) -> int:
        """How many of so many updates, from the first on, use the teacher's outputs.

        Pass 2 goes through the same speech from its beginning: all of them where it does.

        Args:
            searching: whether the run has no plan yet. It is learnt where there are several
                candidates and `plan_by` is "joint".
        """
        if self.teacher == "none":
            return 0
        second = self.kl_finetune or self.students_finetune != "none"
        frozen = self.kl_frozen or (self.finetune != "none" and second)
        if self.learns_from_teacher_alone or self.students != "none" or frozen:
            return updates
        learning = searching and len(self.candidates) > 1 and self.plan_by == "joint"
        return self.searched(updates) if learning and self.kl_mixed else 0

    def grid_name(self, bits: float) -> str:
        """The grid that a width uses."""
        return self.grid_at_2_bits if bits <= 2 else self.grid


def over(options: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Both, where the second wins; what says the same in another way is given up."""
    given_up = _given_up(changes)
    return {**{name: one for name, one in options.items() if name not in given_up}, **changes}


def _given_up(changes: Mapping[str, Any]) -> set[str]:
    return {
        other
        for name, other in _IN_PLACE_OF.items()
        if changes.get(name) is not None and other not in changes
    }


def named_recipes() -> list[str]:
    """Names that `read_recipe` knows."""
    folder = resources.files("sottovoce.config.recipes")
    return sorted(
        path.name.removesuffix(".toml") for path in folder.iterdir() if ".toml" in path.name
    )


def read_recipe(name_or_file: str) -> Recipe:
    """A recipe by name (`named_recipes`) or from a TOML file.

    Example:
        ```python
        recipe = sottovoce.read_recipe("paper").replaced({"bits": 3.0})
        ```

    Raises:
        InputError: no such recipe or file, no TOML, an unknown option, or an unfit value.
    """
    if name_or_file in named_recipes():
        text = (resources.files("sottovoce.config.recipes") / f"{name_or_file}.toml").read_text()
    elif Path(name_or_file).is_file():
        text = read_text(Path(name_or_file))
    else:
        known = ", ".join(named_recipes())
        raise InputError(f"{name_or_file!r} is neither a recipe ({known}) nor a TOML file")
    try:
        record = parse_toml(text)
    except InputError as error:
        raise InputError(f"recipe {name_or_file}: {error}") from error
    try:
        return Recipe().replaced(record)
    except InputError as error:
        raise InputError(f"recipe {name_or_file}: {error}") from error
