"""Asks the questions that the project answers by experiment, one file each: data only, no torch.

arms.py                  defines arms that several questions share
base.py                  defines Arm, Outcome, Contrast, Check, Decision, Question
collapse_remedies.py     asks which remedies for mode collapse help
conditioning.py          asks how a label should enter the networks
control.py               plants effects and non-effects, to check the report itself
critic_steps.py          asks how often the discriminator should be trained before each update of the generator
dcgan.py                 asks what convolutions, strides and batch normalisation bring
diminished_gradient.py   asks whether the saturating loss starves the generator, and whether the other loss helps
discriminator_layers.py  asks whether the convolutional discriminator was the reason for poor results
dropout.py               asks whether dropout makes the discriminator generalise better
label_use.py             asks whether the discriminator learns to use labels, though nothing tells it to check them
loss_curves.py           asks whether the loss curves run as the source says
mode_collapse.py         asks whether a GAN gets into trouble on data of several groups
noise_distribution.py    asks whether the distribution of the input noise matters
outcomes.py              turns the journal of a run into the number that is compared
presets.py               sets the datasets, budgets and seeds of a suite
text_to_image.py         asks whether a DCGAN can draw what a caption says
upsampling.py            asks whether a transposed convolution leaves a checkerboard

To add a question, add a file that defines QUESTION, and its name to QUESTIONS; a plugin adds one from outside.
"""

from importlib import import_module

from benchmarks.questions.base import Arm, Check, Contrast, Decision, Outcome, Question
from variants.recipe import unknown

__all__ = ["QUESTIONS", "Arm", "Check", "Contrast", "Decision", "Outcome", "Question", "load_question"]

# In the order in which they are trained and reported: the most decisions at the least cost first.
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
    """Returns the question of this name. Raises UserError for an unknown one."""
    if name not in QUESTIONS:
        raise unknown("question", name, QUESTIONS, see="it is one of " + ", ".join(QUESTIONS))
    entry = QUESTIONS[name]
    return entry if isinstance(entry, Question) else import_module(entry).QUESTION
