"""Makes plans of suites, and carries them out.

comparison.py        plans a comparison of arms that somebody names
mlflow_questions.py  records the questions of a suite in MLflow
plan.py              makes the plan of a suite, and its hash
plan_history.py      keeps every plan by which runs were made, and describes how they differ
scheduler.py         schedules the runs, repeats what the machine broke, and reports progress
tuned_settings.py    reads, checks, merges and writes tuned settings (tuned/*.json)
tuning.py            tunes learning rates: trials, winners, deviations, times
"""
