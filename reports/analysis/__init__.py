"""Decides into plain records, before anything is written down.

amounts.py      writes effects, margins and p-values in plain units
answers.py      answers a plan: verdicts, controls, deviations from the first plan
checks.py       checks whether a decision tests its claim
dataframe.py    builds the table of all runs for pandas
evidence.py     assigns runs to planned arms, and turns each arm's runs into numbers
looks.py        judges the decisions of a plan at its looks
names.py        spells names of fields and metrics out in words
sections.py     groups runs by seeds, and the groups into comparable sections
shares.py       finds where a reading takes another share of a run than its words name
standings.py    ranks all arms on the same data
summaries.py    sums up values over seeds
"""
