# Every target does its own set-up. Variables: MODEL, CHECKPOINT, DATA, SPLIT, USERS, PRECISION,
# FORMAT, BOARD, COMPILER, PORT, TOOL, TAP, SECONDS, LATENCY, CALIBRATION, INPUT, OUTPUT, ENGINE,
# DECODER, LM, TFLM, CMSIS_NN, COREMARK, AES, INITIAL, NAME, WINDOW, FLASH, RAM, LOAD, STEPS, TASK,
# REPORTS, FRAMES, RESETS, FLIPS, RECORD; of sweeps MODELS, PRECISIONS, DECODERS, CHECKPOINTS, JOBS,
# BACKEND, SCHEDULER. A path may hold blanks.
# MODEL is a name, or a Python file of yours, path/net.py or path/net.py:name, which is executed;
# its artifacts are called net or net-name. MODELS may mix both.
MODEL ?= TC_S4_small
BUILD ?= build
FORMAT ?= c
BOARD ?= $(if $(filter tflm,$(FORMAT)),virtual-m7,virtual-f405)
COMPILER ?= gcc
SECONDS = 15

export OPENBLAS_NUM_THREADS := 1 # matrices here are small: threads only wait for each other

# A variable as one word of the shell, whatever is in it, and an option with it where it is given.
# What the user says is taken as it is: no $ of it is make's.
said = '$(subst ','\'',$(if $(filter command environment,$(origin $1)),$(value $1),$($1)))'
given = $(if $(value $2),--$1 $(call said,$2))
# where it is not this file's
asked = $(if $(filter file,$(origin $2)),,$(call given,$1,$2))

.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
# .venv/bin/tendon, also where the checkout was moved; VERBOSE=1 says more, QUIET=1 less
TENDON = $(PYTHON) -m bench$(if $(VERBOSE), -v)$(if $(QUIET), -q)
READY := .venv/ready
common = --model $(call said,MODEL) --build $(call said,BUILD) $(call given,precision,PRECISION) \
	$(call given,checkpoint,CHECKPOINT) $(call given,window,WINDOW)
form = --format $(call said,FORMAT) $(call given,tflm,TFLM)
chosen = $(call given,data,DATA) $(call given,split,SPLIT) $(call given,users,USERS)
data = $(chosen) $(call given,calibration,CALIBRATION)
latency = $(call given,latency,LATENCY)
name = $(call given,name,NAME)
lm = $(call given,lm,LM)
typed = make $(MAKECMDGOALS) $(MAKEOVERRIDES)
record = $(if $(filter-out 0 no,$(RECORD)),--record $(call said,typed))

# What each target takes of the command line: a variable that none of the goals takes is refused.
# What make, a shell or a compiler takes is none of ours; the environment may hold anything.
_network := MODEL BUILD CHECKPOINT
_chosen := DATA SPLIT USERS
_graph := $(_network) PRECISION WINDOW $(_chosen) CALIBRATION
_form := FORMAT TFLM
takes.help :=
takes.demo := $(_graph) BOARD LM SECONDS
takes.test := ARGS FLIPS
takes.ray := ARGS
takes.networks := NETWORKS FIRST_NETWORK ARGS
takes.fuzz := BUILD FUZZ_SECONDS READER RECORD
takes.compilers := ARGS
takes.quantize := $(_graph)
takes.users := REPORTS OUTPUT
takes.macs := $(_network) PRECISION WINDOW
takes.recordings := BUILD TASK
takes.train := $(_network) $(_chosen) STEPS OUTPUT
takes.export := $(_graph) FORMAT BOARD LATENCY NAME
takes.firmware := $(_graph) $(_form) BOARD LATENCY NAME COMPILER
takes.hil := $(_graph) $(_form) BOARD PORT INPUT LATENCY LM SECONDS COMPILER
takes.flash := $(_graph) $(_form) BOARD PORT TOOL TAP LATENCY COMPILER
takes.decode := INPUT DECODER LM
takes.lm :=
takes.infer := $(_graph) ENGINE INPUT OUTPUT INITIAL PORT
takes.diagnose := $(_graph) BOARD PORT ENGINE INPUT SECONDS
takes.profile := $(_graph) BOARD PORT LATENCY RECORD
takes.crosscheck := $(_graph) SECONDS INPUT BOARD PORT RECORD
takes.drift := $(_graph) INPUT RECORD
takes.faults := $(_graph) BOARD FRAMES RESETS FLIPS RECORD
takes.bench := BUILD CMSIS_NN RECORD
takes.validate := COREMARK AES CMSIS_NN RECORD
takes.pareto := BUILD $(_chosen) LM MODELS CHECKPOINT CHECKPOINTS PRECISIONS DECODERS JOBS BACKEND \
	SCHEDULER RECORD
