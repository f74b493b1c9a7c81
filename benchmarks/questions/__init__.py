"""The questions that the project answers by experiment, one file each: data only, and no torch.

    base.py   Arm, Outcome, Contrast, Check, Decision, Question: what they are made of
    arms.py   the arms that several questions share

A question is added by a file that defines QUESTION, and its name in QUESTIONS; a plugin adds one from outside.
"""

from importlib import import_module

from benchmarks.questions.base import Arm, Check, Contrast, Decision, Outcome, Question
from variants.recipe import unknown

__all__ = ["QUESTIONS", "Arm", "Check", "Contrast", "Decision", "Outcome", "Question", "load_question"]

# In the order in which they are trained and told: what decides most for least first.
QUESTIONS: dict[str, str | Question] = {
    name: f"benchmarks.questions.{name}"
    for name in (
        "loss_curves",
        "mode_collapse",
        "collapse_remedies",
        "noise_distribution",
        "control",
        "diminished_gradient",
        "label_use",
        "critic_steps",
        "discriminator_layers",
        "dropout",
        "conditioning",
        "dcgan",
        "text_to_image",
        "upsampling",
    )
}


def load_question(name: str) -> Question:
    """The question of that name. Raises UserError for one that does not exist."""
    if name not in QUESTIONS:
        raise unknown("question", name, QUESTIONS, see="it is one of " + ", ".join(QUESTIONS))
    entry = QUESTIONS[name]
    return entry if isinstance(entry, Question) else import_module(entry).QUESTION
