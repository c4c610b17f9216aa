# `make help` lists the targets. Everything runs from .venv, which `make setup` builds from hash-pinned files.
SHELL := /bin/sh
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Byte code is worth its files: every step is a process of its own.
export PYTHONDONTWRITEBYTECODE :=
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-components test-flows test-long test-page test-routes test-lint test-tensorrt test-modelopt test-feast record-feast bench-precision report-sample chaos faults record-faults record-verbs lint fmt type layers generate check-generated \
	requirements images images-smoke bench bench-load ci clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

setup: ## Build .venv and install Debian's prometheus when it is missing
	@sh scripts/setup

demo: setup ## Release four versions of a real model on this machine, under production traffic
	@$(BIN)/python -W ignore examples/digits/demo.py

test: setup ## Run the tests, real servers included
	@sh scripts/setup bindings || echo "no bindings of TensorRT: the tests that they judge are skipped"
	@$(BIN)/pytest -n 5 --dist worksteal -m "not alone and not long and not containers and not page"
	@$(BIN)/pytest -m "alone and not long" tests/evidence

test-long: setup ## Run the stories that take minutes: whole releases on the real servers
	@$(BIN)/pytest -m long

test-components: setup ## Run every component alone, each in a one-task pipeline, on the embedded cluster
	@$(BIN)/pytest -m long tests/e2e/test_components_alone.py

test-flows: setup ## Run the drawings end to end by every runner, schedules too, with the same documents in the end
	@$(BIN)/pytest -m long tests/e2e/test_flows.py tests/e2e/test_same_documents.py tests/e2e/test_scheduled_release.py

test-page: setup ## Read the report's page in a headless Chromium: light, dark, narrow, wide, on paper
	@sh scripts/setup browser || true
	@$(BIN)/pytest -m page

test-routes: setup ## Train a model of every flavor, release it into real Triton, compare the answers (RECORD=1: into docs/routes.md)
	@sh scripts/setup routes
	@$(if $(RECORD),TIDEGATE_RECORD_ROUTES=1) .tidegate/routes/bin/python -m pytest -m "long or not long" tests/routes

test-azure: setup ## Publish to Azure's own emulator; needs npm
	@[ -x .tidegate/azurite/node_modules/.bin/azurite-blob ] || npm install --silent --no-audit --no-fund --no-save --prefix .tidegate/azurite azurite@3.37.0
	@$(BIN)/pytest tests/adapters/storage/test_azure.py

test-tensorrt: setup ## Judge every call to TensorRT by the real bindings of 10.x and 11.x; with a GPU and TensorRT, build and ask plans
	@sh scripts/setup bindings
	@$(BIN)/pytest -rs tests/core/tensorrt tests/adapters/tensorrt tests/steps/model/test_stepping_down.py

test-modelopt: setup ## Write graphs in fp16, bf16, int8 and fp8 by ModelOpt, in an environment of its own
	@sh scripts/setup modelopt
	@$(BIN)/pytest -rs tests/steps/model/test_modelopt.py

test-feast: setup ## Release the policies of transformer and transformer-component, which read Feast's own feature server
	@sh scripts/setup feast
	@$(BIN)/pytest -rs -m "long or not long" tests/feast

record-feast: setup ## Write tests/feast/record.json: what Feast's feature server answers
	@sh scripts/setup feast
	@$(BIN)/python -m tests.feast.record

bench-precision: setup ## Every precision of a small network on this CPU: size, speed, the same answers
	@sh scripts/setup modelopt
	@$(BIN)/python -W ignore benchmarks/precision.py

test-lint: setup ## Ask the real Triton about every rule of the linter, on 200 drawn repositories and more (RECORD=1: into docs/lint.md)
	@$(if $(RECORD),TIDEGATE_RECORD_LINT=1) $(BIN)/pytest -m "long or not long" tests/sandbox/test_lint_against_triton.py

report-sample: setup ## Write a page for every way in which a release can end, into a new folder
	@$(BIN)/python -m tests.report.samples

