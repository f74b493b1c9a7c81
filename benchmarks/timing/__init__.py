"""How fast training is, beside the machine and beside a tutorial's loop: what the command benchmarks.speed measures.

cases.py        what is trained while it is timed
stock.py        the loop as tutorials write it: the same networks and recipe
contestants.py  what is timed: this project's loop, its two networks alone, the matrix products of a step alone, the
                machine's peak, the stock loop
products.py     which matrix products a step is made of, and how many operations those are
machine.py      what figures depend on, and whether other work was going on
rounds.py       several things timed in turn, so that drift cancels; medians and ranges
processes.py    a process of its own for each loop, because an allocator's settings hold for a whole process
training.py     the measurement of training: a row for each variant and dataset
evaluation.py   how long judging takes, metric by metric
start.py        how long a command takes until it does something
growth.py       time and memory against image size, batch, seeds and workers, with fitted exponents
suites.py       what all runs of a preset cost, on paper, on some numbers of machines
tables.py       Markdown of what was measured, and pages whose tables come from files
"""
