#include "server/banner.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/journal.h"
#include "server/options.h"
#include "signaling/echo_desk.h"

namespace turnpike::server {
namespace {

constexpr std::array<std::string_view, 16> kMoods = {
    "quiet", "bright", "early", "gentle", "lucky", "merry", "noble", "proud",
    "quick", "silver", "sunny", "swift",  "tidy",  "warm",  "wise",  "young"};
constexpr std::array<std::string_view, 16> kAnimals = {
    "otter", "heron", "badger", "crane", "dolphin", "finch", "gecko", "hare",
    "ibis",  "lynx",  "marten", "newt",  "owl",     "panda", "robin", "seal"};

// A label of fixed width, then the value: `sed -n 's/^call room *//p'` finds it.
std::string line(std::string_view label, std::string_view value, BannerFor reader) {
  const std::string padded = fmt::format("{:<12}", label);
  if (reader != BannerFor::kTerminal) return fmt::format("{}{}\n", padded, value);
  return fmt::format("\x1b[1m{}\x1b[0m{}\n", padded, value);
}

std::string addresses(const std::vector<Address>& list) {
  std::string text;
  for (const Address& address : list) text += (text.empty() ? "" : "  ") + address.to_string();
  return text;
}

std::vector<Address> of_kind(const BoundAddresses& bound, PortKind kind) {
  std::vector<Address> list;
  for (const Plan::TcpPort& port : bound.tcp) {
    if (port.kind == kind) list.push_back(port.address);
  }
  return list;
}

std::string relay_line(const Plan& plan) {
  std::string text;
  for (const IpAddress& ip : plan.relay_ips) {
    text += (text.empty() ? "" : "  ") + ip.to_string();
    const IpAddress seen = plan.turn->external.to_external(ip);
    if (seen != ip) text += fmt::format(" (seen as {})", seen.to_string());
  }
  return fmt::format("{}  UDP ports {}-{}", text, plan.config.min_port, plan.config.max_port);
}

std::string ice_servers(const BannerFacts& facts) {
  return fmt::format(
      "\niceServers, valid for a day: new RTCPeerConnection({{ iceServers: ... }})\n{}{}\n",
      facts.ice_servers, facts.ice_servers.ends_with('\n') ? "" : "\n");
}

// The start page is opened with the same invitation as the room.
std::string start_page(const BannerFacts& facts) {
  const std::size_t fragment = facts.call_room.find('#');
  return facts.public_url + "/" +
         (fragment == std::string::npos ? "" : facts.call_room.substr(fragment));
}

std::string api_line(const Plan& plan, const std::string& public_url) {
  if (plan.api_key_file.empty()) return "with one of the keys you gave";
  return fmt::format("curl -H \"Authorization: Bearer $(cat {})\" {}/api/ice", plan.api_key_file,
                     public_url);
}

std::string_view rooms_line(const Plan& plan) {
  const bool jwt = !plan.config.room_jwt_keys.empty();
  const bool password = !plan.config.room_passwords.empty();
  if (jwt && password) return "for holders of a token (JWT) or of the room password";
  if (jwt) return "for holders of a token (JWT)";
  if (password) return "for holders of the room password";
  return "open to everyone; --room-key or --room-jwt closes them";
}

constexpr std::string_view kOpenRoomsWarning =
    "\n"
    "************************************************************************************\n"
    "WARNING: --open-rooms gives relay credentials to everyone who joins a room, without\n"
    "key or invitation. Whoever finds this server can relay through it at your expense.\n"
    "************************************************************************************\n";

BannerFor reader_of_standard_output() {
  if (is_read_by_journal(STDOUT_FILENO)) return BannerFor::kJournal;
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  const bool bold = ::isatty(STDOUT_FILENO) == 1 && !dumb && std::getenv("NO_COLOR") == nullptr;
  return bold ? BannerFor::kTerminal : BannerFor::kProgram;
}

}  // namespace

std::string banner_text(const Plan& plan, const BoundAddresses& bound, const BannerFacts& facts,
                        BannerFor reader) {
  std::string text = fmt::format("turnpike {} with {} worker{}\n\n", version(), plan.workers,
                                 plan.workers == 1 ? "" : "s");
  const auto add = [&](std::string_view label, std::string_view value) {
    text += line(label, value, reader);
  };
  const auto add_ports = [&](std::string_view label, PortKind kind) {
    if (const auto list = of_kind(bound, kind); !list.empty()) add(label, addresses(list));
  };
  add("UDP", addresses(bound.udp));
  add_ports("TCP", PortKind::kAny);
  add_ports("TLS", PortKind::kTlsOnly);
  if (!bound.dtls.empty()) add("DTLS", addresses(bound.dtls));
  add_ports("HTTP", PortKind::kHttp);
  add_ports("PROXY", PortKind::kProxied);
  add("relay", relay_line(plan));
  const bool journal = reader == BannerFor::kJournal;
  text += journal ? "\n" : ice_servers(facts);
  add("rooms", rooms_line(plan));
  if (journal) {
    add("start page", facts.public_url + "/");
    add("credentials", "turnpike ctl credentials");
  } else {
    add("call room", facts.call_room);
    if (!facts.echo_room.empty()) add("echo room", facts.echo_room);
    add("start page", start_page(facts));
  }
  add("API", api_line(plan, facts.public_url));
  if (plan.config.open_rooms) text += kOpenRoomsWarning;
  return text;
}

std::string room_name(Random& random) {
  return fmt::format("{}-{}-{}", kMoods[random.below(kMoods.size())],
                     kAnimals[random.below(kAnimals.size())], 10 + random.below(90));
}

void print_banner(const Plan& plan, const BoundAddresses& bound, const signaling::Service& service,
                  WallTime now) {
  SystemRandom random;
  const BannerFacts facts{service.example_ice_servers(now),
                          service.room_link(room_name(random), now),
                          signaling_settings(plan, bound).public_url,
                          bound.echo.empty() ? "" : service.room_link(signaling::kEchoRoom, now)};
  const std::string text = banner_text(plan, bound, facts, reader_of_standard_output());
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace turnpike::server
