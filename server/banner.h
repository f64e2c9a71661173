// What `turnpike` says on standard output when it is ready: where it listens, a ready iceServers
// JSON with time-limited credentials, and the links. Scripts may parse the lines that have a label.
// The journal keeps what it is told, and more people read it: it hears of nothing that lets anybody
// in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "server/plan.h"
#include "signaling/service.h"

namespace turnpike::server {

struct BoundAddresses {
  std::vector<Address> udp;
  std::vector<Plan::TcpPort> tcp;
  std::vector<Address> dtls;
  std::vector<Address> echo = {};  // the sockets of the echo endpoint; empty: there is none
};

void print_banner(const Plan& plan, const BoundAddresses& bound, const signaling::Service& service,
                  WallTime now);

// The text itself, for its reader: a terminal shows labels bold.
enum class BannerFor : std::uint8_t { kProgram, kTerminal, kJournal };
struct BannerFacts {
  std::string ice_servers;  // JSON
  std::string call_room;    // "http://192.0.2.1:3478/call/quiet-otter-42#k=..."
  std::string public_url;
  std::string echo_room = {};  // likewise; "": there is none
};
std::string banner_text(const Plan& plan, const BoundAddresses& bound, const BannerFacts& facts,
                        BannerFor reader);

// "quiet-otter-42": easy to say on the phone.
std::string room_name(Random& random);

}  // namespace turnpike::server
