// What the world calls the addresses that are relayed from: the mappings that --external-ip gives,
// and those that "--external-ip auto" finds by asking STUN servers which the operator named, or
// else the cloud's metadata service. Done once, while the Plan is made, on the main thread. Asking
// is a function, so that tests can answer.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/expected.h"
#include "base/private_address.h"
#include "server/config.h"
#include "turn/relayed_addresses.h"

namespace turnpike::server {

// A question of ours as a STUN server saw it.
struct SeenFrom {
  Address server;
  Address local;
  Address mapped;
};
using AskStunServer = std::function<Expected<SeenFrom>(const StunServer&, const IpAddress& from)>;

// What the cloud that this machine is in says.
struct CloudAnswer {
  IpAddress external;
  std::string cloud;
};
using AskCloud = std::function<Expected<CloudAnswer>()>;

struct ExternalAddressWish {
  const Config& config;
  const std::vector<IpAddress>& relay_ips;
  // Of this machine: a PUBLIC/PRIVATE that was written the wrong way round is told apart by them.
  std::vector<IpAddress> interface_ips;
  AskStunServer ask_stun_server;
  AskCloud ask_cloud;
};

struct ExternalAddressReport {
  std::vector<turn::ExternalAddresses::Mapping> mappings;
  std::vector<std::string> notices;  // what was found, how, and what will be announced
};

// The Error's sentence begins with the option and ends with what to pass instead.
struct ExternalAddressError {
  std::string message;
  bool nothing_found = false;  // the options are right, but nobody told the address
};
Expected<ExternalAddressReport, ExternalAddressError> map_external_addresses(
    const ExternalAddressWish& wish);

std::string joined(const std::vector<IpAddress>& ips);
std::vector<IpAddress> of_family(const std::vector<IpAddress>& ips, Family family);

}  // namespace turnpike::server
