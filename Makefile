# Every target does its own set-up. Variables: MODEL, CHECKPOINT, DATA, SPLIT, PRECISION, FORMAT,
# BOARD, COMPILER, PORT, TOOL, TAP, SECONDS, LATENCY, CALIBRATION, INPUT, OUTPUT, ENGINE, DECODER,
# LM, TFLM, CMSIS_NN, COREMARK, AES, INITIAL, NAME, WINDOW, FLASH, RAM, LOAD, STEPS, TASK; of sweeps
# MODELS, PRECISIONS, DECODERS, CHECKPOINTS, JOBS, BACKEND, SCHEDULER. A path may hold blanks.
# MODEL is a name, or a Python file of yours, path/net.py or path/net.py:name, which is executed;
# its artifacts are called net or net-name. MODELS may mix both.
MODEL ?= TC_S4_small
BUILD ?= build
blank := $(subst ,, )
named = $(subst ?,$(blank),$(patsubst %.py,%,$(notdir \
	$(subst .py:,-,$(subst $(blank),?,$(MODEL))))))
# A network that `make compress` made is the one that is meant from then on, unless another
# precision, or another checkpoint than it was made from, is named.
small := $(BUILD)/$(named)/compressed
made := $(wildcard $(subst $(blank),\ ,$(small))/checkpoint.ckpt)
same := $(if $(and $(made),$(CHECKPOINT)),$(filter $(file <$(small)/made_from),\
	$(shell sha256sum "$(CHECKPOINT)" 2>/dev/null)))
taken := $(and $(made),$(if $(CHECKPOINT),$(same),yes))
PRECISION ?= $(if $(taken),compressed,w8a16)
comma := ,
FORMAT ?= c
BOARD ?= $(if $(filter tflm,$(FORMAT)),virtual-m7,virtual-f405)
COMPILER ?= gcc
SECONDS = 15

export OPENBLAS_NUM_THREADS := 1 # matrices here are small: threads only wait for each other

takes_it := demo quantize macs export firmware hil flash infer diagnose profile crosscheck drift
ifneq ($(and $(filter file,$(origin PRECISION)),$(made),$(filter $(takes_it),$(MAKECMDGOALS))),)
$(info $(if $(taken),taking the compressed $(named) of $(small); PRECISION=w8a16 takes the whole \
	one,not taking the compressed $(named) of $(small)$(comma) which was made from another \
	checkpoint))
endif

