"""Decides from numbers, one a run: nothing here knows runs, arms or files.

ranks.py     computes exact rank tests, shifts with intervals, and the seeds still needed
blocks.py    computes the shift of two groups in several blocks, such as learning rates
looks.py     decides again and again while seeds are added, at one error for all looks
verdicts.py  decides tests, corrects them for their number, and tries other ways to decide
"""
