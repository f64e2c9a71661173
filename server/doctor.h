// `turnpike doctor`: looks at this machine with the eyes of the configuration that a server would
// be started with, while one runs or before the first one does, and says for everything that is
// wrong what mends it. Opens ports for a moment to see whether they are free, asks the server on
// them for an answer, and sends nothing outside but what --stun-server and DNS need. Main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "server/external_addresses.h"
#include "server/plan.h"

namespace turnpike::server {

struct Diagnosis {
  enum class State : std::uint8_t { kGood, kNote, kWarning, kProblem };
  State state = State::kGood;
  std::string_view check;  // "clock": the same words for those who read them by program
  std::string sentence;
  std::string remedy;  // a command to paste or an option to pass; empty: nothing to do
};
using Diagnoses = std::vector<Diagnosis>;

// What the kernel says of itself; nullopt where it does not say it, as in many containers.
struct HostFacts {
  std::optional<std::uint64_t> rmem_max;
  std::optional<std::uint64_t> wmem_max;
  std::optional<std::uint64_t> open_files;  // the hard limit
  std::optional<bool> clock_is_set;         // by NTP or something of the kind
};
HostFacts look_at_host();
Diagnoses examine_host(const HostFacts& facts);

// Who the world thinks that we are. Without a server to ask only what can be seen from here.
struct OutsideView {
  std::optional<StunServer> server;
  AskStunServer ask;
  // The addresses of a name.
  std::function<Expected<std::vector<IpAddress>>(const std::string&)> resolve;
};
Diagnoses examine_addresses(const Plan& plan, const OutsideView& outside);
Expected<std::vector<IpAddress>> resolve_name(const std::string& name);

// Whether each port is free, in use by a server that answers, or by somebody else.
Diagnoses examine_ports(const Plan& plan);

// The certificate as browsers see it: in the file, and on the port of a server that runs.
Diagnoses examine_certificate(const Plan& plan, WallTime now);

// A line for each, and one below with its remedy.
std::string to_text(const Diagnoses& diagnoses);
std::string to_json(const Diagnoses& diagnoses);
bool has_problem(const Diagnoses& diagnoses);

}  // namespace turnpike::server