# a path is a word of the shell in double quotes
$(foreach v,MODEL BUILD CHECKPOINT DATA SPLIT CALIBRATION INPUT OUTPUT INITIAL LM TFLM NAME,\
	$(if $(findstring ",$($v)),$(error $v=$($v): expected no double quote in it)))

.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
READY := .venv/ready
common = --model "$(MODEL)" --precision $(PRECISION) --build "$(BUILD)" \
	$(if $(CHECKPOINT),--checkpoint "$(CHECKPOINT)") $(if $(WINDOW),--window $(WINDOW))
form = --format $(FORMAT) $(if $(TFLM),--tflm "$(TFLM)")
data = $(if $(DATA),--data "$(DATA)") $(if $(CALIBRATION),--calibration "$(CALIBRATION)")
latency = $(if $(LATENCY),--latency $(LATENCY))
name = $(if $(NAME),--name "$(NAME)")
lm = $(if $(LM),--lm "$(LM)")

# What a target does stands behind ##, and goes on in lines that begin with it.
help: ## list every target
	@awk '/^[a-z]+:.*## / {printf "%s%s", end, $$0; end = "\n"} \
		/^## / {sub("## ", ""); printf "%s%s", /^\[/ ? "   " : " ", $$0} \
		END {print ""}' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 22

demo: setup tools ## the whole way: quantize, count, export, build, run on the emulated STM32F405,
## report
	$(PYTHON) -m bench demo $(common) $(data) --board "$(BOARD)" --seconds $(SECONDS) $(lm)

test: setup tools ## every test, linter and type check
	@sh firmware/tools.sh browser
	@sh firmware/tools.sh clang
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

networks: setup ## 200 networks drawn at random, from PyTorch to every form of their integers (some
## minutes on two cores) [NETWORKS=200 FIRST_NETWORK=0]
	NETWORKS=$(or $(NETWORKS),200) OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist worksteal \
		tests/export/test_drawn_networks.py $(ARGS)

fuzz: setup tools ## damaged files for every reader: each is read or refused in one line; figures by
## reader, build/fuzz.json (30 minutes at most) [FUZZ_SECONDS=1200 READER="graph file"]
	OMP_NUM_THREADS=1 $(PYTHON) -m tests.fuzz --out "$(BUILD)" \
		$(if $(FUZZ_SECONDS),--seconds $(FUZZ_SECONDS)) $(if $(READER),--reader "$(READER)")

compilers: setup tools ## gcc and clang, every core, level, frame pointers, LTO, profilers and
## coverage: the same words in the emulator (the better part of an hour on two cores)
	@sh firmware/tools.sh clang
	COMPILERS=all OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist worksteal \
		tests/export/test_compilers.py tests/firmware/test_naked.py \
		tests/firmware/test_kernels.py::test_one_sweep_over_all_kernels_under_every_compiler $(ARGS)

quantize: setup ## checkpoint -> integer graph, its error rate
## [MODEL=name|path/net.py CHECKPOINT= DATA= CALIBRATION= PRECISION= WINDOW=]
	$(PYTHON) -m compress quantize $(common) $(data)

macs: setup ## multiply-accumulates per layer and second of signal   [MODEL= CHECKPOINT=]
	$(PYTHON) -m compress macs $(common)

recordings: setup ## write the simulated recordings   [TASK=typing|pose|classes|values]
	$(PYTHON) -m compress recordings --build "$(BUILD)" $(if $(TASK),--task $(TASK))

train: setup ## train a network, on simulated or own recordings; continues where it was interrupted
## [MODEL= DATA= SPLIT=user.yaml CHECKPOINT= STEPS= OUTPUT=]
	OMP_WAIT_POLICY=PASSIVE $(PYTHON) -m compress train --model "$(MODEL)" --build "$(BUILD)" \
		$(if $(DATA),--data "$(DATA)") $(if $(SPLIT),--split "$(SPLIT)") \
		$(if $(CHECKPOINT),--checkpoint "$(CHECKPOINT)") $(if $(STEPS),--steps $(STEPS)) \
		$(if $(OUTPUT),--out "$(OUTPUT)")

export: setup ## integer graph -> C project or another format
## [MODEL= PRECISION= FORMAT=c|onnx|tflite|tflm BOARD= LATENCY=ms NAME=in_c]
	$(PYTHON) -m export $(FORMAT) $(common) $(data) --board "$(BOARD)" $(latency) $(name)

firmware: setup tools ## build the firmware of a board, check its size
## [BOARD=virtual-f405|nucleo-f446re|… COMPILER=gcc|clang LATENCY=ms FORMAT=c|tflm TFLM= NAME=in_c]
	$(PYTHON) -m export firmware $(common) $(data) $(form) --board "$(BOARD)" $(latency) $(name) \
		--compiler "$(COMPILER)"

hil: setup tools ## stream recordings through a board, score, compare every word
## [BOARD= COMPILER= PORT= DATA= SECONDS= LATENCY=ms LM= FORMAT=c|tflm TFLM=]
	$(PYTHON) -m bench hil $(common) $(data) $(form) --board "$(BOARD)" \
		$(if $(PORT),--port "$(PORT)") --seconds $(SECONDS) $(latency) $(lm) \
		--compiler "$(COMPILER)"

flash: setup tools ## build the firmware, load it with what is there
## [BOARD= COMPILER= PORT= LATENCY=ms TAP=1
## TOOL=openocd|st-flash|STM32_Programmer_CLI|pio|stm32flash]
	$(PYTHON) -m host flash $(common) $(data) $(form) --board "$(BOARD)" \
		$(if $(PORT),--port "$(PORT)") $(if $(TOOL),--tool "$(TOOL)") $(if $(TAP),--tap) \
		$(latency) --compiler "$(COMPILER)"

decode: setup ## text from frames that infer wrote
## [INPUT=frames.npy DECODER=greedy|beam|beam+lm LM=]
	$(PYTHON) -m host decode $(if $(INPUT),--input "$(INPUT)") \
		$(if $(DECODER),--decoder "$(DECODER)") $(lm)

lm: setup ## the shipped character model again, from the simulator's train prompts
	$(PYTHON) -m host lm

infer: setup ## one input through one engine
## [ENGINE=torch|graph|onnx|integer|native|onnx-qdq|litert|tflm|<board> INPUT= OUTPUT= INITIAL=
## CALIBRATION=]
	$(PYTHON) -m host infer $(common) $(data) --engine $(or $(ENGINE),integer) \
		$(if $(INPUT),--input "$(INPUT)") $(if $(OUTPUT),--output "$(OUTPUT)") \
		$(if $(INITIAL),--initial "$(INITIAL)") $(if $(PORT),--port "$(PORT)")

diagnose: setup tools ## a board, or two engines, layer by layer: the first difference
## [BOARD= PORT= or ENGINE="graph native"; INPUT= SECONDS=]
	$(PYTHON) -m host diagnose $(common) $(data) \
		$(if $(filter file,$(origin BOARD)),,--board "$(BOARD)") $(if $(PORT),--port "$(PORT)") \
		$(if $(ENGINE),--engines $(ENGINE)) $(if $(INPUT),--input "$(INPUT)") \
		$(if $(filter file,$(origin SECONDS)),,--seconds $(SECONDS))

profile: setup tools ## every layer on a board: time, what its instructions do, memory; what would
## help
## [MODEL= BOARD= PORT= DATA= LATENCY=ms]
	$(PYTHON) -m bench profile $(common) $(data) --board "$(BOARD)" \
		$(if $(PORT),--port "$(PORT)") $(latency)

crosscheck: SECONDS = 30
crosscheck: setup tools ## one table: PyTorch, ONNX, TFLite, TFLM, integers, C, board on the same
## seconds
## [MODEL= BOARD= SECONDS=30 INPUT=]
	$(PYTHON) -m bench crosscheck $(common) $(data) --seconds $(SECONDS) \
		$(if $(INPUT),--input "$(INPUT)") \
		$(if $(filter file,$(origin BOARD)),,--board "$(BOARD)") $(if $(PORT),--port "$(PORT)")

drift: setup ## a pose network minute by minute in one closed loop: do the integers leave
## the floats behind?
## [MODEL= PRECISION= INPUT=]
	$(PYTHON) -m bench drift $(common) $(data) $(if $(INPUT),--input "$(INPUT)")

bench: setup tools ## kernels and networks in executed instructions, against CMSIS-NN and the
## targets; gcc's code, clang's beside
## [CMSIS_NN=path]
	@sh firmware/tools.sh clang
	$(PYTHON) -m bench speed --build "$(BUILD)" \
		$(if $(CMSIS_NN),--cmsis-nn "$(CMSIS_NN)")

validate: setup tools ## the cycle models against published cycles
## [COREMARK=eembc/coremark AES=jnk0le/cortexm-AES CMSIS_NN=]
	$(PYTHON) -m bench validate $(if $(COREMARK),--coremark "$(COREMARK)") \
		$(if $(AES),--aes "$(AES)") $(if $(CMSIS_NN),--cmsis-nn "$(CMSIS_NN)")

pareto: setup tools ## error rate against cost: table, pictures, page
## [LM= DATA= MODELS= CHECKPOINT= CHECKPOINTS= PRECISIONS= DECODERS= JOBS= BACKEND= SCHEDULER=]
	$(PYTHON) -m bench pareto --build "$(BUILD)" $(if $(DATA),--data "$(DATA)") $(lm) \
		$(if $(MODELS),--models $(MODELS)) $(if $(CHECKPOINTS),--checkpoints "$(CHECKPOINTS)") \
		$(if $(CHECKPOINT),--checkpoint "$(CHECKPOINT)") \
		$(if $(PRECISIONS),--precisions $(PRECISIONS)) $(if $(DECODERS),--decoders $(DECODERS)) \
		$(if $(JOBS),--jobs $(JOBS)) $(if $(BACKEND),--backend $(BACKEND)) \
		$(if $(SCHEDULER),--scheduler "$(SCHEDULER)")

compress: BOARD = nucleo-h743zi2
compress: setup tools ## a network within a budget: ranks and bits by layer, tuned, scored, built
## [FLASH=2M RAM= LOAD=0.6 BOARD= STEPS= CHECKPOINT= DATA=]
	OMP_WAIT_POLICY=PASSIVE $(PYTHON) -m bench compress --model "$(MODEL)" --build "$(BUILD)" \
		$(if $(CHECKPOINT),--checkpoint "$(CHECKPOINT)") $(if $(DATA),--data "$(DATA)") \
		--board "$(BOARD)" --flash "$(FLASH)" $(if $(RAM),--ram "$(RAM)") \
		$(if $(LOAD),--load $(LOAD)) $(if $(STEPS),--steps $(STEPS))

docs: setup ## the generated pages of the documentation
	$(PYTHON) -m bench operators

setup: $(READY)

$(READY): pyproject.toml
	@sh firmware/tools.sh python
	python3.11 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e ".[test]"
	# what commands import is compiled once, even where Python is told to write no bytecode
	env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -c "import torch.export._trace, torch._dynamo"
	@touch $(READY)

tools: ## cross compiler and emulator from the distribution [COMPILER=gcc|clang]
	@sh firmware/tools.sh
	@[ "$(COMPILER)" != clang ] || sh firmware/tools.sh clang

clean: ## delete what was built, keep the environment
	rm -rf "$(BUILD)"

.PHONY: help demo flash docs decode lm test fuzz networks compilers quantize macs recordings train \
	export firmware hil infer diagnose profile crosscheck drift bench validate pareto compress \
	setup tools clean
