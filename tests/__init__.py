"""Facts that could be false, one file a part. They run in parallel and in any order, write only to their own folders,
and see a machine without a network. What they share is in conftest.py."""
