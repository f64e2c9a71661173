#include "server/doctor.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/resource.h>
#include <sys/timex.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "net/sockaddr.h"

namespace turnpike::server {
namespace {

using State = Diagnosis::State;

// What a listening socket asks for (net::UdpListener), and what a busy relay runs out of.
constexpr std::uint64_t kWantedBuffer = 4 << 20;
constexpr std::uint64_t kWantedFiles = 16384;

std::optional<std::uint64_t> number_in(const char* path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

Diagnosis buffer(std::string_view check, std::string_view key, std::optional<std::uint64_t> most,
                 std::string_view loss) {
  if (!most) {
    return {State::kNote, check, fmt::format("{} is not to be seen here: look on the host", key),
            fmt::format("sysctl {}", key)};
  }
  if (*most >= kWantedBuffer) return {State::kGood, check, fmt::format("{} is {}", key, *most), ""};
  return {State::kWarning, check,
          fmt::format("{} is {}, {} is asked for: {}", key, *most, kWantedBuffer, loss),
          fmt::format("sysctl -w {}={}; echo '{}={}' > /etc/sysctl.d/60-turnpike-{}.conf", key,
                      kWantedBuffer, key, kWantedBuffer, check)};
}

Diagnosis clock(std::optional<bool> is_set) {
  constexpr std::string_view kCheck = "clock";
  if (!is_set)
    return {State::kNote, kCheck, "whether the clock is set cannot be seen here", "date"};
  if (*is_set) return {State::kGood, kCheck, "the clock is kept right", ""};
  return {State::kWarning, kCheck,
          "nothing keeps the clock right: credentials that are good for a time would end too early "
          "or too late",
          "timedatectl set-ntp true"};
}

Diagnosis seen_address(const IpAddress& local, const IpAddress& told, const OutsideView& outside) {
  constexpr std::string_view kCheck = "external address";
  const auto seen = outside.ask(*outside.server, local);
  if (!seen) {
    return {State::kWarning, kCheck,
            fmt::format("{} cannot be asked how {} is seen outside: {}",
                        outside.server->to_string(), local.to_string(), seen.error().message),
            "turnpike doctor --stun-server HOST"};
  }
  if (seen->mapped.ip == told) {
    return {State::kGood, kCheck,
            fmt::format("{} sees {} as {}, which is what clients are told",
                        outside.server->to_string(), local.to_string(), told.to_string()),
            ""};
  }
  return {State::kProblem, kCheck,
          fmt::format("clients are told {}, but {} sees {} as {}", told.to_string(),
                      outside.server->to_string(), local.to_string(), seen->mapped.ip.to_string()),
          fmt::format("--external-ip {}/{}", seen->mapped.ip.to_string(), local.to_string())};
}

Diagnosis relay_address(const IpAddress& local, const IpAddress& told, const OutsideView& outside) {
  constexpr std::string_view kCheck = "external address";
  if (outside.server && !local.is_loopback()) return seen_address(local, told, outside);
  if (told.is_loopback()) {
    return {State::kWarning, kCheck,
            fmt::format("relays from {}: for clients on this machine only", told.to_string()),
            "--relay-ip IP"};
  }
  if (is_private(told)) {
    return {State::kProblem, kCheck,
            fmt::format("clients are told {}, a private address that nobody outside can reach",
                        told.to_string()),
            fmt::format("--external-ip PUBLIC/{}, or --external-ip auto[:STUNSERVER]",
                        local.to_string())};
  }
  const std::string as = local == told ? "" : fmt::format(" as {}", told.to_string());
  return {State::kGood, kCheck, fmt::format("relays from {}{}", local.to_string(), as), ""};
}

std::string_view to_word(State state) {
  switch (state) {
    case State::kGood:
      return "ok";
    case State::kNote:
      return "note";
    case State::kWarning:
      return "warning";
    case State::kProblem:
      return "problem";
  }
  return "";
}

std::size_t count(const Diagnoses& diagnoses, State state) {
  return static_cast<std::size_t>(std::count_if(diagnoses.begin(), diagnoses.end(),
                                                [&](const auto& d) { return d.state == state; }));
}

}  // namespace

HostFacts look_at_host() {
  HostFacts facts;
  facts.rmem_max = number_in("/proc/sys/net/core/rmem_max");
  facts.wmem_max = number_in("/proc/sys/net/core/wmem_max");
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) facts.open_files = files.rlim_max;
  timex question{};
  const int state = ::adjtimex(&question);
  if (state >= 0) facts.clock_is_set = state != TIME_ERROR && (question.status & STA_UNSYNC) == 0;
  return facts;
}

Diagnoses examine_host(const HostFacts& facts) {
  Diagnoses found;
  found.push_back(
      buffer("receive buffer", "net.core.rmem_max", facts.rmem_max, "packets of a burst get lost"));
  found.push_back(
      buffer("send buffer", "net.core.wmem_max", facts.wmem_max, "packets of a burst get lost"));
  if (!facts.open_files) {
    found.push_back({State::kNote, "open files", "how many may be open cannot be seen here", ""});
  } else if (*facts.open_files < kWantedFiles) {
    found.push_back({State::kWarning, "open files",
                     fmt::format("{} files may be open at once, and each relayed client takes one "
                                 "or more",
                                 *facts.open_files),
                     "ulimit -Hn 1048576 before the start, or LimitNOFILE=1048576 in the unit"});
  } else {
    found.push_back({State::kGood, "open files", "enough files may be open at once", ""});
  }
  found.push_back(clock(facts.clock_is_set));
  return found;
}

Diagnoses examine_addresses(const Plan& plan, const OutsideView& outside) {
  Diagnoses found;
  std::vector<IpAddress> told;
  for (const IpAddress& local : plan.relay_ips) {
    told.push_back(plan.turn->external.to_external(local));
    found.push_back(relay_address(local, told.back(), outside));
  }
  // A private address beside one that can be reached is an offer that clients pass over.
  const bool reachable = std::any_of(told.begin(), told.end(), [](const IpAddress& ip) {
    return !is_private(ip) && !ip.is_loopback();
  });
  for (Diagnosis& one : found) {
    if (reachable && !outside.server && one.state == State::kProblem) one.state = State::kWarning;
  }
  found.push_back({State::kNote, "relay ports",
                   fmt::format("UDP {}-{} must be open in every firewall and security group on the "
                               "way, which only a client outside can prove",
                               plan.config.min_port, plan.config.max_port),
                   fmt::format("ufw allow {}:{}/udp", plan.config.min_port, plan.config.max_port)});
  const std::string host = public_host(plan);
  if (IpAddress::parse(host)) return found;
  const auto addresses = outside.resolve(host);
  if (!addresses) {
    found.push_back({State::kProblem, "public host", addresses.error().message,
                     fmt::format("add an A or AAAA record for {}", host)});
    return found;
  }
  const bool ours = std::any_of(addresses->begin(), addresses->end(), [&](const IpAddress& ip) {
    return ip == plan.public_ip || std::find(told.begin(), told.end(), ip) != told.end();
  });
  const std::string list = joined(*addresses);
  found.push_back(
      ours ? Diagnosis{State::kGood, "public host", fmt::format("{} leads to {}", host, list), ""}
           : Diagnosis{State::kWarning, "public host",
                       fmt::format("{} leads to {}, which is none of the addresses that clients "
                                   "are told ({})",
                                   host, list, joined(told)),
                       "right if a load balancer is there; else correct the DNS record or pass "
                       "--external-ip"});
  return found;
}

Expected<std::vector<IpAddress>> resolve_name(const std::string& name) {
  addrinfo wish{};
  wish.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  if (const int code = ::getaddrinfo(name.c_str(), nullptr, &wish, &list); code != 0) {
    return failure(fmt::format("{} has no address: {}", name, ::gai_strerror(code)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, &::freeaddrinfo);
  std::vector<IpAddress> found;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    found.push_back(net::from_sockaddr(one->ai_addr).ip);
  }
  return found;
}

std::string to_text(const Diagnoses& diagnoses) {
  std::string text;
  for (const Diagnosis& one : diagnoses) {
    text += fmt::format("{:<8} {}: {}\n", to_word(one.state), one.check, one.sentence);
    if (!one.remedy.empty()) text += fmt::format("{:<8}   -> {}\n", "", one.remedy);
  }
  const auto counted = [](std::size_t number, std::string_view what) {
    return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
  };
  return text + fmt::format("{}, {}\n", counted(count(diagnoses, State::kProblem), "problem"),
                            counted(count(diagnoses, State::kWarning), "warning"));
}

std::string to_json(const Diagnoses& diagnoses) {
  nlohmann::json list = nlohmann::json::array();
  for (const Diagnosis& one : diagnoses) {
    nlohmann::json entry = {
        {"state", to_word(one.state)}, {"check", one.check}, {"sentence", one.sentence}};
    if (!one.remedy.empty()) entry["remedy"] = one.remedy;
    list.push_back(std::move(entry));
  }
  const nlohmann::json report = {{"healthy", !has_problem(diagnoses)},
                                 {"problems", count(diagnoses, State::kProblem)},
                                 {"warnings", count(diagnoses, State::kWarning)},
                                 {"findings", std::move(list)}};
  return report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

bool has_problem(const Diagnoses& diagnoses) { return count(diagnoses, State::kProblem) > 0; }

}  // namespace turnpike::server
