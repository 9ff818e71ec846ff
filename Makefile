# hamlet: one Makefile for the whole suite.  `make help` lists the targets.
# Objects go to $(B); SAN=1 builds with ASan+UBSan into $(B)/san.

B        ?= build
SAN      ?= 0
PREFIX   ?= /usr/local
SYSCONF  ?= /etc
DESTDIR  ?=
CC       ?= gcc
FUZZ_CC  ?= clang

DAEMONS  := $(patsubst %/main.c,%,$(wildcard stored/main.c keyd/main.c smtpd/main.c pop3d/main.c dnsd/main.c))
PROGS    := $(DAEMONS) $(patsubst %/main.c,%,$(wildcard hamletd/main.c hamletctl/main.c sendmail/main.c))
PKGS     := libuv gnutls sqlite3 libgsasl libseccomp libidn2 ldns libcrypto

WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wno-format-nonliteral
HARDEN   := -fstack-protector-strong -fstack-clash-protection -fPIE -D_FORTIFY_SOURCE=2
ifeq ($(SAN),1)
O        := $(B)/san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
HARDEN   := -fPIE
OPT      := -O1 -g
else
O        := $(B)
SANFLAGS :=
OPT      := -O2 -g
endif
CFLAGS   ?= $(OPT)
VERSION  := $(shell cat VERSION)
# Looked up when first needed, so that `make deps` works before the libraries are there.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PKGS)) -lcrypt -lcap)$(PKG_LIBS)
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -I. -DHAMLET_VERSION='"$(VERSION)"' \
             $(WARN) $(HARDEN) $(SANFLAGS) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack $(SANFLAGS) $(LDFLAGS)

objs      = $(patsubst %.c,$(O)/obj/%.o,$(1))
COMMON_SRC := $(sort $(wildcard libcommon/*/*.c))
COMMON    := $(O)/libcommon.a
BINS      := $(PROGS:%=$(O)/%)

.PHONY: all help
all: $(BINS)

help:
	@sed -n 's/^## //p' Makefile

## all            build every program into $(B)
$(COMMON): $(call objs,$(COMMON_SRC))
	@rm -f $@
	@ar rcs $@ $^

$(O)/obj/%.o: %.c
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

define PROGRAM
$(O)/$(1): $(call objs,$(sort $(wildcard $(1)/*.c $(1)/*/*.c))) $(COMMON)
	@$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(PKG_LIBS)
	@echo "built $$@"
.PHONY: $(1)
$(1): $(O)/$(1)
endef
$(foreach p,$(PROGS),$(eval $(call PROGRAM,$(p))))

# --- tests ---------------------------------------------------------------
# t/unit/NAME_what.c is one cmocka binary: it links libcommon and, when NAME is
# a program, that program's objects without its main.
UNIT_SRC  := $(sort $(wildcard t/unit/*.c))
UNIT      := $(UNIT_SRC:t/unit/%.c=$(O)/t/unit/%)
WIRE      := $(sort $(wildcard t/wire/*.t))
# Those that take long come first, so that none of them is left alone at the end.
E2E_LONG  := $(patsubst %,t/e2e/%.t,durability dns_peers companies flood vanish peers \
             secondary replace hamletd relay_kill dns_cache_peers transfer dnssec update)
E2E       := $(E2E_LONG) $(filter-out $(E2E_LONG),$(sort $(wildcard t/e2e/*.t)))
TOOL_SRC  := $(sort $(wildcard t/tool/*.c))
TOOLS     := $(TOOL_SRC:t/tool/%.c=$(O)/t/tool/%)
progof     = $(firstword $(subst _, ,$(1)))
progobjs   = $(call objs,$(filter-out %/main.c,$(sort $(wildcard $(call progof,$(1))/*.c $(call progof,$(1))/*/*.c))))

# A program's objects as an archive: a test links what it uses.
define PROGLIB
$(O)/lib/$(1).a: $(call progobjs,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach p,$(sort $(foreach u,$(UNIT_SRC:t/unit/%.c=%),$(call progof,$(u)))),$(eval $(call PROGLIB,$(p))))
define UNITTEST
$(O)/t/unit/$(1): $(O)/obj/t/unit/$(1).o $(O)/lib/$(call progof,$(1)).a $(COMMON)
	@mkdir -p $$(@D)
	@$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(PKG_LIBS) -lcmocka
endef
$(foreach u,$(UNIT_SRC:t/unit/%.c=%),$(eval $(call UNITTEST,$(u))))

define TESTTOOL
$(O)/t/tool/$(1): $(O)/obj/t/tool/$(1).o $(COMMON)
	@mkdir -p $$(@D)
	@$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(PKG_LIBS)
endef
$(foreach u,$(TOOL_SRC:t/tool/%.c=%),$(eval $(call TESTTOOL,$(u))))

