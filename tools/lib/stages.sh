# The stages of tools/test. Each runs in a subshell with its output in build/test-logs/STAGE.log and
# adds lines "passed failed skipped" to $counts. Sourced after common.sh.
# shellcheck shell=bash

logs=build/test-logs
counts=/dev/null # set by tools/test for each stage

# The tests in which threads meet; the others have one thread and have been through ASan.
threaded_tests='base_test|base_log_test|test_net|test_net_handover|test_server_runtime'
threaded_tests+='|test_loopback'
# Programs that ctest knows but that judge the release binary.
release_tests='zero_allocation_test'
ctest_runner=()

all_stages=(tidy dev lint tsan release zero-alloc command-line interop conformance package npm
  fuzz browser)
# What only --all adds.
more_stages=(sanitized)

stage_help() {
  cat <<'TXT'
  tidy          layers, sizes, formatting, shell scripts
  dev           unit, simulator and loopback tests with ASan and UBSan
  lint          clang-tidy and cppcheck, remembered per file
  tsan          the tests in which threads meet, with ThreadSanitizer
  release       the binary that users run
  zero-alloc    a million relayed packets on that binary, no allocation
  command-line  options, exit codes, signals
  interop       coturn's clients, aioice, NAT in network namespaces
  conformance   what the RFCs ask, row by row, on the running binary
  package       the Debian package from lintian to purge and under systemd, the container's recipe
  npm           conversations of the real npm clients: Socket.IO 1 to 4, ScaleDrone, PeerJS, ws
  fuzz          every fuzz target for ten seconds
  browser       Chromium and Firefox in calls over each transport, and the tutorials' conversations

With --all, or by name:
  sanitized     interop and conformance once more, on a binary with ASan, LeakSanitizer and UBSan
TXT
}

is_stage() {
  local stage
  for stage in "${all_stages[@]}" "${more_stages[@]}"; do [ "$stage" != "$1" ] || return 0; done
  return 1
}

stage_function() { printf 'stage_%s\n' "${1//-/_}"; }

# The lines around a failure say why: GoogleTest's before it, Python's and node's after it.
failure_excerpt() {
  local failures='^(FAIL|ERROR):|^\[  FAILED  \]|error:|not ok |✖'
  if grep -qE "$failures" "$1"; then
    grep -nE -B 4 -A 14 "$failures" "$1" | head -n 80
    printf '...\n'
  fi
  tail -n 25 "$1"
  printf '(whole log: %s)\n' "$1"
}

# check NAME COMMAND...: one countable test. Never stops the stage.
check() {
  local name=$1
  shift
  printf '== %s\n' "$name"
  if "$@"; then
    printf '1 0 0\n' >>"$counts"
  else
    printf 'FAIL: %s\n' "$name"
    printf '0 1 0\n' >>"$counts"
  fi
}

# python_tests NAME COMMAND...: a unittest run, counted by what it prints at its end.
python_tests() {
  local name=$1
  shift
  "$@" 2>&1 | tee "$logs/$name.out" || true
  python3 tools/lib/count.py unittest "$logs/$name.out" >>"$counts"
}

# side_by_side COMMAND ARGUMENT...: COMMAND once for each ARGUMENT, as many at a time as there are
# processors; what they print comes one after another, in the order given.
side_by_side() {
  local command=$1 argument outputs
  shift
  outputs=$(mktemp -d)
  for argument; do
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
    "$command" "$argument" >"$outputs/$argument" 2>&1 &
  done
  wait || true
  for argument; do cat "$outputs/$argument"; done
  rm -r "$outputs"
}

# gtest_run PRESET [CTEST OPTIONS...]: ctest, counting single GoogleTest cases.
gtest_run() {
  local preset=$1 results
  shift
  results=$PWD/$logs/gtest-$preset
  rm -rf "$results" && mkdir -p "$results"
  GTEST_OUTPUT=xml:$results/ "${ctest_runner[@]}" ctest --test-dir "build/$preset" \
    --output-on-failure --timeout 600 --parallel "$(nproc)" --no-tests=error \
    --output-junit "$results/ctest.junit" "$@" || true
  python3 tools/lib/count.py gtest "$results" >>"$counts"
}

release_binary() {
  build_preset release turnpike
  export TURNPIKE_BINARY=$PWD/build/release/turnpike
}

own_sources() {
  find base stun turn ice signaling net server tools tests bench -path '*/node_modules' -prune -o \
    \( -name '*.cc' -o -name '*.h' \) -print
}

