# Every target is one call of make.py; without make: python make.py TARGET NAME=VALUE
PYTHON3 ?= python3
RUN = @$(PYTHON3) make.py
# Only what stands on the command line counts: a PORT or DEVICE of the shell means something else.
NAMES = PYTHON P PORT SCALE DEVICE SEED SET PRECISION CHAPTER CI
SETTINGS = $(foreach v,$(NAMES),$(if $(findstring command,$(origin $(v))),"$(v)=$($(v))"))

.DEFAULT_GOAL := help
.PHONY: help book page serve test test-fast references notebooks lab export format lock setup clean
help book page serve test test-fast references notebooks lab export format lock setup clean:
	$(RUN) $@ $(SETTINGS)