# t/bench/NAME_what.c is linked as a unit test is; it measures a program's parts in one process.
BENCH_SRC := $(sort $(wildcard t/bench/*.c))
BENCHES   := $(BENCH_SRC:t/bench/%.c=$(O)/t/bench/%)
define BENCHPROG
$(O)/t/bench/$(1): $(O)/obj/t/bench/$(1).o $(O)/lib/$(call progof,$(1)).a $(COMMON)
	@mkdir -p $$(@D)
	@$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(PKG_LIBS)
endef
$(foreach u,$(BENCH_SRC:t/bench/%.c=%),$(eval $(call BENCHPROG,$(u))))

# These wait more than they work.
WAITING  ?= 6
.PHONY: unit wire e2e tools check check-long fuzz san-unit
tools: $(TOOLS)

## unit           unit tests (cmocka), TAP by prove
unit: $(UNIT)
	@CMOCKA_MESSAGE_OUTPUT=TAP HAMLET_BUILD=$(O) prove -j$(WAITING) --exec '' $(UNIT)

## wire           protocol dialogues (t/wire)
wire: all $(TOOLS)
	@$(if $(WIRE),HAMLET_BUILD=$(O) prove -j$(WAITING) --exec t/tool/dialogue $(WIRE))

## e2e            the real programs, driven by real clients (t/e2e)
e2e: all $(TOOLS)
	@$(if $(E2E),HAMLET_BUILD=$(O) prove -j3 $(E2E))

# Fuzz targets t/fuzz/NAME_what.c are named and linked as unit tests are, by clang.
FUZZ_SRC  := $(sort $(wildcard t/fuzz/*.c))
FUZZ      := $(FUZZ_SRC:t/fuzz/%.c=$(B)/fuzz/%)
FUZZFLAGS  = -std=c17 -D_GNU_SOURCE -I. -DHAMLET_VERSION='"$(VERSION)"' -DHAMLET_FUZZING \
             $(PKG_CFLAGS) -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
             -fno-sanitize-recover=undefined
$(B)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(FUZZFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
# As archives: a target may stand in for a part of the program.
define FUZZLIB
$(B)/fuzz/lib/$(1).a: $(patsubst %.c,$(B)/fuzz/obj/%.o,$(filter-out %/main.c,$(sort \
                      $(wildcard $(1)/*.c $(1)/*/*.c))))
	@mkdir -p $$(@D)
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach p,$(sort libcommon $(foreach u,$(FUZZ_SRC:t/fuzz/%.c=%),$(call progof,$(u)))),$(eval $(call FUZZLIB,$(p))))
define FUZZTARGET
$(B)/fuzz/$(1): $(B)/fuzz/obj/t/fuzz/$(1).o $(B)/fuzz/lib/$(call progof,$(1)).a $(B)/fuzz/lib/libcommon.a
	@$$(FUZZ_CC) $$(FUZZFLAGS) -fsanitize=fuzzer -o $$@ $$^ $$(PKG_LIBS)
endef
$(foreach u,$(FUZZ_SRC:t/fuzz/%.c=%),$(eval $(call FUZZTARGET,$(u))))

# FUZZ_SECONDS is the time of all targets together, two of them at a time; the corpora are replayed
# first.
FUZZ_SECONDS ?= 60
## fuzz           replay the corpora, then fuzz for FUZZ_SECONDS in all
fuzz: $(FUZZ)
	@t/fuzz/run $(B)/fuzz $(FUZZ_SECONDS)

## san-unit       the unit tests under ASan and UBSan
san-unit:
	@$(MAKE) --no-print-directory SAN=1 unit

## check          deps, deps-test, build and every test: at most 10 minutes on 2 cores
check: deps deps-test
	@$(MAKE) --no-print-directory check-built
## check-long     the same tests with larger counts, soak, kill and fuzz runs
check-long: deps deps-test
	@HAMLET_LONG=1 $(MAKE) --no-print-directory FUZZ_SECONDS=1800 check-built
.PHONY: check-built built
# Everything that the tests need is compiled first, on all cores; the tests run one kind at a time.
JOBS     ?= $(shell nproc)
built: all $(TOOLS) $(UNIT)
check-built: layers
	@$(MAKE) --no-print-directory -j$(JOBS) built
	@$(MAKE) --no-print-directory unit wire e2e
	@$(MAKE) --no-print-directory -j$(JOBS) SAN=1 built
	@$(MAKE) --no-print-directory SAN=1 unit wire
	@$(MAKE) --no-print-directory -j$(JOBS) fuzz

# --- structure and style -------------------------------------------------
.PHONY: layers lint format man-tables
## layers         fails when an include points the wrong way
layers:
	@t/lint/layers
## lint           clang-tidy, cppcheck, shellcheck, mandoc, the format check
lint:
	@t/lint/lint
## man-tables     put the programs' directive tables into man/*.conf.5
man-tables: all
	@t/lint/man-tables --write
## format         rewrite the sources in the project's format
format:
	@clang-format-14 -i $$(git ls-files '*.c' '*.h')

# --- running and installing ----------------------------------------------
.PHONY: deps deps-test run demo bench install clean
## deps           install the Debian packages to build and run (deps-test: to test)
deps:
	@etc/deps build
deps-test:
	@etc/deps test
.PHONY: need-programs
need-programs:
	@$(if $(strip $(PROGS)),:,echo "no daemon is built in this version yet (see README.md)" >&2; exit 69)
## run            the whole suite in the foreground out of ./run, on loopback high ports
run: need-programs deps
	@$(MAKE) --no-print-directory all
	@etc/run/run
## demo           the same, one visible journey with real clients, then stop
demo: need-programs deps deps-test
	@$(MAKE) --no-print-directory all
	@etc/run/demo
## bench          WHAT=smtp, relay, ... (t/bench/run names all): beside the peers, in one run
WHAT ?= all
bench: need-programs deps deps-test
	@$(MAKE) --no-print-directory all tools $(BENCHES)
	@HAMLET_BUILD=$(O) t/bench/run $(WHAT)
## install        DESTDIR= PREFIX= SYSCONF= SENDMAIL_DIR= (links for other programs' sendmail)
install: need-programs all
	@SENDMAIL_DIR="$(SENDMAIL_DIR)" etc/install "$(B)" "$(DESTDIR)" "$(PREFIX)" "$(SYSCONF)"
clean:
	@rm -rf $(B)

-include $(shell [ -d $(O)/obj ] && find $(O)/obj -name '*.d')
-include $(shell [ -d $(B)/fuzz/obj ] && find $(B)/fuzz/obj -name '*.d')
