// What turnpike-load is asked to do: the command line as a value. Made once by parse_options().
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/address.h"
#include "tools/load/turn_load_link.h"

namespace turnpike::load {

enum class Mode : std::uint8_t { kBinding, kSetup, kRelay, kIdle };
enum class Framing : std::uint8_t { kChannel, kIndication };
enum class Directions : std::uint8_t { kBoth, kUp, kDown };

inline constexpr unsigned kMaxAllocations = 60000;
inline constexpr unsigned kMinPayload = 24;  // the header that is checked
inline constexpr unsigned kMaxPayload = 1400;
inline constexpr unsigned kMaxBurst = 64;
inline constexpr unsigned kMaxWindow = 16384;
inline constexpr double kMaxSeconds = 3600;

struct Options {
  Mode mode = Mode::kRelay;
  Address server{IpAddress::v4(127, 0, 0, 1), 3478};
  std::string user = "load", password = "load";
  Transport transport = Transport::kUdp;
  pid_t server_pid = 0;  // 0: nothing is known about the server's CPU and memory
  IpAddress client_ip = IpAddress::v4(127, 0, 0, 3);
  IpAddress peer_ip = IpAddress::v4(127, 0, 0, 4);
  unsigned client_ips = 1;  // that many addresses from client_ip on, in turn

  unsigned allocations = 100;
  unsigned idle_beside = 0;  // further allocations that carry nothing
  Framing framing = Framing::kChannel;
  Directions directions = Directions::kBoth;
  unsigned size = 160;
  unsigned burst = 1;
  bool trains = false;    // bursts leave and arrive as UDP_SEGMENT and UDP_GRO trains
  double pace = 0;        // packets a second, both directions together; 0: saturated
  unsigned window = 192;  // packets under way in each direction when saturated
  bool short_cut = false;
  bool floor = false;

  unsigned concurrency = 32;  // set-ups, or Binding requests of one socket, at a time
  double seconds = 5;
  double warm_up = 0.5;
  bool json = false;
};

struct Parsed {
  std::optional<Options> options;
  int exit_code = 0;  // when there are no options: --help, or a mistake that was told
};
Parsed parse_options(int argc, char** argv);

std::string_view name_of(Mode mode);

}  // namespace turnpike::load
