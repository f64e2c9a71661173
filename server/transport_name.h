// What a transport is called in answers and log lines that programs read.
#pragma once

#include <string_view>

#include "turn/path.h"

namespace turnpike::server {

constexpr std::string_view name_of(turn::Transport transport) {
  switch (transport) {
    case turn::Transport::kUdp:
      return "udp";
    case turn::Transport::kTcp:
      return "tcp";
    case turn::Transport::kTls:
      return "tls";
    case turn::Transport::kDtls:
      return "dtls";
  }
  return "";
}

}  // namespace turnpike::server
