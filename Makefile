# make run    train a variant     make run VARIANT=dcgan ARGS="--epochs 3"
# make ui     look at the runs in MLflow
# make report compare them        make report ARGS="--html"
# make test   run the tests       make test ARGS="-k noise"
# make check  lint, import contracts, shapes
#
# Each sets up .venv first: once, and again when pyproject.toml or constraints.txt change.

VARIANT = cgan_mlp
ARGS =
PORT = 5000
# A Python of 3.11 or newer; found where none is given.
PYTHON =
# Small networks and small tests are bound by call overhead: two processes of one thread each do twice the work of one with two.
TEST_WORKERS = 2

python = .venv/bin/python
# Its last act: an install that was interrupted leaves none, and is then made from nothing.
installed = .venv/installed

.PHONY: run test check ui report clean
.DEFAULT_GOAL := run

run: $(installed)
	@$(python) -m benchmarks.run --variant $(VARIANT) $(ARGS)

report: $(installed)
	@$(python) -m reports.build $(ARGS)

ui: $(installed)
	@case "$$MLFLOW_TRACKING_URI" in \
	  http*) echo "MLFLOW_TRACKING_URI names a server that runs already: open its address in a browser." ;; \
	  *) echo "MLflow is at http://127.0.0.1:$(PORT) (Ctrl-C stops it)" && \
	     .venv/bin/mlflow ui --host 127.0.0.1 --port $(PORT) --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" ;; \
	esac

test: $(installed)
	OMP_NUM_THREADS=1 $(python) -m pytest -n $(TEST_WORKERS) $(ARGS)

check: $(installed)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	OMP_NUM_THREADS=1 $(python) -m pytest -q tests/test_variants.py

$(installed): pyproject.toml constraints.txt
	@python="$(PYTHON)"; \
	for each in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if [ -z "$$python" ] && $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$each; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11 or newer was found. Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	echo "Setting up .venv with $$python: once, some minutes (torch is large)"; \
	if [ -f $@ ]; then rm -f $@; else $$python -m venv --clear .venv; fi && \
	$(python) -m pip install --no-compile --constraint constraints.txt --editable '.[dev]' && \
	touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*
