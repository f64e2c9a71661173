// What the operator chose about signaling. Made once at start; a value.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "signaling/ice_servers.h"

namespace turnpike::signaling {

class EchoDesk;
class RoomTokens;

struct Settings {
  std::string version;
  std::string secret;                      // signs invitations and mints credentials
  std::vector<std::string> older_secrets;  // what they signed is taken, too
  std::vector<std::string> api_keys;       // for back ends
  IceUrls ice_urls;
  // How clients reach this server in each family, for the page that tests the way here. Private
  // ones are told to visitors from private addresses alone.
  std::vector<IpAddress> addresses;
  std::string public_url;     // "http://192.0.2.1:3478", how pages are reached; no final slash
  bool open_rooms = false;    // credentials for everyone who joins
  bool serve_static = false;  // --static was given: unknown paths are asked of Outlet::read_file
  bool serve_challenges = false;  // --acme-webroot was given: ACME's HTTP-01 challenges are
  // Sites whose pages may use the API and the native protocol besides our own origin (the request's
  // Host). Naming one keeps all others out of the other dialects too.
  std::vector<std::string> allowed_origins;
  // Whose X-Forwarded-For and X-Forwarded-Proto are believed.
  std::vector<IpRange> trusted_proxies;
  // What rooms ask of those who enter; nullptr: nothing.
  std::shared_ptr<const RoomTokens> room_tokens;
  // Of the rooms that nobody named: everybody who opens the bare address of a dialect.
  std::uint32_t lobby_size = 32;
  // The member of the room "echo"; it outlives the service. nullptr: there is none.
  EchoDesk* echo = nullptr;
};

}  // namespace turnpike::signaling
