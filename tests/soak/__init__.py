"""Runs the long checks: python -m tests.soak, or make soak. Each part can be stopped, and resumes where it was.

__main__.py          runs the parts, all of them or some
calibration.py       measures how often the verdicts of one look are wrong, on simulated runs whose truth is known
calibration_page.py  measures the whole calibration, and writes its figures and its page
endurance.py         trains many runs in one process and many epochs in one run; memory and open files have to stay flat
figures.py           keeps what was found, as JSON, and writes the page that shows it
fuzzing.py           reads hostile files: the answer has to be a value or one sentence
hostile.py           damages and forges valid files, for fuzzing
kills.py             kills runs at any moment and in each kind of write; resumed, they have to end with the same bits
looks.py             measures how often looks are wrong, what they settle, and with how many seeds
metrics.py           compares every metric with an independent implementation
mutants.py           makes small changes to the code that decides; a test has to fail
null.py              compares an arm with itself on other seeds, of real runs, and plants effects
peers.py             measures what other methods decide of the same numbers, where their packages are
precision.py         decides whether a reduced precision changes results; a command of its own
repetitions.py       repeats the tests in random order, and counts the lines that they execute
shapes.py            measures the tests where groups differ in shape and size, and under ties
tester.py            runs the tests of a mutant, without importing the libraries each time

A part is a function `(work, size, say) -> figures`. It keeps each step in a file of its own under the work folder, and
is done once it has as many steps as its size asks for; then its figures go into docs/soak.json.
"""
