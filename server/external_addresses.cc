#include "server/external_addresses.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace turnpike::server {
namespace {

using Mapping = turn::ExternalAddresses::Mapping;

auto refuse(std::string message) {
  return tl::make_unexpected(ExternalAddressError{std::move(message), false});
}

bool contains(const std::vector<IpAddress>& ips, const IpAddress& ip) {
  return std::find(ips.begin(), ips.end(), ip) != ips.end();
}

class Mapper {
 public:
  explicit Mapper(const ExternalAddressWish& wish) : wish_(wish) {}

  Expected<ExternalAddressReport, ExternalAddressError> run();

 private:
  using Step = Expected<void, ExternalAddressError>;

  Step take(const ExternalIp& given);
  Step add(const Mapping& mapping);
  std::string not_a_relay_address(const Mapping& mapping) const;
  Step find_the_others();
  Expected<Mapping> find(const IpAddress& local);
  Expected<Mapping> find_in_cloud(const IpAddress& local);
  Expected<Mapping> judge(const StunServer& server, const SeenFrom& seen);
  bool reachable(const IpAddress& relay) const;
  const Mapping* mapping_of(const IpAddress& local) const;

  template <typename... Args>
  void notice(fmt::format_string<Args...> format, Args&&... args) {
    report_.notices.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  const ExternalAddressWish& wish_;
  ExternalAddressReport report_;
};

Expected<ExternalAddressReport, ExternalAddressError> Mapper::run() {
  for (const ExternalIp& given : wish_.config.external_ips) {
    if (Step step = take(given); !step) return unexpected(std::move(step.error()));
  }
  if (wish_.config.find_external_ips) {
    if (Step step = find_the_others(); !step) return unexpected(std::move(step.error()));
  }
  return std::move(report_);
}

Mapper::Step Mapper::take(const ExternalIp& given) {
  const std::string text = given.external.to_string();
  const auto candidates = of_family(wish_.relay_ips, given.external.family());
  std::optional<IpAddress> local = given.local;
  if (!local && candidates.size() == 1) local = candidates.front();
  if (!local && candidates.empty()) {
    return refuse(
        fmt::format("--external-ip {}: there is no relay address of that family; pass "
                    "--external-ip {}/PRIVATE",
                    text, text));
  }
  if (!local) {
    return refuse(
        fmt::format("--external-ip {}: say which relay address it stands for, --external-ip "
                    "{}/PRIVATE with one of {}",
                    text, text, joined(candidates)));
  }
  return add({given.external, *local});
}

Mapper::Step Mapper::add(const Mapping& mapping) {
  const bool swapped = contains(wish_.interface_ips, mapping.external) &&
                       !contains(wish_.interface_ips, mapping.local);
  if (swapped || !contains(wish_.relay_ips, mapping.local)) {
    return refuse(not_a_relay_address(mapping));
  }
  for (const Mapping& other : report_.mappings) {
    if (other == mapping) return {};  // said twice
    if (other.local != mapping.local && other.external != mapping.external) continue;
    return refuse(
        fmt::format("--external-ip {}/{}: expected a 1:1 mapping, but {}/{} was given too",
                    mapping.external.to_string(), mapping.local.to_string(),
                    other.external.to_string(), other.local.to_string()));
  }
  if (mapping.external != mapping.local && is_private(mapping.external)) {
    notice(
        "--external-ip {}/{}: {} is a private address, too, which only clients inside that "
        "network can reach",
        mapping.external.to_string(), mapping.local.to_string(), mapping.external.to_string());
  }
  report_.mappings.push_back(mapping);
  return {};
}

std::string Mapper::not_a_relay_address(const Mapping& mapping) const {
  const std::string external = mapping.external.to_string(), local = mapping.local.to_string();
  if (contains(wish_.interface_ips, mapping.external)) {
    return fmt::format(
        "--external-ip {}/{}: {} is this machine's own address and {} is not: the public one "
        "comes first, --external-ip {}/{}",
        external, local, external, local, local, external);
  }
  return fmt::format("--external-ip {}/{}: {} is not a relay address; these are: {}", external,
                     local, local, joined(wish_.relay_ips));
}

// Every relay address that no PUBLIC stands for. One that clients outside can reach needs nothing;
// for the others the STUN servers are asked. A server that nobody outside could use does not start:
// it would hand out addresses that lead nowhere, and every call would fail without a reason.
Mapper::Step Mapper::find_the_others() {
  std::vector<std::string> failures;
  for (const IpAddress& local : wish_.relay_ips) {
    if (mapping_of(local) != nullptr) continue;
    const std::string text = local.to_string();
    if (local.is_loopback()) {
      notice("--external-ip auto: {} is the loopback address: there is nothing to find", text);
      continue;
    }
    if (!is_private(local)) {
      notice("--external-ip auto: {} is a public address of this machine, announced as it is",
             text);
      continue;
    }
    const auto found = find(local);
    if (!found) {
      failures.push_back(
          fmt::format("{}. Or pass --external-ip PUBLIC/{}", found.error().message, text));
      continue;
    }
    if (Step step = add(*found); !step) return step;
  }
  if (failures.empty()) return {};
  const bool of_some_use = std::any_of(wish_.relay_ips.begin(), wish_.relay_ips.end(),
                                       [this](const IpAddress& ip) { return reachable(ip); });
  for (const std::string& failure : failures) {
    if (!of_some_use) {
      return tl::make_unexpected(ExternalAddressError{"--external-ip auto: " + failure, true});
    }
    notice("--external-ip auto: {}", failure);
  }
  return {};
}

Expected<Mapping> Mapper::find(const IpAddress& local) {
  const std::string text = local.to_string();
  if (wish_.config.stun_servers.empty()) return find_in_cloud(local);
  std::string reasons;
  for (const StunServer& server : wish_.config.stun_servers) {
    const auto seen = wish_.ask_stun_server(server, local);
    auto mapping =
        seen ? judge(server, *seen)
             : Expected<Mapping>(failure(server.to_string() + ": " + seen.error().message));
    if (mapping) return mapping;
    reasons += (reasons.empty() ? "" : "; ") + mapping.error().message;
  }
  return failure(
      fmt::format("no STUN server says how {} is seen from outside ({})", text, reasons));
}

// Clouds give a machine one public IPv4 address, mostly, and IPv6 addresses that are public anyway.
Expected<Mapping> Mapper::find_in_cloud(const IpAddress& local) {
  const auto in_question = std::count_if(
      wish_.relay_ips.begin(), wish_.relay_ips.end(),
      [this](const IpAddress& ip) { return ip.is_v4() && !ip.is_loopback() && !reachable(ip); });
  std::string reason = "only IPv4 addresses can be asked for there";
  if (local.is_v4() && in_question > 1) reason = "there is more than one that it could stand for";
  if (local.is_v4() && in_question == 1) {
    const auto said = wish_.ask_cloud();
    if (said && !is_private(said->external) && !said->external.is_any()) {
      notice(
          "--external-ip auto: {} is seen as {}, says the metadata service of this cloud ({}): "
          "clients are given {}",
          local.to_string(), said->external.to_string(), said->cloud, said->external.to_string());
      return Mapping{said->external, local};
    }
    reason = said ? fmt::format("the cloud's metadata service says {}", said->external.to_string())
                  : said.error().message;
  }
  return failure(fmt::format(
      "{} is a private address and {}. Name a STUN server outside that can tell how it is seen, "
      "--external-ip auto:HOST[:PORT]",
      local.to_string(), reason));
}

Expected<Mapping> Mapper::judge(const StunServer& server, const SeenFrom& seen) {
  const IpAddress& external = seen.mapped.ip;
  const IpAddress& local = seen.local.ip;
  if (external == local) {
    return failure(fmt::format("{}: it sees {} itself, so it is inside the same network",
                               server.to_string(), local.to_string()));
  }
  if (external.family() != local.family() || external.is_any() || external.is_loopback()) {
    return failure(fmt::format("{}: it answers {}, which cannot be", server.to_string(),
                               external.to_string()));
  }
  notice("--external-ip auto: {} is seen as {}, says the STUN server {} ({}): clients are given {}",
         local.to_string(), external.to_string(), server.to_string(), seen.server.to_string(),
         external.to_string());
  if (seen.mapped.port != seen.local.port) {
    notice(
        "--external-ip auto: the NAT made port {} of port {}, so it may not be a 1:1 NAT: relayed "
        "addresses are reached only if it forwards UDP ports {}-{} to {} unchanged",
        seen.mapped.port, seen.local.port, wish_.config.min_port, wish_.config.max_port,
        local.to_string());
  }
  return Mapping{external, local};
}

bool Mapper::reachable(const IpAddress& relay) const {
  return mapping_of(relay) != nullptr || !is_private(relay);
}

const Mapping* Mapper::mapping_of(const IpAddress& local) const {
  const auto found = std::find_if(report_.mappings.begin(), report_.mappings.end(),
                                  [&](const Mapping& mapping) { return mapping.local == local; });
  return found == report_.mappings.end() ? nullptr : &*found;
}

}  // namespace

Expected<ExternalAddressReport, ExternalAddressError> map_external_addresses(
    const ExternalAddressWish& wish) {
  return Mapper(wish).run();
}

std::string joined(const std::vector<IpAddress>& ips) {
  std::string text;
  for (const IpAddress& ip : ips) text += (text.empty() ? "" : ", ") + ip.to_string();
  return text;
}

std::vector<IpAddress> of_family(const std::vector<IpAddress>& ips, Family family) {
  std::vector<IpAddress> some;
  std::copy_if(ips.begin(), ips.end(), std::back_inserter(some),
               [family](const IpAddress& ip) { return ip.family() == family; });
  return some;
}

}  // namespace turnpike::server
