"""The long checks: python -m tests.soak, or make soak. Each part can be stopped and goes on where it was.

    kills.py        runs that are killed at any moment, and in the middle of each kind of write, end with the same bits
    fuzzing.py      whatever the files of a stranger hold, reading them gives a value or one sentence
    hostile.py      what a fuzzer's files are made of: valid ones, damaged and forged
    metrics.py      every metric against an independent implementation
    mutants.py      a small change to the code that decides must fail a test
    tester.py       runs the tests of a mutant, without importing the libraries each time
    endurance.py    many runs in one process, many epochs in one run: memory and open files stay flat
    repetitions.py  the tests, again and again, in random order
    figures.py      what was found, as JSON, and the page that shows it

A part is a function `(work, size, say) -> figures`. It keeps each step in its own file under the work folder, and is
done once it has as many steps as its size asks for; then its figures go into docs/soak.json.
"""
