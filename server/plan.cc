#include "server/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/digest.h"
#include "base/random.h"
#include "server/cloud_metadata.h"
#include "server/cpus.h"
#include "server/external_addresses.h"
#include "server/option_values.h"
#include "server/options.h"
#include "server/stun_question.h"
#include "signaling/room_tokens.h"

namespace turnpike::server {
namespace {

using Step = Expected<void, StartError>;

auto refuse(ExitCode code, std::string message) {
  return tl::make_unexpected(StartError{code, std::move(message)});
}

template <typename T>
bool contains(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

template <typename T>
void add_once(std::vector<T>& list, const T& value) {
  if (!contains(list, value)) list.push_back(value);
}

// Takes the decisions in the order in which they depend on each other.
class Planner {
 public:
  Planner(Config config, const Machine& machine, const GeneratedSecrets& generated,
          const Plan* running)
      : machine_(machine), generated_(generated), running_(running) {
    plan_.notices = std::move(config.notices);
    plan_.config = std::move(config);
  }

  Expected<Plan, StartError> make();

 private:
  const Config& config() const { return plan_.config; }
  template <typename... Args>
  void notice(fmt::format_string<Args...> format, Args&&... args) {
    plan_.notices.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  bool listens_on_all(Family family) const;
  bool listens_on(const IpAddress& ip) const;
  std::vector<IpAddress> interface_ips(Family family) const;

  Step choose_listeners();
  void add_udp(const IpAddress& ip);
  void add_tcp(const IpAddress& ip);
  void add_alternates();
  Step choose_relay_addresses();
  std::vector<IpAddress> relay_ips_of(Family family) const;
  std::vector<IpAddress> external_locals(Family family) const;
  void explain_relay_addresses();
  Step choose_external_addresses();
  void choose_public_ip();
  Step load_certificate();
  void explain_hidden_certificates();
  void explain_certificate();
  void explain_challenges();
  void choose_workers();
  stun::Behavior discovery(const turn::ExternalAddresses& external) const;
  std::string realm() const;
  turn::Credentials::Source credentials() const;
  void settle_limits(turn::Settings& settings) const;
  void settle_turn();
  Step settle_users();
  void settle_signaling();
  std::vector<IpAddress> own_addresses() const;
  void warn_of_open_doors();
  std::vector<std::string> shared_secrets() const;

  const Machine& machine_;
  const GeneratedSecrets& generated_;
  const Plan* const running_;  // nullptr: this is the start
  Plan plan_;
  std::vector<turn::ExternalAddresses::Mapping> mappings_;
  std::vector<std::array<IpAddress, 2>> discovery_ips_;
};

Expected<Plan, StartError> Planner::make() {
  Step step = choose_listeners();
  if (step) step = choose_relay_addresses();
  if (step) step = choose_external_addresses();
  if (step) step = load_certificate();
  if (!step) return unexpected(std::move(step.error()));
  explain_relay_addresses();
  choose_public_ip();
  explain_certificate();
  explain_challenges();
  choose_workers();
  warn_of_open_doors();
  settle_turn();
  if (step = settle_users(); !step) return unexpected(std::move(step.error()));
  settle_signaling();
  return std::move(plan_);
}

bool Planner::listens_on_all(Family family) const {
  return config().listening_ips.empty() || contains(config().listening_ips, IpAddress::any(family));
}

bool Planner::listens_on(const IpAddress& ip) const {
  return listens_on_all(ip.family()) || contains(config().listening_ips, ip);
}

// Link-local IPv6 addresses need a scope that a URL cannot carry.
std::vector<IpAddress> Planner::interface_ips(Family family) const {
  std::vector<IpAddress> ips;
  for (const net::InterfaceAddress& address : machine_.interfaces) {
    const bool scoped = address.link_local && !address.ip.is_v4();
    if (address.ip.family() == family && !scoped) add_once(ips, address.ip);
  }
  return ips;
}

// UDP gets a socket for each local address, so that an answer leaves from the address that was
// asked; a TCP connection knows its own, so one socket per family is enough.
Step Planner::choose_listeners() {
  for (const Family family : {Family::kIPv4, Family::kIPv6}) {
    const bool available = family == Family::kIPv4 ? machine_.has_v4 : machine_.has_v6;
    const std::string_view name = family == Family::kIPv4 ? "IPv4" : "IPv6";
    if (!listens_on_all(family)) continue;
    if (!available) {
      notice("this machine has no {}: serving without it", name);
      continue;
    }
    const auto ips = interface_ips(family);
    if (ips.empty()) notice("no interface has an {} address: serving without it", name);
    for (const IpAddress& ip : ips) add_udp(ip);
    if (!ips.empty()) add_tcp(IpAddress::any(family));
  }
  for (const IpAddress& ip : config().listening_ips) {
    if (listens_on_all(ip.family())) continue;
    add_udp(ip);
    add_tcp(ip);
  }
  if (plan_.udp.empty() && plan_.dtls.empty() && plan_.tcp.empty()) {
    return refuse(kExitCannotListen,
                  "no network interface has an address: bring one up (ip link set lo up) or pass "
                  "--listening-ip");
  }
  if (config().rfc5780) add_alternates();
  return {};
}

// RFC 5780 section 6 wants two addresses of one family; those of loopback serve when there are no
// others, so that it can be tried.
void Planner::add_alternates() {
  for (const Family family : {Family::kIPv4, Family::kIPv6}) {
    std::vector<IpAddress> ips;
    for (const Address& address : plan_.udp) {
      if (address.family() == family) ips.push_back(address.ip);
    }
    const auto loopback = [](const IpAddress& ip) { return ip.is_loopback(); };
    if (!std::all_of(ips.begin(), ips.end(), loopback)) std::erase_if(ips, loopback);
    if (ips.size() < 2) continue;
    discovery_ips_.push_back({ips[0], ips[1]});
  }
  for (const auto& pair : discovery_ips_) {
    for (const IpAddress& ip : pair) add_once(plan_.udp, {ip, alternate_port(config())});
  }
  if (discovery_ips_.empty()) {
    notice("--rfc5780 does nothing here: it needs two addresses of one family to listen on");
  }
}

stun::Behavior Planner::discovery(const turn::ExternalAddresses& external) const {
  stun::Behavior behavior;
  for (const auto& pair : discovery_ips_) {
    stun::Behavior::Square square;
    for (const std::size_t i : {0, 1}) {
      for (const std::size_t j : {0, 1}) {
        const Address local{pair[i], j == 0 ? config().listening_port : alternate_port(config())};
        const auto at = std::find(plan_.udp.begin(), plan_.udp.end(), local) - plan_.udp.begin();
        const Address seen{external.to_external(local.ip), local.port};
        square[i][j] = {static_cast<std::uint16_t>(at), local, seen};
      }
    }
    behavior.add(square);
  }
  return behavior;
}

// DTLS is told apart on the listening port by its first byte (RFC 7983), and has the TLS port's
// number to itself (RFC 7350 section 3).
void Planner::add_udp(const IpAddress& ip) {
  if (config().udp) add_once(plan_.udp, {ip, config().listening_port});
  if (config().dtls && config().tls_listening_port != 0) {
    add_once(plan_.dtls, {ip, config().tls_listening_port});
  }
}

void Planner::add_tcp(const IpAddress& ip) {
  const auto add = [&](std::uint16_t port, PortKind kind) {
    const bool known =
        port != 0 && std::any_of(plan_.tcp.begin(), plan_.tcp.end(), [&](const auto& other) {
          return other.address == Address{ip, port};
        });
    if (!known) plan_.tcp.push_back({{ip, port}, kind});
  };
  if (config().tcp) add(config().listening_port, PortKind::kAny);
  const bool tls =
      config().tls && !config().certificate_files.empty() && config().tls_listening_port != 0;
  if (tls) add(config().tls_listening_port, PortKind::kTlsOnly);
  for (const std::uint16_t port : config().http_ports) add(port, PortKind::kHttp);
  for (const std::uint16_t port : config().proxy_ports) add(port, PortKind::kProxied);
}

Step Planner::choose_relay_addresses() {
  if (config().relay_ips.empty()) {
    for (const Family family : {Family::kIPv4, Family::kIPv6}) {
      for (const IpAddress& ip : relay_ips_of(family)) add_once(plan_.relay_ips, ip);
    }
  }
  for (const IpAddress& ip : config().relay_ips) {
    if (ip.is_any()) {
      return refuse(kExitUsage, fmt::format("--relay-ip {}: expected an address of this machine, "
                                            "not the wildcard",
                                            ip.to_string()));
    }
    add_once(plan_.relay_ips, ip);
  }
  if (plan_.relay_ips.empty()) {
    return refuse(kExitCannotListen, "there is no address to relay from: pass --relay-ip");
  }
  return {};
}

// Without --relay-ip: what --external-ip names as private, else the listening addresses that were
// given, else the one that routes outward. Offline, the loopback address lets two tabs of the same
// machine try it.
std::vector<IpAddress> Planner::relay_ips_of(Family family) const {
  if (auto locals = external_locals(family); !locals.empty()) return locals;
  if (!listens_on_all(family)) {
    auto given = of_family(config().listening_ips, family);
    std::erase_if(given, [](const IpAddress& ip) { return ip.is_loopback(); });
    if (!given.empty()) return given;
  }
  const bool v4 = family == Family::kIPv4;
  if (const auto& outward = v4 ? machine_.outward_v4 : machine_.outward_v6) return {*outward};
  const auto ips = interface_ips(family);
  for (const IpAddress& ip : ips) {
    if (!ip.is_loopback()) return {ip};
  }
  const bool offline = std::all_of(plan_.relay_ips.begin(), plan_.relay_ips.end(),
                                   [](const IpAddress& ip) { return ip.is_loopback(); });
  if (ips.empty() || !offline) return {};
  return {ips.front()};
}

std::vector<IpAddress> Planner::external_locals(Family family) const {
  std::vector<IpAddress> locals;
  for (const ExternalIp& mapping : config().external_ips) {
    if (mapping.local && mapping.local->family() == family) add_once(locals, *mapping.local);
  }
  return locals;
}

Step Planner::choose_external_addresses() {
  if (running_ != nullptr) {
    for (const IpAddress& ip : running_->relay_ips) {
      const IpAddress external = running_->turn->external.to_external(ip);
      if (external != ip) mappings_.push_back({external, ip});
    }
    return {};
  }
  std::vector<IpAddress> own;
  for (const net::InterfaceAddress& address : machine_.interfaces) add_once(own, address.ip);
  auto found = map_external_addresses(
      {config(), plan_.relay_ips, own, machine_.ask_stun_server, machine_.ask_cloud});
  if (!found) {
    const bool options_are_right = found.error().nothing_found;
    return refuse(options_are_right ? kExitCannotListen : kExitUsage,
                  std::move(found.error().message));
  }
  mappings_ = std::move(found->mappings);
  std::move(found->notices.begin(), found->notices.end(), std::back_inserter(plan_.notices));
  return {};
}

void Planner::explain_relay_addresses() {
  if (config().relay_ips.empty()) {
    notice("relaying from {}; if that is wrong, pass --relay-ip", joined(plan_.relay_ips));
  }
  const bool offline = std::all_of(plan_.relay_ips.begin(), plan_.relay_ips.end(),
                                   [](const IpAddress& ip) { return ip.is_loopback(); });
  if (offline) {
    notice(
        "only clients on this machine can use a relay on the loopback address: pass --relay-ip "
        "once there is a network");
  }
  for (const IpAddress& ip : plan_.relay_ips) {
    const bool mapped = std::any_of(mappings_.begin(), mappings_.end(),
                                    [&](const auto& mapping) { return mapping.local == ip; });
    if (mapped || !is_private(ip) || config().find_external_ips) continue;
    notice(
        "{} is a private address, which clients outside this network cannot reach: behind a "
        "cloud's NAT pass --external-ip PUBLIC/{}, or --external-ip auto to ask the cloud, or "
        "--external-ip auto:STUNSERVER to ask a STUN server outside",
        ip.to_string(), ip.to_string());
  }
}

void Planner::choose_public_ip() {
  const auto set = [this](const IpAddress& seen, const IpAddress& local) {
    plan_.public_ip = seen;
    plan_.local_ip = local;
  };
  if (!mappings_.empty()) {
    const auto listened = std::find_if(mappings_.begin(), mappings_.end(),
                                       [this](const auto& m) { return listens_on(m.local); });
    const auto& chosen = listened == mappings_.end() ? mappings_.front() : *listened;
    return set(chosen.external, chosen.local);
  }
  if (machine_.outward_v4 && listens_on(*machine_.outward_v4)) {
    return set(*machine_.outward_v4, *machine_.outward_v4);
  }
  for (const IpAddress& ip : config().listening_ips) {
    if (!ip.is_any() && !ip.is_loopback()) return set(ip, ip);
  }
  for (const auto& outward : {machine_.outward_v6, std::optional(plan_.relay_ips.front())}) {
    if (outward && listens_on(*outward)) return set(*outward, *outward);
  }
  const IpAddress first = !plan_.udp.empty()    ? plan_.udp.front().ip
                          : !plan_.dtls.empty() ? plan_.dtls.front().ip
                                                : plan_.tcp.front().address.ip;
  set(first, first);
}

Step Planner::load_certificate() {
  if (config().certificate_files.empty()) return {};
  const auto files = certificate_pairs(config());
  if (config().tls) {
    auto tls = net::TlsContext::load_all(files);
    if (!tls) return refuse(kExitCertificate, tls.error().message);
    plan_.tls = std::move(*tls);
  }
  if (!config().dtls) return {};
  auto dtls = net::TlsContext::load_all(files, net::TlsContext::Kind::kDtls);
  if (!dtls) return refuse(kExitCertificate, dtls.error().message);
  plan_.dtls_context = std::move(*dtls);
  return {};
}

// The first one is for everybody else; any other has to be asked for.
void Planner::explain_hidden_certificates() {
  if (!plan_.certificates()) return;
  const auto& certificates = plan_.certificates()->certificates();
  net::ServerNames names;
  for (std::size_t i = 0; i < certificates.size(); ++i) {
    bool is_reached = i == 0;
    for (const std::string& name : certificates[i].names) {
      names.add(name, i);
      if (names.find(name) == i) {
        is_reached = true;
      } else {
        notice("{} has the name {} of a certificate before it, which is what clients get",
               config().certificate_files[i], name);
      }
    }
    if (!is_reached) notice("no client gets the certificate {}", config().certificate_files[i]);
  }
}

void Planner::explain_certificate() {
  explain_hidden_certificates();
  if (!plan_.tls) {
    if (!config().tls) return notice("--no-tls: there is no turns: URL and no https page");
    notice(
        "no certificate: no TLS, no turns: URL, and browsers give cameras to https pages only; "
        "pass --cert FILE --pkey FILE --public-host NAME");
    return;
  }
  const bool is_name = !IpAddress::parse(public_host(plan_));
  if (certificate_matches(plan_)) {
    if (!is_name) notice("browsers refuse turns: with an address: pass --public-host NAME");
    return;
  }
  const auto names = plan_.tls->host_names();
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  notice(
      "the certificate is for {}, not for {}: links stay http and turns: URLs are left out; "
      "pass --public-host with a name of the certificate",
      list.empty() ? "no host name" : list, public_host(plan_));
}

void Planner::choose_workers() {
  const std::uint32_t wished = config().workers == 0 ? machine_.cpus : config().workers;
  plan_.workers = std::clamp<std::uint32_t>(wished, 1, kMaxWorkers);
}

// RFC 8555 section 8.3: the port is fixed.
void Planner::explain_challenges() {
  if (config().acme_webroot.empty() || contains(config().http_ports, std::uint16_t{80}) ||
      config().listening_port == 80) {
    return;
  }
  notice(
      "--acme-webroot: certificate authorities ask port 80, which is not open here: pass "
      "--http-port 80, unless something else leads to port {}",
      config().listening_port);
}

void Planner::warn_of_open_doors() {
  if (config().logging.syslog && !config().logging.file.empty()) {
    notice("--log-file {} stays as it is: --syslog takes the log", config().logging.file);
  }
  for (const Family family : {Family::kIPv4, Family::kIPv6}) {
    const IpAddress loopback = IpAddress::loopback(family);
    const auto opens = [&](const IpRange& range) { return range.contains(loopback); };
    if (std::any_of(config().allowed_peers.begin(), config().allowed_peers.end(), opens)) {
      notice(
          "--allowed-peer-ip contains {}: every client can reach the services of this machine "
          "that listen only for itself",
          loopback.to_string());
    }
  }
}

std::vector<std::string> Planner::shared_secrets() const {
  if (!config().shared_secrets.empty()) return config().shared_secrets;
  return {generated_.shared_secret};
}

std::string Planner::realm() const {
  if (!config().realm.empty()) return config().realm;
  const std::string& host = config().public_host;
  return !host.empty() && host.size() <= kMaxRealm ? host : "turnpike";
}

turn::Credentials::Source Planner::credentials() const {
  turn::Credentials::Source source;
  source.realm = realm();
  source.users = config().users;
  source.shared_secrets = shared_secrets();
  source.separator = config().rest_separator;
  source.announce_userhash = !config().users.empty() && config().shared_secrets.empty() &&
                             config().turn_jwt_secrets.empty() && !config().auth_hook;
  source.offer_algorithms = !config().auth_hook;
  return source;
}

void Planner::settle_limits(turn::Settings& settings) const {
  settings.max_permissions = config().max_permissions;
  settings.max_channels = config().max_channels;
  settings.max_bps = config().max_bps;
  settings.max_lifetime = seconds(config().max_allocate_lifetime);
  settings.default_lifetime = std::min(settings.default_lifetime, settings.max_lifetime);
  settings.permission_lifetime = seconds(config().permission_lifetime);
  settings.channel_lifetime = seconds(config().channel_lifetime);
  // The kernel spreads the flows of one prefix over the workers; each enforces its share.
  const std::uint32_t rate = config().unauthorized_replies_per_second;
  const auto share = [this](std::uint32_t whole) {
    return (whole + plan_.workers - 1) / plan_.workers;
  };
  settings.unauthorized_replies_per_second = share(rate);
  settings.unauthorized_burst = share(2 * rate);
}

void Planner::settle_turn() {
  auto settings = std::make_shared<turn::Settings>(credentials());
  if (config().oauth) {
    settings->token_keys = turn::TokenKeys(
        config().server_name.empty() ? realm() : config().server_name, config().token_keys);
  }
  settings->nonce_lifetime = seconds(config().nonce_seconds);
  if (config().send_software) settings->software = "Turnpike";
  settings->always_fingerprint = config().always_fingerprint;
  settings->binding_needs_credentials = config().secure_stun;
  settings->classic_binding = config().classic_stun;
  settings->strict_expiry = config().strict_expiry;
  settings->alternate_servers = config().alternate_servers;
  settings->peers =
      turn::PeerPolicy({config().allowed_peers, config().denied_peers, own_addresses()});
  settings->mobility = config().mobility;
  settings->tcp_relay = config().tcp_relay;
  settings->allowed_low_tcp_ports = config().allowed_tcp_peer_ports;
  if (config().rfc5766_channel_numbers) settings->last_channel_number = 0x7FFF;
  settle_limits(*settings);
  if (running_ != nullptr) {
    const turn::Settings& before = *running_->turn;
    settings->external = before.external;
    settings->behavior = before.behavior;
    settings->relay_ips = before.relay_ips;
    settings->nonce_key = before.nonce_key;
    settings->ticket_key = before.ticket_key;
  } else {
    settings->external = turn::ExternalAddresses(mappings_);
    settings->behavior = discovery(settings->external);
    settings->relay_ips = plan_.relay_ips;
    // One key for all workers that a restart knows again, and that says nothing of the secret.
    settings->nonce_key = hmac_sha256(as_bytes(std::string_view(shared_secrets().front())),
                                      {as_bytes(std::string_view("turnpike nonce key"))});
    SystemRandom().fill(settings->ticket_key);
  }
  plan_.turn = std::move(settings);
}

// Users that are not configured: holders of tokens, and those whom a service knows.
Step Planner::settle_users() {
  if (!config().turn_jwt_secrets.empty()) {
    // Every secret was tried when the option was read.
    auto keys = signaling::JwtKeys::make(config().turn_jwt_secrets);
    CHECK(keys);
    plan_.turn_jwt = std::make_shared<const signaling::JwtKeys>(std::move(*keys));
  }
  if (!config().auth_hook) return {};
  HookClient::Settings hook;
  hook.url = *config().auth_hook;
  hook.token = config().auth_hook_token;
  hook.realm = plan_.turn->credentials.realm();
  hook.timeout = seconds(config().auth_hook_timeout);
  if (hook.url.tls) {
    auto tls = net::TlsClientContext::load(config().auth_hook_ca);
    if (!tls) return refuse(kExitCertificate, "--auth-hook-ca: " + tls.error().message);
    hook.tls = std::move(*tls);
  } else {
    const auto ip = IpAddress::parse(hook.url.host);
    if (hook.url.host != "localhost" && !(ip && ip->is_loopback())) {
      notice("--auth-hook: passwords come from {} unencrypted: use https", hook.url.host);
    }
  }
  plan_.auth_hook = std::move(hook);
  return {};
}

std::vector<IpAddress> Planner::own_addresses() const {
  std::vector<IpAddress> own;
  for (const net::InterfaceAddress& address : machine_.interfaces) add_once(own, address.ip);
  for (const IpAddress& ip : config().listening_ips) {
    if (!ip.is_any()) add_once(own, ip);
  }
  for (const IpAddress& ip : plan_.relay_ips) add_once(own, ip);
  for (const auto& mapping : mappings_) add_once(own, mapping.external);
  return own;
}

void Planner::settle_signaling() {
  signaling::Settings& settings = plan_.signaling;
  settings.version = std::string(version());
  settings.secret = shared_secrets().front();
  for (const std::string& older : shared_secrets()) {
    if (older != settings.secret) settings.older_secrets.push_back(older);
  }
  settings.api_keys = config().api_keys;
  if (settings.api_keys.empty()) {
    settings.api_keys.push_back(generated_.api_key);
    plan_.api_key_file = generated_.api_key_file;
  }
  settings.open_rooms = config().open_rooms;
  settings.serve_static = !config().static_dir.empty();
  settings.serve_challenges = !config().acme_webroot.empty();
  settings.allowed_origins = config().allowed_origins;
  settings.trusted_proxies = config().trusted_proxies;
  settings.lobby_size = config().lobby_size;
  // Every key was tried when the option was read.
  auto tokens = signaling::RoomTokens::make({config().room_jwt_keys, config().room_passwords});
  CHECK(tokens);
  settings.room_tokens = std::make_shared<const signaling::RoomTokens>(std::move(*tokens));
}

}  // namespace

Expected<Plan, StartError> make_plan(Config config, const Machine& machine,
                                     const GeneratedSecrets& generated, const Plan* running) {
  return Planner(std::move(config), machine, generated, running).make();
}

std::vector<net::TlsContext::Files> certificate_pairs(const Config& config) {
  std::vector<net::TlsContext::Files> pairs;
  const std::size_t count = std::min(config.certificate_files.size(), config.key_files.size());
  for (std::size_t i = 0; i < count; ++i) {
    pairs.push_back({config.certificate_files[i], config.key_files[i]});
  }
  return pairs;
}

Machine look_at_machine() {
  Machine machine;
  machine.interfaces = net::interface_addresses();
  machine.outward_v4 = net::outward_address(Family::kIPv4);
  machine.outward_v6 = net::outward_address(Family::kIPv6);
  machine.has_v4 = net::family_available(Family::kIPv4);
  machine.has_v6 = net::family_available(Family::kIPv6);
  machine.cpus = usable_cpus();
  machine.ask_stun_server = ask_stun_server;
  machine.ask_cloud = ask_cloud;
  return machine;
}

}  // namespace turnpike::server
