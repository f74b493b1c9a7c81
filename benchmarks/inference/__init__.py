"""Gives a finished run to its user: finds it, and draws new samples from its generator, or exports it.

run.py       holds a run on disk: its config, metrics, generator, and new samples
find.py      finds a run by folder, name or MLflow id
prompts.py   reads a prompt as captions
drawing.py   draws pictures of new samples and of interpolations
exporting.py exports the generator for other programs, and checks what was exported
"""
