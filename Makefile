# From a fresh Debian with Rust and Node to a running gateway, a tested one, a measured one. `make help` lists the ways.
# Each target first installs what it lacks (with sudo, unless root); where nothing is missing it starts at once.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help run release install uninstall test fmt lint unit doc interop interop-node interop-python web dashboard service docker deny advisories bench fuzz soak rust

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
INTEROP := RUNEWARD_BIN=$(TARGET)/debug/runeward
NGINX := $(TARGET)/tools/nginx/usr/sbin/nginx
NODE := tests/interop/node
CLIENT := web/client
DASHBOARD := web/dashboard
VENV := $(TARGET)/interop-python
DOCKER_VENV := $(TARGET)/docker-python
DENY_VERSION := 0.20.2
DENY := $(TARGET)/tools/cargo-deny-$(DENY_VERSION)
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := $(TARGET)/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := acts frames websocket message parts request rune reply uri config

# Where `make install` puts things, below DESTDIR.
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
SYSCONFDIR ?= /etc
SYSTEMDDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
MANDIR ?= $(PREFIX)/share/man
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
BINARY ?= $(TARGET)/release/runeward
INSTALLED = $(BINDIR)/runeward $(SYSTEMDDIR)/runeward.service $(SYSUSERSDIR)/runeward.conf \
	$(BASHDIR)/runeward $(ZSHDIR)/_runeward $(FISHDIR)/runeward.fish

# $(call need,a command that succeeds where nothing is missing,the Debian packages that bring it)
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq
need = @$(1) >/dev/null 2>&1 || { echo "Installing $(2)" && $(APT) update && $(APT) install -y --no-install-recommends $(2); }
# $(call have,a command that no Debian package brings fresh enough,what to do about it)
have = @command -v $(1) >/dev/null || { echo "$(1) is missing: $(2)" >&2; exit 1; }

help: ## Lists these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: rust dashboard ## Builds the gateway and starts it before a demo node; it prints a link that opens it (ARGS=… go to `runeward demo`)
	cargo run --release --locked -p runeward -- demo $(ARGS)

release: rust dashboard ## Builds the one binary there is to hand on, and says how large it is and what it needs
	cargo build --release --locked -p runeward
	@echo "$(TARGET)/release/runeward: $$(($$(stat -c %s $(TARGET)/release/runeward) / 1048576)) MiB; beside the kernel it needs"
	@ldd $(TARGET)/release/runeward
	@echo "of $$(objdump -T $(TARGET)/release/runeward | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1) or newer"

install: $(BINARY) ## Installs binary, systemd unit, man pages and completions (PREFIX=/usr/local, DESTDIR=)
	install -D -m 755 $(BINARY) $(DESTDIR)$(BINDIR)/runeward
	install -d $(DESTDIR)$(SYSTEMDDIR) $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR) $(DESTDIR)$(MANDIR)/man1
	sed 's,@BINDIR@,$(BINDIR),; s,@SYSCONFDIR@,$(SYSCONFDIR),' gateway/service/runeward.service >$(DESTDIR)$(SYSTEMDDIR)/runeward.service
	install -D -m 644 gateway/service/runeward.sysusers $(DESTDIR)$(SYSUSERSDIR)/runeward.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/runeward/runeward.toml || install -D -m 644 gateway/service/runeward.toml $(DESTDIR)$(SYSCONFDIR)/runeward/runeward.toml
	$(BINARY) completions bash >$(DESTDIR)$(BASHDIR)/runeward
	$(BINARY) completions zsh >$(DESTDIR)$(ZSHDIR)/_runeward
	$(BINARY) completions fish >$(DESTDIR)$(FISHDIR)/runeward.fish
	$(BINARY) manual $(DESTDIR)$(MANDIR)/man1

uninstall: ## Removes what `make install` put there; configuration and state stay
	rm -f $(addprefix $(DESTDIR),$(INSTALLED)) $(DESTDIR)$(MANDIR)/man1/runeward.1 $(DESTDIR)$(MANDIR)/man1/runeward-*.1

$(TARGET)/release/runeward:
	$(MAKE) release

test: dashboard fmt lint unit doc interop web service docker deny ## Everything CI checks

fmt: rust
	cargo fmt --all --check

