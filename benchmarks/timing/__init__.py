"""Times training against a tutorial's loop and the machine's peak, for the command benchmarks.speed.

cases.py        describes what is trained while it is timed
contestants.py  implements what is timed: this project's loop, the peak, the stock loop
judged.py       implements what is trained to a quality: this project's loop, the loops of tutorials
libraries.py    compares metrics with torchmetrics' own: exactness and seconds
machine.py      describes the machine, and warns of other work on it
processes.py    runs each loop in a process of its own
quality.py      measures the time to a quality, a run for each seed
rounds.py       times several things in turn, and takes medians and ranges
stock.py        implements the loop as tutorials write it
suite_cost.py   estimates the cost of all runs of a preset
tables.py       renders figures as Markdown, and fills pages from JSON files
training.py     times training: a row for each variant and dataset
tutorials.py    implements the loops of widely copied tutorials
"""