takes.compress := $(_network) $(_chosen) BOARD FLASH RAM LOAD STEPS RECORD
takes.docs :=
takes.setup :=
takes.tools := COMPILER TFLM
takes.clean := BUILD
_others := MAKE% MFLAGS GNUMAKEFLAGS SHELL .SHELLFLAGS V VERBOSE QUIET CURDIR PYTHON READY CI CC \
	CXX AR LD CLANG CFLAGS CXXFLAGS CPPFLAGS LDFLAGS HAND
_goals := $(or $(MAKECMDGOALS),help)
_taken := $(sort $(foreach goal,$(_goals),$(takes.$(goal))))
_typed := $(sort $(foreach one,$(filter-out .% -%,$(.VARIABLES)),$(if \
	$(filter command,$(origin $(one))),$(one))))
_unknown := $(filter-out $(_taken) $(_others),$(_typed))
ifeq (,$(strip $(foreach goal,$(_goals),$(if $(filter undefined,$(origin takes.$(goal))),$(goal)))))
ifneq (,$(_unknown))
_refused := $(shell sh firmware/variables.sh '$(_goals)' '$(_unknown)' '$(_taken)' \
	'$(sort $(foreach one,$(filter takes.%,$(.VARIABLES)),$($(one))))' $(MAKELEVEL))
$(if $(_refused),$(error $(_refused)))
endif
endif

# What a target does stands behind ##, and goes on in lines that begin with it.
help: ## list every target
	@awk '/^[a-z]+:.*## / {printf "%s%s", end, $$0; end = "\n"} \
		/^## / {sub("## ", ""); printf "%s%s", /^\[/ ? "   " : " ", $$0} \
		END {print ""}' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 22

demo: setup tools ## the whole way: quantize, count, export, build, run on the emulated STM32F405,
## report
	$(TENDON) demo $(common) $(data) --board $(call said,BOARD) $(lm) \
		--seconds $(call said,SECONDS)

test: setup tools ## every test, linter and type check
	@sh firmware/tools.sh browser
	@sh firmware/tools.sh clang
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

accuracy: setup ## the shipped networks in TFLite-Micro beside the trained floats, on longer
## stretches than `make test` takes (some minutes)
	ACCURACY=all OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist worksteal \
		tests/export/test_tflite.py -k decodes_what_the_trained $(ARGS)

ray: setup tools ## a sweep on a Ray cluster of two workers, one of them killed; installs Ray
## (80 MB) into .venv (two minutes)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -e ".[ray]" || \
		{ echo "make ray: Ray cannot be installed here (why: above); nothing was tried" >&2; exit 1; }
	RAY=1 OMP_NUM_THREADS=1 $(PYTHON) -m pytest tests/bench/test_ray_cluster.py $(ARGS)

networks: setup ## 200 networks drawn at random, from PyTorch to every form of their integers (some
## minutes on two cores) [NETWORKS=200 FIRST_NETWORK=0]
	NETWORKS=$(or $(NETWORKS),200) OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist worksteal \
		tests/export/test_drawn_networks.py $(ARGS)

fuzz: setup tools ## damaged files for every reader: each is read or refused in one line; figures by
## reader, build/fuzz.json (30 minutes at most) [FUZZ_SECONDS=1200 READER="graph file" RECORD=1]
	OMP_NUM_THREADS=1 $(PYTHON) -m tests.fuzz --out $(call said,BUILD) \
		$(call given,seconds,FUZZ_SECONDS) $(call given,reader,READER) $(record)

compilers: setup tools ## gcc and clang, every core, level, frame pointers, LTO, profilers and
## coverage: the same words in the emulator (the better part of an hour on two cores)
	@sh firmware/tools.sh clang
	COMPILERS=all OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist worksteal \
		tests/export/test_compilers.py tests/firmware/test_naked.py \
		tests/firmware/test_kernels.py::test_one_sweep_over_all_kernels_under_every_compiler $(ARGS)

