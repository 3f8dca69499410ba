"""xu2025's Pass 2: the learnt plan is trained once more, as long as Pass 1 was."""

from copy import deepcopy

from sottovoce.models.recogniser import Recogniser
from sottovoce.search.joint import JointObjective


def second_pass(first: JointObjective, start: Recogniser | None) -> JointObjective:
    """The objective of Pass 2: Pass 1's plan from the first update on, under Pass 2's own terms.

    Args:
        first: Pass 1 at its end; what it trained moves into the new objective.
        start: the start point, to begin again from there; None to go on from the weights and
            scales that Pass 1 learnt.
    """
    recipe, plan = first.recipe, first.hard_plan()
    recipe = recipe.replaced(
        {"students": recipe.students_finetune, "kl_frozen": recipe.kl_finetune}
    )
    learnt = {
        name: deepcopy([one.state_dict() for one in each]) for name, each in first.affines().items()
    }
    first.dismantle()
    second = JointObjective(
        start or first.recogniser, recipe, first.accelerator, first.teacher, plan
    )
    if start is None:
        for name, each in second.affines().items():
            for affine, own in zip(each, learnt[name], strict=True):
                affine.load_state_dict(own)
    return second
