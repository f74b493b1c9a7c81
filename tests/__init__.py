"""Facts that could be false, one file a part. They run in parallel and in any order, write only to their own folders,
and see a machine without a network. What they share is in conftest.py."""

from beartype import BeartypeConf, beartype

# Checks the annotations of variants and metrics while the tests run. As everywhere, an int may stand for a float.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