lint: rust
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit: rust
	$(call need,command -v ip && command -v tc && command -v nft && command -v unshare,iproute2 nftables util-linux)
	cargo build --workspace --locked
	cargo test --workspace --locked
	$(call have,node,install Node.js 20.19 or newer from https://nodejs.org)
	node --test tests/bench/report.test.mjs

doc: rust
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

interop: interop-node interop-python ## Clients that others wrote, run against the gateway: Node, a browser, Python

interop-node: rust $(NODE)/node_modules/.package-lock.json $(NGINX)
	$(call need,command -v chromium && command -v certutil && command -v openssl,chromium libnss3-tools openssl)
	cargo build --workspace --locked
	cd $(NODE) && $(INTEROP) NGINX_BIN=$(NGINX) node --test

interop-python: rust $(VENV)/bin/pytest
	cargo build --workspace --locked
	cd tests/interop/python && $(INTEROP) PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/pytest

web: rust dashboard ## The JavaScript client and the dashboard: built, then tested in Node and a browser
	$(call need,command -v chromium && command -v certutil && command -v openssl,chromium libnss3-tools openssl)
	cargo build --workspace --locked
	cd $(CLIENT) && npm run build && $(INTEROP) npm test
	cd $(DASHBOARD) && npm run check && $(INTEROP) npm test

dashboard: $(DASHBOARD)/dist/index.html ## The dashboard: built, for the gateway to be built with, and for any static host

$(DASHBOARD)/dist/index.html: $(DASHBOARD)/node_modules/.package-lock.json $(CLIENT)/node_modules/.package-lock.json \
		$(shell find $(CLIENT)/src $(DASHBOARD)/src $(DASHBOARD)/public $(DASHBOARD)/*.* -type f)
	cd $(CLIENT) && npm run build
	cd $(DASHBOARD) && npm run build

service: ## The systemd unit: what it leaves open must be little (exposure below 2)
	$(call need,command -v systemd-analyze,systemd)
	mkdir -p $(TARGET)/service
	sed 's,@BINDIR@,/bin,; s,@SYSCONFDIR@,/etc,' gateway/service/runeward.service >$(TARGET)/service/runeward.service
	systemd-analyze security --no-pager --offline=true --threshold=19 $(TARGET)/service/runeward.service | tail -1

docker: $(DOCKER_VENV)/bin/hadolint ## The Dockerfile against hadolint, the compose files against their schema
	$(DOCKER_VENV)/bin/hadolint docker/Dockerfile
	$(DOCKER_VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker/*.yaml

deny: $(DENY)/bin/cargo-deny ## The dependencies against deny.toml: bans, licences, sources
	$(DENY)/bin/cargo-deny --locked check bans licenses sources

advisories: $(DENY)/bin/cargo-deny ## The dependencies against the advisory database, which it downloads
	$(DENY)/bin/cargo-deny --locked check advisories

bench: rust ## What the gateway costs, beside what it must, into the README (ARGS=quick: a look that only prints)
	$(call need,command -v python3,python3)
	$(call have,node,install Node.js 20.19 or newer from https://nodejs.org)
	cargo build --release --locked -p runeward -p runeward-tests
	node tests/bench/bench.mjs $(TARGET)/release $(ARGS)

fuzz: rust $(VENV)/bin/pytest $(CARGO_FUZZ)/bin/cargo-fuzz ## The long runs: property tests, 1,000,000 runes against PyPI `runes`, FUZZ_SECONDS of each fuzz target
	PROPTEST_CASES=25600 cargo test --release --workspace --locked --lib --test properties
	cargo build --release --locked -p runeward
	cd tests/interop/python && RUNEWARD_BIN=$(TARGET)/release/runeward PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python differential.py 1000000
	cp Cargo.lock tests/fuzz
	RUNEWARD_SEEDS=$(TARGET)/fuzz/corpus cargo test --workspace --locked --lib seeds_hold
	$(MAKE) $(addprefix fuzz-,$(FUZZ_TARGETS))

# Without a sanitizer, which unsafe code would need and a stable toolchain has none of.
fuzz-%:
	cd tests && CARGO_TARGET_DIR=$(TARGET)/fuzz $(CARGO_FUZZ)/bin/cargo-fuzz run --fuzz-dir fuzz -s none $* $(TARGET)/fuzz/corpus/$* -- -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -verbosity=0 -print_final_stats=1

soak: rust ## Hours of floods and faults beside honest clients, each call counted (ARGS='attacks --only Json::' KILLS=0: a part of it, ARGS='--scale 0.05 --minutes 2' KILLS=20: all, short)
	cargo build --release --locked --workspace
	$(TARGET)/release/runeward-soak $(ARGS)
	$(if $(filter 0,$(KILLS)),,RUNEWARD_KILLS=$(or $(KILLS),500) cargo test --release --workspace --locked --test disk -- --nocapture killed_at_random_points)

rust:
	$(call need,command -v cc,build-essential)
	$(call have,cargo,see https://rustup.rs)

$(NODE)/node_modules/.package-lock.json $(CLIENT)/node_modules/.package-lock.json $(DASHBOARD)/node_modules/.package-lock.json: %/node_modules/.package-lock.json: %/package-lock.json
	$(call have,npm,install Node.js 20.19 or newer from https://nodejs.org)
	cd $* && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

# Unpacked, not installed: that would leave a server running on this machine.
$(NGINX):
	mkdir -p $(TARGET)/tools
	cd $(TARGET)/tools && { apt-get -qq download nginx || { $(APT) update && apt-get -qq download nginx; }; }
	dpkg-deb --extract $(TARGET)/tools/nginx_*.deb $(TARGET)/tools/nginx
	rm $(TARGET)/tools/nginx_*.deb

$(VENV)/bin/pytest: tests/interop/python/requirements.txt
$(DOCKER_VENV)/bin/hadolint: docker/requirements.txt
$(VENV)/bin/pytest $(DOCKER_VENV)/bin/hadolint:
	$(call need,python3 -c 'import ensurepip',python3-venv)
	python3 -m venv $(@D)/..
	$(@D)/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(DENY)/bin/cargo-deny: | rust
	cargo install cargo-deny --locked --version $(DENY_VERSION) --root $(DENY)

$(CARGO_FUZZ)/bin/cargo-fuzz: | rust
	cargo install cargo-fuzz --locked --version $(CARGO_FUZZ_VERSION) --root $(CARGO_FUZZ)
