# Installs what building (and testing) needs. Sourced by ./run and ./test; not run by itself.
# Only Debian's packages, crates and npm packages are used.

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'zonglan: %s\n' "$*" >&2; exit 1; }

# Rust code and its dependencies are built once, outside the checkout, for run, test and CI alike.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/zonglan-target}"

need_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${missing[*]}"
  local sudo=""
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "these Debian packages are missing and need root to install: ${missing[*]}"
    sudo="sudo"
  fi
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# cmake, g++ and sqlite3 build the bundled PROJ; the font draws Chinese on server-side images.
need_build_tools() {
  command -v apt-get >/dev/null || die "this script needs Debian (apt-get); on another system install cmake, g++, pkg-config, sqlite3, Node.js 18+ and Noto Sans CJK, then run cargo build"
  need_packages cmake g++ make pkg-config sqlite3 fonts-noto-cjk ca-certificates
  command -v node >/dev/null && command -v npm >/dev/null || need_packages nodejs npm
  command -v cargo >/dev/null || die "no Rust toolchain: install Rust 1.95 or newer (https://rustup.rs), then run this again"
}

need_test_tools() {
  need_packages chromium chromium-driver strace
  need_clickhouse
}

# The ClickHouse engine for the tests of the second columnar store: a Python wheel in an environment
# of its own. Without network those tests are skipped, and say so.
need_clickhouse() {
  local venv="$HOME/.cache/zonglan-venv" version="26.9.0"
  [ -n "${ZONGLAN_TEST_CLICKHOUSE:-}" ] && return
  "$venv/bin/python" -c "import sys, chdb; sys.exit(chdb.__version__ != '$version')" 2>/dev/null && return
  command -v python3 >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3 python3-venv
  say "installing chdb-core $version into $venv"
  if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check "chdb-core==$version"; } >&2; then
    say "chdb-core could not be installed (is PyPI reachable?): the tests on ClickHouse are skipped"
    export ZONGLAN_TEST_NO_CLICKHOUSE=1
  fi
}

# Bundles the pages' scripts and styles; skipped while their sources are unchanged.
build_web() {
  local web="$root/dashboards/web" stamp sum
  stamp="$web/dist/.sources"
  sum=$(cd "$web" && find . -type f -not -path './dist/*' -not -path './node_modules/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return
  say "bundling the pages' scripts and styles"
  (cd "$web" && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build) >&2
  printf '%s' "$sum" > "$stamp"
}