chaos: setup ## Kill a release at every API write, see production unharmed (CELL= MODE= COURSE= EVERY=n FULL=1)
	@$(BIN)/python -m tests.chaos $(if $(CELL),--cell $(CELL)) $(if $(MODE),--mode $(MODE)) $(if $(COURSE),--course $(COURSE)) $(if $(EVERY),--every $(EVERY)) $(if $(FULL),--full)

chaos-real: setup ## The eighteen nastiest deaths, by name, on real Triton (CELL=<number>,<number>)
	@$(BIN)/python -m tests.chaos --real $(if $(CELL),--cell $(CELL))

faults: setup ## Meet every call of a release with every fault of the API, and every missing permission
	@TIDEGATE_FAULTS=all $(BIN)/pytest -n 8 --dist worksteal tests/faults tests/rbac

record-faults: setup ## Add rows for new calls to the table of API faults, as observed
	@$(BIN)/python -m tests.faults.record

record-verbs: setup ## Write deploy/rbac/verbs.yaml, as recorded
	@TIDEGATE_RECORD_VERBS=1 $(BIN)/pytest tests/rbac -k recorded_and_for_no_more

images: setup ## Build the images (BASE=<name>@sha256:... TRITON_BASE= IMAGE= TOOL= PYTHON= REGISTRY=)
	@$(BIN)/python scripts/images.py --base "$(BASE)" --triton-base "$(TRITON_BASE)" --image "$(IMAGE)" --tool "$(TOOL)" --python "$(PYTHON)" $(if $(REGISTRY),--registry $(REGISTRY))

images-smoke: setup ## Build the CPU images from a local base and run them; needs buildah, debootstrap and root
	@$(BIN)/pytest -m containers tests/images

lint: setup ## Check style
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

fmt: setup ## Format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

type: setup ## Check types, strictly
	@$(BIN)/mypy

layers: setup ## Check who imports whom
	@$(BIN)/lint-imports

generate: setup ## Write everything that is generated: compiled pipelines and schemas
	@$(BIN)/python scripts/generate.py

check-generated: setup ## Fail when a committed generated file is not what `make generate` writes
	@$(BIN)/python scripts/generate.py --check

requirements: setup ## Pin every dependency by hash, newest that resolve together
	@sh scripts/pin

bench-load: setup ## Measure the load generator beside perf_analyzer on one real Triton (WRITE=1: into docs/load-generator.md)
	@$(BIN)/uv pip install -q --target .tidegate/perf_analyzer --no-deps --require-hashes -r requirements/perf_analyzer.txt
	@PATH="$(CURDIR)/.tidegate/perf_analyzer/bin:$$PATH" $(BIN)/python benchmarks/load_vs_perf_analyzer.py $(if $(WRITE),--write)

bench: setup ## Measure the load generator's own lateness and CPU
	@$(BIN)/python benchmarks/load_generator.py

bench-gate: setup ## Simulate releases whose truth is known: how often the gate errs, and what others would say (RUNS= WRITE=1)
	@$(BIN)/python -m benchmarks.gate

bench-releases: setup ## Release for real, 20 equal versions and 20 slower ones; goes on where it ended (SECONDS= RUNS= WRITE= DOWN= FRESH=)
	@$(BIN)/python -W ignore -m benchmarks.releases

bench-tune: setup ## tune against an exhaustive sweep, on two models; goes on where it ended (FRESH=1 WRITE=1: into docs/tuning.md)
	@$(BIN)/python -W ignore benchmarks/tune.py $(if $(FRESH),--fresh) $(if $(WRITE),--write)

bench-memory: setup ## Peak memory of each step for 3 GB of ONNX with external data (GIGABYTES= WRITE=1: into docs/memory.md)
	@$(BIN)/python -W ignore benchmarks/memory.py $(if $(GIGABYTES),--gigabytes $(GIGABYTES)) $(if $(WRITE),--write)

bench-int8: setup ## int8 against fp32 on this CPU: speed, and the same answers
	@$(BIN)/python -W ignore benchmarks/int8.py

ci: lint type layers check-generated test ## What CI runs

clean: ## Remove the virtual environment, caches and local state
	@rm -rf .venv .tidegate .mypy_cache .ruff_cache .hypothesis .import_linter_cache
