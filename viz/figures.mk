# Made by Tandem. `make -C DIR` draws the figures again; data and scripts are never changed.
#   make FORMAT=pngcairo     as PNG; pdfcairo, postscript, ... as gnuplot knows them
#   make STYLE=mine.gp       in another style
GNUPLOT ?= gnuplot
FORMAT ?= svg
STYLE ?= style.gp

# gnuplot starts with the terminal that GNUTERM names, and fails where it was built without it.
unexport GNUTERM

ifeq ($(wildcard $(STYLE)),)
$(error STYLE=$(STYLE): there is no such file in $(CURDIR); give the name of one, or leave STYLE \
out for style.gp)
endif

FIGURES := $(patsubst %.dat,%,$(wildcard *.dat))

all: $(addprefix draw-,$(FIGURES))

draw-%: %.gp %.dat $(STYLE)
	LC_ALL=C.UTF-8 $(GNUPLOT) -d -e 'TERM="$(FORMAT)"; STYLE="$(STYLE)"' $<

.PHONY: all
