"""P1's Pass 2: the learnt plan is trained once more, as long as Pass 1 was."""

import torch

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
        name: [one.detach().clone() for one in each] for name, each in first.log_scales().items()
    }
    first.dismantle()
    second = JointObjective(
        start or first.recogniser, recipe, first.accelerator, first.teacher, plan
    )
    if start is None:
        with torch.no_grad():
            for name, each in second.log_scales().items():
                for log_scale, own in zip(each, learnt[name], strict=True):
                    log_scale.copy_(own)
    return second
