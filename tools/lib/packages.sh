# The distribution's packages by purpose. Nothing is vendored and nothing is downloaded by CMake.
# "a|b" means that either is enough. Sourced after common.sh.
# shellcheck shell=bash

# Debian 12's default Boost is 1.74; ours begins at 1.81. Later releases have a newer default.
boost_package() {
  case "$(distribution)" in
    "debian bookworm") printf 'libboost1.81-dev\n' ;;
    *) printf 'libboost-dev\n' ;;
  esac
}

build_packages() {
  printf '%s\n' cmake ninja-build g++ 'pkg-config|pkgconf' ca-certificates \
    libuv1-dev libssl-dev libsrtp2-dev libusrsctp-dev \
    nlohmann-json3-dev libspdlog-dev libfmt-dev libcli11-dev libexpected-dev
  boost_package
}

# NodeSource's nodejs brings npm with it, the distributions' does not.
node_packages() {
  if ! command -v node >/dev/null; then printf 'nodejs\n'; fi
  if ! command -v npm >/dev/null; then printf 'npm\n'; fi
}

# What tools/package makes a Debian package with.
package_packages() { printf '%s\n' debhelper cmake dpkg-dev; }

test_packages() {
  build_packages
  node_packages
  package_packages
  printf '%s\n' python3 openssl procps ccache libgtest-dev libgmock-dev libbenchmark-dev \
    clang clang-tidy clang-format cppcheck binutils coturn python3-aioice libnss3-tools \
    iproute2 iptables \
    python3-aiortc python3-websockets python3-yaml python3-gi gir1.2-nice-0.1 \
    gir1.2-gst-plugins-bad-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
    gstreamer1.0-plugins-bad gstreamer1.0-nice golang-go \
    golang-github-pion-webrtc.v3-dev prometheus systemd \
    lintian util-linux
  case "$(distribution)" in
    "debian bookworm")
      printf '%s\n' libclang-rt-14-dev chromium firefox-esr zbar-tools fonts-wqy-microhei
      # A test authority and the clients of ACME; where one is missing, its test says so.
      printf '%s\n' pebble certbot lego uacme
      ;;
    debian*) printf '%s\n' libclang-rt-dev chromium firefox-esr zbar-tools fonts-wqy-microhei ;;
    # Ubuntu's browsers are snaps, which a headless test cannot start: bring your own.
    *) printf '%s\n' libclang-rt-18-dev ;;
  esac
}
