# `just` lists what there is; `just ci` is the gate.

_:
    @just --list --unsorted

# Format all code
fmt:
    cargo fmt

# Clippy, warnings are errors
lint:
    cargo clippy --locked --all-targets -- -D warnings

# All tests; installs what is missing
test *ARGS:
    scripts/test {{ARGS}}

# Crash torture: kills, power cuts (as root), full disks, restarts; needs Dovecot
torture *ARGS:
    cargo run --locked --release --example torture -- {{ARGS}}

# Documentation with private items, warnings are errors
doc:
    RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --document-private-items --locked

# Licences, bans and sources of dependencies
deny:
    cargo deny check bans licenses sources

# Everything that must hold before a change goes in
ci:
    .ci/run

# Coverage by cargo-llvm-cov
cover:
    cargo llvm-cov --locked --html

# Review changed snapshots by cargo-insta
snap:
    cargo insta test --review