quantize: setup ## checkpoint -> integer graph, its error rate
## [MODEL=name|path/net.py CHECKPOINT= DATA= SPLIT=user0.yaml USERS= CALIBRATION= PRECISION=
## WINDOW=]; default takes one back: CHECKPOINT=default is the shipped network
	$(TENDON) quantize $(common) $(data)

users: setup ## one table of networks that are each one user's, and the mean over users
## [REPORTS="build/user*/w8a16/quantize.json" OUTPUT=users.json]
	$(TENDON) users $(call given,reports,REPORTS) $(call given,output,OUTPUT)

macs: setup ## multiply-accumulates per layer and second of signal   [MODEL= CHECKPOINT=]
	$(TENDON) macs $(common)

recordings: setup ## write the simulated recordings   [TASK=typing|pose|classes|values]
	$(TENDON) recordings --build $(call said,BUILD) $(call given,task,TASK)

train: setup ## train a network, on simulated or own recordings; continues where it was interrupted
## [MODEL= DATA= SPLIT=user.yaml USERS= CHECKPOINT= STEPS= OUTPUT=]
	OMP_WAIT_POLICY=PASSIVE $(TENDON) train --model $(call said,MODEL) \
		--build $(call said,BUILD) $(chosen) \
		$(call given,checkpoint,CHECKPOINT) $(call given,steps,STEPS) \
		$(call given,out,OUTPUT)

export: setup ## integer graph -> C project or another format
## [MODEL= PRECISION= FORMAT=c|onnx|tflite|tflm BOARD= LATENCY=ms NAME=in_c]
	$(TENDON) export --format $(call said,FORMAT) $(common) $(data) \
		--board $(call said,BOARD) $(latency) $(name)

firmware: setup tools ## build the firmware of a board, check its size
## [BOARD=virtual-f405|nucleo-f446re|… COMPILER=gcc|clang LATENCY=ms FORMAT=c|tflm TFLM= NAME=in_c]
	$(TENDON) firmware $(common) $(data) $(form) --board $(call said,BOARD) \
		$(latency) $(name) --compiler $(call said,COMPILER)

hil: setup tools ## stream recordings through a board, score, compare every word; INPUT=: any
## array or recording, compared without a score
## [BOARD= COMPILER= PORT= DATA= INPUT= SECONDS= LATENCY=ms LM= FORMAT=c|tflm TFLM=]
	$(TENDON) hil $(common) $(data) $(form) --board $(call said,BOARD) \
		$(call given,port,PORT) $(call given,input,INPUT) $(latency) $(lm) \
		$(call asked,seconds,SECONDS) \
		--compiler $(call said,COMPILER)

flash: setup tools ## build the firmware, load it with what is there
## [BOARD= COMPILER= PORT= LATENCY=ms TAP=1
## TOOL=openocd|st-flash|STM32_Programmer_CLI|pio|stm32flash]
	$(TENDON) flash $(common) $(data) $(form) --board $(call said,BOARD) \
		$(call given,port,PORT) $(call given,tool,TOOL) $(if $(TAP),--tap) \
		$(latency) --compiler $(call said,COMPILER)

decode: setup ## text from frames that infer wrote
## [INPUT=frames.npy DECODER=greedy|beam|beam+lm LM=]
	$(TENDON) decode $(call given,input,INPUT) \
		$(call given,decoder,DECODER) $(lm)

lm: setup ## the shipped character model again, from the simulator's train prompts
	$(TENDON) lm

infer: setup ## one input through one engine
## [ENGINE=torch|graph|onnx|integer|native|onnx-qdq|litert|tflm|<board> INPUT= OUTPUT= INITIAL=
## CALIBRATION=]
	$(TENDON) infer $(common) $(data) $(call given,engine,ENGINE) \
		$(call given,input,INPUT) $(call given,output,OUTPUT) \
		$(call given,initial,INITIAL) $(call given,port,PORT)

diagnose: setup tools ## a board, or two engines, layer by layer: the first difference
## [BOARD= PORT= or ENGINE="graph native"; INPUT= SECONDS=]
	$(TENDON) diagnose $(common) $(data) \
		$(call asked,board,BOARD) $(call given,port,PORT) \
		$(if $(ENGINE),--engines $(ENGINE)) $(call given,input,INPUT) \
		$(call asked,seconds,SECONDS)

