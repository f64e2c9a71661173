# Shared by tools/up, tools/test and tools/fuzz: words for the operator, the distribution's
# packages, and building a preset. Sourced, never run. The caller is in the root of the repository.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$(basename "$0"): $*"
  exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# Prints ID and VERSION_CODENAME of the distribution, for example "debian bookworm".
distribution() (
  ID=unknown VERSION_CODENAME=unknown
  # shellcheck disable=SC1091
  [ -r /etc/os-release ] && . /etc/os-release
  printf '%s %s\n' "$ID" "$VERSION_CODENAME"
)

# Prints those of the given packages that are not installed. "a|b" is satisfied by any of the two,
# and asks for the first.
missing_packages() {
  local wanted alternative
  for wanted in "$@"; do
    local found=no
    local -a alternatives
    IFS='|' read -ra alternatives <<<"$wanted"
    for alternative in "${alternatives[@]}"; do
      if [ "$(dpkg-query -W -f='${db:Status-Status}' "$alternative" 2>/dev/null)" = installed ]
      then
        found=yes
        break
      fi
    done
    [ "$found" = yes ] || printf '%s\n' "${alternatives[0]}"
  done
}

# Installs what is missing and touches nothing when nothing is.
install_packages() {
  command -v dpkg-query >/dev/null || die "this script knows Debian 12 and Ubuntu 24.04 only, and" \
    "here is no dpkg. Install what tools/lib/packages.sh names, then build with:" \
    "cmake --preset release && cmake --build --preset release --target turnpike"
  local -a missing as_root=()
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  if ! is_root; then
    command -v sudo >/dev/null || die "packages are missing and neither root nor sudo is at hand;" \
      "ask an administrator to run: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "Installing: ${missing[*]}"
  "${as_root[@]}" apt-get update -q >&2 </dev/null || say "apt-get update failed, trying anyway"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    "${missing[@]}" >&2 </dev/null || die "apt-get could not install: ${missing[*]}"
}

# How many compilers at once: the CPUs, but not more than memory holds (about 1 GiB each).
build_jobs() {
  local cpus gib
  cpus=$(nproc)
  gib=$(awk '/^MemAvailable:/ {print int($2 / 1048576)}' /proc/meminfo)
  [ "$gib" -ge 1 ] || gib=1
  [ "$gib" -lt "$cpus" ] && cpus=$gib
  printf '%s\n' "$cpus"
}

# build_preset PRESET [TARGET...]: configures when needed and builds into build/PRESET. Who comes
# meanwhile waits: two builds in one folder would undo each other's notes of what is built.
build_preset() (
  mkdir -p build
  exec 9>"build/$1.lock"
  flock 9
  build_preset_alone "$@" 9>&-
)

build_preset_alone() {
  local preset=$1 target
  shift
  # Ninja runs CMake again when a CMakeLists.txt changed, but knows nothing of the presets.
  [ "build/$preset/build.ninja" -nt CMakePresets.json ] || cmake --preset "$preset" </dev/null ||
    return
  local -a targets=()
  for target in "$@"; do targets+=(--target "$target"); done
  cmake --build "build/$preset" --parallel "$(build_jobs)" "${targets[@]}" </dev/null
}
