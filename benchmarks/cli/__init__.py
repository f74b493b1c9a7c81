"""Reads command lines and writes to the terminal, for all commands.

options.py    parses command lines: each shared option once, each mistake in one sentence
output.py     writes the file that a command was asked for, and refuses one that cannot be written
progress.py   shows the progress of a run and of a suite
tables.py     prints the metrics of a run, and the choices that there are
"""