profile: setup tools ## every layer on a board: time, what its instructions do, memory; what would
## help
## [MODEL= BOARD= PORT= DATA= LATENCY=ms RECORD=1]
	$(TENDON) profile $(common) $(data) --board $(call said,BOARD) \
		$(call given,port,PORT) $(latency) $(record)

crosscheck: SECONDS = 30
crosscheck: setup tools ## one table: PyTorch, ONNX, TFLite, TFLM, integers, C, board on the same
## seconds
## [MODEL= BOARD= SECONDS=30 INPUT= RECORD=1]
	$(TENDON) crosscheck $(common) $(data) --seconds $(call said,SECONDS) \
		$(call given,input,INPUT) \
		$(call asked,board,BOARD) $(call given,port,PORT) $(record)

drift: setup ## a pose network minute by minute in one closed loop: do the integers leave
## the floats behind?
## [MODEL= PRECISION= INPUT= RECORD=1]
	$(TENDON) drift $(common) $(data) $(call given,input,INPUT) $(record)

faults: setup tools ## 100,000 damaged frames, 100 resets, 40 flipped bits of an image: what of it
## was accepted (ten minutes)
## [MODEL= BOARD= FRAMES=100000 RESETS=100 FLIPS=40 RECORD=1]
	$(TENDON) faults $(common) $(data) --board $(call said,BOARD) \
		$(call given,frames,FRAMES) $(call given,resets,RESETS) $(call given,flips,FLIPS) \
		$(record)

bench: setup tools ## kernels and networks in executed instructions, against CMSIS-NN and the
## targets; gcc's code, clang's beside
## [CMSIS_NN=path RECORD=1]
	@sh firmware/tools.sh clang
	$(TENDON) bench --build $(call said,BUILD) \
		$(call given,cmsis-nn,CMSIS_NN) $(record)

validate: setup tools ## the cycle models against published cycles
## [COREMARK=eembc/coremark AES=jnk0le/cortexm-AES CMSIS_NN= RECORD=1]
	$(TENDON) validate $(call given,coremark,COREMARK) \
		$(call given,aes,AES) $(call given,cmsis-nn,CMSIS_NN) $(record)

pareto: setup tools ## error rate against cost: table, pictures, page
## [LM= DATA= SPLIT= USERS= MODELS= CHECKPOINT= CHECKPOINTS= PRECISIONS= DECODERS= JOBS= BACKEND=
## SCHEDULER= RECORD=1]
	$(TENDON) pareto --build $(call said,BUILD) $(chosen) $(lm) \
		$(if $(MODELS),--models $(MODELS)) $(call given,checkpoints,CHECKPOINTS) \
		$(call given,checkpoint,CHECKPOINT) \
		$(if $(PRECISIONS),--precisions $(PRECISIONS)) $(if $(DECODERS),--decoders $(DECODERS)) \
		$(call given,jobs,JOBS) $(call given,backend,BACKEND) \
		$(call given,scheduler,SCHEDULER) $(record)

compress: BOARD = nucleo-h743zi2
compress: setup tools ## a network within a budget: ranks and bits by layer, tuned, scored, built
## [FLASH=2M RAM= LOAD=0.6 BOARD= STEPS= CHECKPOINT= DATA= SPLIT= USERS= RECORD=1]
	OMP_WAIT_POLICY=PASSIVE $(TENDON) compress --model $(call said,MODEL) \
		--build $(call said,BUILD) \
		$(call given,checkpoint,CHECKPOINT) $(chosen) \
		--board $(call said,BOARD) --flash $(call said,FLASH) $(call given,ram,RAM) \
		$(call given,load,LOAD) $(call given,steps,STEPS) $(record)

docs: setup ## the generated pages of the documentation
	$(TENDON) docs

setup: $(READY) ## the environment in .venv, with the command .venv/bin/tendon

$(READY): pyproject.toml
	@sh firmware/tools.sh python
	sh firmware/setup.sh

tools: ## cross compiler and emulator from the distribution [COMPILER=gcc|clang]
	@sh firmware/tools.sh
	@[ "$(COMPILER)" != clang ] || sh firmware/tools.sh clang

clean: ## delete what was built, keep the environment
	rm -rf -- $(call said,BUILD)

.PHONY: help demo flash docs decode lm test accuracy fuzz networks compilers ray quantize users \
	macs recordings train export firmware hil infer diagnose profile crosscheck drift faults \
	bench validate pareto compress setup tools clean
