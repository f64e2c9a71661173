// What turnpike-call is asked to do: the command line as a value. Made once by parse_options().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/expected.h"
#include "base/time.h"
#include "ice/gatherer.h"
#include "tools/call/signaling.h"
#include "tools/call/streams.h"
#include "tools/load/turn_load_link.h"

namespace turnpike::call {

inline constexpr unsigned kMaxCalls = 20000;
inline constexpr unsigned kMaxRedials = 1000;
inline constexpr unsigned kMaxVideoBitrate = 20'000'000;

// Where signaling is: of http, https, ws or wss.
struct Origin {
  bool tls = false;
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string authority;  // for the Host header
  bool operator==(const Origin&) const = default;
};
// The Error says what is wrong with the text.
Expected<Origin> parse_origin(std::string_view text);
// "30s", "2m", "1h", "1.5"; seconds when nothing is said.
Expected<Duration> parse_duration(std::string_view text);
// "20/s", "20", "90/m": a second.
Expected<double> parse_rate(std::string_view text);
// "500k", "1.5m", "250000", "off" (0): bits a second.
Expected<unsigned> parse_bitrate(std::string_view text);
// One of kAudioIntervals, in milliseconds.
Expected<milliseconds> parse_audio_interval(std::string_view text);

struct Options {
  Origin server;
  std::string key;         // of the HTTP API: invitations and credentials are asked for with it
  std::string invitation;  // in place of it
  Dialect dialect = Dialect::kNative;
  std::string join;  // a room: one endpoint talks to whoever is there; empty: whole calls

  unsigned calls = 1;
  double rate = 20;  // calls begun a second
  Duration duration = seconds{10};
  Duration time_limit = seconds{20};  // of a set-up
  unsigned redials = 0;               // of a call that failed, in a row
  unsigned video_bitrate = 500'000;   // 0: none
  milliseconds audio_interval = kAudioIntervals.front();

  ice::Gatherer::Policy policy = ice::Gatherer::Policy::kAll;
  load::Transport transport = load::Transport::kUdp;
  std::vector<IceServer> ice_servers;  // in place of those that signaling brings
  std::optional<IpAddress> from;       // the address of all sockets

  bool verify_tls = true;
  std::string ca_file;
  bool json = false;
  std::string svg;  // a file; empty: none
};

struct Parsed {
  std::optional<Options> options;
  int exit_code = 0;  // when there are no options: --help, or a mistake that was told
};
inline constexpr int kExitFailures = 1, kExitMistake = 2;
Parsed parse_options(int argc, const char* const* argv);

}  // namespace turnpike::call
