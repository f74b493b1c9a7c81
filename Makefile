# make run     train a variant:       make run VARIANT=dcgan ARGS="--epochs 3"
# make ui      look at the runs in MLflow
# make report  compare them:          make report ARGS="--runs-dir runs"
# make test    run the tests:         make test ARGS="-k noise"
# make test-all  the long ones too: five times as long
# make check   lint, import contracts, shapes
# make soak    the long checks, which take hours and go on where they were:  make soak ARGS="kills fuzzing"
#
# Each sets up .venv first: once, and again when pyproject.toml or constraints.txt change.

VARIANT = cgan_mlp
ARGS =
PORT = 5000
# A Python of 3.11 or newer; looked for where none is given.
PYTHON =
# Small networks are bound by call overhead: two processes of one thread each do twice the work of one with two.
# A worker gets whole files as long as there are some, so that what the tests of a file share is made once.
TEST_WORKERS = -n 2 --dist worksteal

# Many short processes: each would otherwise compile torch and MLflow anew where the environment forbids .pyc files.
export PYTHONDONTWRITEBYTECODE =

# The last act of setting up, so that an interrupted one leaves none and is done again from nothing.
installed = .venv/installed

.PHONY: help run ui report test test-all check soak

help:
	@sed -n 's/^# \(make\)/\1/p' Makefile

run: $(installed)
	@.venv/bin/python -m benchmarks.run --variant $(VARIANT) $(ARGS)

ui: $(installed)
	@case "$$MLFLOW_TRACKING_URI" in \
	  http*) echo "MLFLOW_TRACKING_URI names a server that runs already: open its address in a browser." ;; \
	  *) echo "MLflow: http://127.0.0.1:$(PORT) (Ctrl-C stops it)" && exec .venv/bin/mlflow ui \
	    --workers 1 --host 127.0.0.1 --port $(PORT) --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" ;; \
	esac

report: $(installed)
	@.venv/bin/python -m reports.build $(ARGS)

test: $(installed)
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest $(TEST_WORKERS) -m "not long" $(ARGS)

test-all: $(installed)
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest $(TEST_WORKERS) $(ARGS)

soak: $(installed)
	OMP_NUM_THREADS=1 .venv/bin/python -m tests.soak $(ARGS)

check: $(installed)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q tests/variants/test_variants.py

$(installed): pyproject.toml constraints.txt
	@python="$(PYTHON)"; \
	for found in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  [ -z "$$python" ] && $$found -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python=$$found; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11 or newer was found. Install one, or say where it is: make PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi; \
	echo "Setting up .venv with $$python: once, some minutes (torch is large)"; \
	if [ -f $@ ]; then rm $@; else "$$python" -m venv --clear .venv; fi && \
	.venv/bin/python -m pip install --no-compile --constraint constraints.txt --editable '.[dev]' && \
	touch $@
