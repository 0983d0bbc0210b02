# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run:
#   . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# Sets REPO (the top of this clone, absolute) and makes it the working folder's anchor; the caller's
# working folder is left alone, because file arguments are relative to it.

REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# say TEXT…: progress, for a person; stdout stays free for results.
say() { printf '%s\n' "$*" >&2; }

# die TEXT…: one line that says what, why and what to do; then out.
die() {
  printf '%s: error: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# apt ARGS…: apt-get that asks nothing and prints only when it fails (tried twice: mirrors hiccup).
apt_quietly() {
  local log try
  log="$(mktemp)"
  for try in 1 2; do
    if as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -q -y "$@" </dev/null >"$log" 2>&1; then
      rm -f "$log"
      return 0
    fi
    [ "$try" -eq 2 ] || sleep 3
  done
  tail -n 20 "$log" >&2
  rm -f "$log"
  return 1
}

# need CMD:PACKAGE…: installs the Debian package of each command that is not there yet.
need() {
  local pair packages=() commands=()
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 && continue
    commands+=("${pair%%:*}")
    packages+=("${pair#*:}")
  done
  [ "${#packages[@]}" -eq 0 ] && return 0

  command -v apt-get >/dev/null 2>&1 ||
    die "missing: ${commands[*]}. There is no apt-get here; install them with your system's packages"
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
    die "missing: ${commands[*]}. As root, run: apt-get install ${packages[*]}"
  fi
  say "installing ${packages[*]} (Debian packages) …"
  # A machine whose package lists are fresh needs no update; one without lists fails fast and gets it.
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q -y \
    --no-install-recommends install "${packages[@]}" </dev/null >/dev/null 2>&1; then
    apt_quietly update || die "apt-get update failed (above); is the network there?"
    apt_quietly --no-install-recommends install "${packages[@]}" ||
      die "apt-get install ${packages[*]} failed (above)"
  fi
  for pair in "${commands[@]}"; do
    hash -r
    command -v "$pair" >/dev/null 2>&1 || die "installed ${packages[*]}, and still there is no '$pair'"
  done
}

# need_rust: what no apt package of Debian stable is new enough for.
need_rust() {
  command -v cargo >/dev/null 2>&1 ||
    die "cargo is missing: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$REPO/Cargo.toml") or newer with rustup"
  # libpcap: to link with; capture needs it.
  need cc:gcc pcap-config:libpcap-dev
}

# Where cargo puts what it builds.
target_folder() { printf '%s' "${CARGO_TARGET_DIR:-$REPO/target}"; }

# tally LOG: "PASSED FAILED SKIPPED" of a `cargo test --no-fail-fast` log. A test program that began and never
# gave its result (it crashed, or did not compile) counts as one failed where cargo says that something did.
tally() {
  awk '
    /^test result: / {
      results++
      for (i = 1; i <= NF; i++) {
        if ($i ~ /^passed;?$/) passed += $(i - 1)
        if ($i ~ /^failed;?$/) failed += $(i - 1)
        if ($i ~ /^ignored;?$/) skipped += $(i - 1)
      }
    }
    /^ +Running .*\(.*\)$/ || /^ +Doc-tests / { programs++ }
    /^error(\[|:)/ { errors++ }
    END {
      if (errors && programs > results) failed += programs - results
      if (errors && !failed) failed = 1
      print passed + 0, failed + 0, skipped + 0
    }' "$1"
}

# summary PASSED FAILED [SKIPPED]: the last line of a check.
summary() {
  printf '%d passed, %d failed' "$1" "$2"
  [ "${3:-0}" -eq 0 ] || printf ', %d skipped' "$3"
  printf '\n'
}
