"""Makes a finished run of a config: the loop around the algorithm, and everything a run needs to be resumed.

options.py      holds RunOptions: where and how runs are trained
configure.py    makes a RunConfig of what a user asks for, and checks it
train.py        trains one run; opens its folder, tracking and checkpoint
loop.py         takes a run from epoch to epoch: updates, evaluations, pictures, checkpoints
lockstep.py     trains several seeds as one
checkpoint.py   turns the state of a training into named tensors, and back
inheritance.py  lets a run go on from the last checkpoint of a finished one
cache.py        keeps datasets, evaluators and the metrics of real data for the runs that share them
provenance.py   records by what code, on what machine, by what command a run was made
listener.py     defines who hears how a training goes
"""
