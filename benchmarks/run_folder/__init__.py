"""A run on disk: each file whole or absent, readable after a kill at any moment, safe to read from a stranger.

folder.py     keeps all that is known of a run: config, journal, status, checkpoints, results
files.py      reads and writes the files of one folder
journal.py    encodes and decodes the lines of a journal
tensors.py    packs tensors and a state as one file
symptoms.py   finds symptoms in a journal: mode collapse, divergence, a discriminator that has won
"""
