"""Gives a finished run to its user: finds it, and draws or writes new samples from its generator.

run.py       holds a run on disk: its config, metrics, generator, and new samples
find.py      finds a run by folder, name or MLflow id
prompts.py   reads a prompt as captions
drawing.py   draws pictures of new samples and of interpolations
nearest.py   draws samples beside the training images that are nearest to them
judged.py    draws again the samples that a run's last evaluation judged
writing.py   writes samples as files: each image, or one array of all
"""
