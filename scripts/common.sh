# What the scripts of this folder and .ci/run share (sourced, not run).

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# as_root COMMAND...: by sudo where we are not root.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || die "root is needed for: $*"
  sudo -- "$@"
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# need_packages PACKAGE...: installs those Debian packages that are missing, and only those.
need_packages() {
  local package missing=()
  command -v apt-get >/dev/null || { need_programs; return; }
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing Debian packages: ${missing[*]}"
  local policy=/usr/sbin/policy-rc.d dovecot_is_new=
  case " ${missing[*]} " in *" dovecot-"*) installed dovecot-core || dovecot_is_new=1 ;; esac
  # A mail server that is needed for tests must not start to serve this machine's users.
  local made_policy=
  if [ ! -e $policy ]; then
    as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"
    made_policy=1
  fi
  local code=0
  { as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${missing[@]}"; } </dev/null >"${TMPDIR:-/tmp}/postrider-apt.$$" 2>&1 || code=$?
  [ -z "$made_policy" ] || as_root rm -f $policy
  if [ -n "$dovecot_is_new" ] && [ -d /run/systemd/system ]; then
    say "keeping Debian's Dovecot service off (on again: systemctl enable --now dovecot)"
    as_root systemctl disable --quiet dovecot.service dovecot.socket || true
  fi
  [ $code = 0 ] || tail -20 "${TMPDIR:-/tmp}/postrider-apt.$$" >&2
  rm -f "${TMPDIR:-/tmp}/postrider-apt.$$"
  [ $code = 0 ] || die "apt-get could not install: ${missing[*]}"
}

# need_programs: without apt-get we can only say what is missing.
need_programs() {
  local program missing=()
  for program in cc openssl dovecot; do
    PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$program" >/dev/null || missing+=("$program")
  done
  [ ${#missing[@]} = 0 ] || die "please install: ${missing[*]} (on Debian this is done for you)"
}

# need_rust: a toolchain, be it that it isn't on the PATH yet.
need_rust() {
  command -v cargo >/dev/null || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
  command -v cargo >/dev/null || die "Rust is needed: https://rustup.rs"
}

# need_dovecot: sets DOVECOT to the program, which must be of the 2.3 series.
need_dovecot() {
  DOVECOT=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v dovecot) || die "Dovecot is missing"
  case $("$DOVECOT" --version) in
    2.3.*) ;;
    *) die "Dovecot 2.3 is needed (Debian 12 has it), this is $("$DOVECOT" --version)" ;;
  esac
}

# The packages that building and testing need. cc: SQLite and ring compile C.
PACKAGES=(gcc libc6-dev ca-certificates dovecot-imapd dovecot-pop3d dovecot-submissiond openssl)
