# Every command a contributor runs. `just` lists them.

_default:
    @just --list

# Format everything
fmt:
    cargo fmt --all

# Formatting and clippy, warnings denied
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- --deny warnings

# Every test: the README's second command
test *ARGS:
    tests/run {{ ARGS }}

# Compare with nginx + uWSGI, Granian and bjoern
bench *ARGS:
    tests/bench/run {{ ARGS }}

# HTTP and WSGI to the letter: how many cases are passed
conformance *ARGS:
    tests/conformance/run {{ ARGS }}

# Fuzz what reads untrusted bytes: `just fuzz --seconds 600 head`
fuzz *ARGS:
    tests/fuzz/run {{ ARGS }}

# Everything at once, for hours: requests counted, memory, descriptors and threads flat
soak SECONDS="7200":
    APPLIANCE_TEST_SOAK={{ SECONDS }} cargo test -p appliance --test soak -- --nocapture

# The demo, as the README's first command runs it
run:
    cargo run --release -- serve config/demo/project.toml

# A release in target/dist/release-files: binary, manual pages, completions, .deb, checksums
dist *ARGS:
    deploy/dist {{ ARGS }}

# The pages of docs/ as a book, in target/book
book:
    docs/book

# A clone, and the release in a bare Debian, containers and a swarm, by the pages' own words; made twice; needs root
test-deploy BINARY="":
    tests/deploy/clone {{ BINARY }}
    tests/deploy/debian {{ BINARY }}
    tests/deploy/docker {{ BINARY }}
    tests/deploy/swarm {{ BINARY }}
    tests/deploy/mesh {{ BINARY }}
    tests/deploy/reproducible

# What continuous integration runs
ci:
    .ci/run