stage_tidy() {
  python_tests tidy python3 tests/tidy_test.py
  python_tests tidy-counting python3 tools/lib/count.py self-test
  own_sources | sort >"$logs/sources"
  check clang-format xargs -a "$logs/sources" clang-format --dry-run -Werror
  if command -v shellcheck >/dev/null; then
    check shellcheck shellcheck -x tools/up tools/test tools/fuzz tools/package .ci/run \
      tools/lib/*.sh
  fi
}

stage_dev() {
  build_preset dev
  gtest_run dev --exclude-regex "^($release_tests)\$"
}

# Not the tests. What was clean is remembered in build/cppcheck. Constructors take the few words of
# their settings by value.
cppcheck_own_sources() {
  mkdir -p build/cppcheck
  cppcheck -j "$(nproc)" --project=build/dev/compile_commands.json -i tests -i bench -i build \
    --cppcheck-build-dir=build/cppcheck --enable=warning,performance,portability --inline-suppr \
    --suppress=passedByValue --suppress=internalAstError:ice/media/dtls.cc \
    --suppress=mismatchingContainerIterator:server/hook_cache.cc \
    --suppress='*:/usr/*' --quiet --error-exitcode=1 \
    --template='{file}:{line}: error: {message} [{id}]'
}

stage_lint() {
  build_preset dev
  check clang-tidy python3 tools/lib/clang_tidy.py build/dev base stun turn ice
  check cppcheck cppcheck_own_sources
}

stage_tsan() {
  cmake --preset tsan
  local -a targets
  mapfile -t targets < <(ctest --test-dir build/tsan -N | sed -n 's/^ *Test *#[0-9]*: //p' |
    grep -xE "$threaded_tests")
  [ "${#targets[@]}" -gt 0 ] || die "none of the tests $threaded_tests exists"
  build_preset tsan "${targets[@]}"
  # ThreadSanitizer of GCC 12 cannot place its shadow where the kernel randomises 32 bits.
  if setarch -R true 2>/dev/null; then ctest_runner=(setarch -R); fi
  gtest_run tsan --tests-regex "^($threaded_tests)\$"
}

stage_release() { release_binary; }

stage_zero_alloc() {
  release_binary
  build_preset dev zero_allocation_test turnpike_count_allocations
  gtest_run dev --tests-regex "^($release_tests)\$"
}

# interop_tests STAGE MODULE...: Debian's own Python, which has python3-aioice.
interop_tests() (
  export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/interop:tests/conformance
  local stage=$1
  shift
  python_tests "$stage" /usr/bin/python3 -m unittest --verbose "$@"
)

stage_command_line() {
  release_binary
  interop_tests command-line test_command_line
}

interop_module() { interop_tests "interop-$1" "$1"; }

# Module beside module: they wait far more than they work. The longest is first, or the end would
# wait for it alone.
stage_interop() {
  local longest=test_turnutils
  local -a modules
  release_binary
  build_preset release turnpike-call turnpike-load turnpike-signal-load floor_recvmmsg floor_gso \
    flooder
  mapfile -t modules < <(find tests/interop -name "test_*.py" -printf "%f\n" | sed "s/\.py$//" |
    grep -vx -e test_command_line -e "$longest" | sort)
  side_by_side interop_module "$longest" "${modules[@]}"
}

stage_conformance() {
  local -a modules
  release_binary
  mapfile -t modules < <(find tests/conformance -name "test_*.py" -printf "%f\n" |
    sed "s/\.py$//" | sort)
  interop_tests conformance "${modules[@]}"
}

# Under sanitizers these say nothing that they do not say in other stages: they judge the release
# binary's file, other programs, the documentation or our own tools.
not_sanitized='test_bench_flood|test_bench_since|test_dashboards|test_docs|test_hardening'
not_sanitized+='|test_recipes|test_signal_load|test_soak|test_threat_model|test_tools'
not_sanitized+='|test_turn_load|test_checklist'

# no_reports FOLDER: whether no sanitizer wrote anything there; prints what they did.
no_reports() {
  local report found=0
  for report in "$1"/report.*; do
    [ -e "$report" ] || continue
    printf -- '-- %s\n' "$report"
    head -n 60 "$report"
    found=1
  done
  return "$found"
}

sanitized_module() { interop_tests "sanitized-$1" "$1"; }

# The server of every test has the sanitizers, and looks for leaks when it ends; what is killed
# cannot. Other programs are as users have them.
stage_sanitized() {
  local -a modules
  local reports
  build_preset dev turnpike
  build_preset release turnpike-call
  # A server that has dropped its privileges must be able to write there.
  reports=$(mktemp -d)
  chmod 1777 "$reports"
  export TURNPIKE_BINARY=$PWD/build/dev/turnpike CALLER=$PWD/build/release/turnpike-call
  export ASAN_OPTIONS="log_path=$reports/report:detect_leaks=1:exitcode=99:verify_asan_link_order=0"
  export SANITIZED=1 UBSAN_OPTIONS="log_path=$reports/report:print_stacktrace=1"
  mapfile -t modules < <(find tests/interop tests/conformance -name "test_*.py" -printf "%f\n" |
    sed "s/\.py$//" | grep -vxE "$not_sanitized" | sort)
  side_by_side sanitized_module "${modules[@]}"
  check "no sanitizer has reported anything" no_reports "$reports"
  rm -r "$reports"
}

stage_package() {
  release_binary
  build_preset release turnpike_pages
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/packaging:tests/interop \
    python_tests package /usr/bin/python3 -m unittest --verbose test_debian_package test_systemd \
    test_container
}

fuzz_target() { check "$1" tools/fuzz "$1" 10; }

stage_fuzz() {
  local -a targets
  mapfile -t targets < <(tools/fuzz --list)
  build_preset dev "${targets[@]/#/fuzz_}"
  side_by_side fuzz_target "${targets[@]}"
}

# npm_tests STAGE FOLDER: the folder's `npm test` with what its lock file names.
# npm ci removes and unpacks everything: only when the lock file is not what stands there.
npm_tests() {
  local stage=$1 folder=$2
  (
    cd "$folder" || return
    if ! cmp -s package-lock.json node_modules/.installed-lock; then
      npm ci --no-audit --no-fund || return
      cp package-lock.json node_modules/.installed-lock
    fi
    npm test
  ) 2>&1 | tee "$logs/$stage.out" || true
  python3 tools/lib/count.py node "$logs/$stage.out" >>"$counts"
}

stage_npm() {
  release_binary
  build_preset dev conformance_server
  export CONFORMANCE_SERVER=$PWD/build/dev/tests/interop/conformance_server/conformance_server
  npm_tests npm tests/npm
}

stage_browser() {
  release_binary
  npm_tests browser tests/browser
}
