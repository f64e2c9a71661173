# The browser clients of others that the server serves: pinned, checked and fetched by npm before
# the build, which itself downloads nothing. Sourced after common.sh.
# shellcheck shell=bash

# Without npm, or without a network, the server is built all the same: it then answers 404 for these
# files and says how to mend that.
fetch_clients() {
  local folder=signaling/web/vendor
  cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed-lock" && return 0
  if ! command -v npm >/dev/null; then
    say "Building without the socket.io client for browsers (/socket.io/socket.io.js), which npm" \
      "fetches. To have it: apt-get install npm, then tools/up again"
    return 0
  fi
  # No script of a package runs.
  if (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund >&2 </dev/null &&
    cp package-lock.json node_modules/.installed-lock); then
    return 0
  fi
  # What npm has left is not to be trusted.
  rm -rf "$folder/node_modules"
  say "npm could not fetch the socket.io client for browsers: building without it. To try again:" \
    "tools/up --build-only"
}
