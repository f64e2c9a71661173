// `turnpike credentials`: time-limited credentials for people at a terminal and for scripts, minted
// by the same function as those of the HTTP API, with the secret and the URLs of the configuration
// that a server would be started with. Asks no server. Main thread.
#pragma once

#include <string>

#include "base/time.h"
#include "server/plan.h"
#include "server/subcommands.h"

namespace turnpike::server {

struct CredentialsWish {
  static constexpr seconds kMaxTtl{365 * 86400};

  std::string user_id = "cli";
  seconds ttl{86400};
  bool json = false;
};
Expected<CredentialsWish> read_credentials_wish(const SubcommandLine& line);

// What is printed. `secrets` are those that the configuration leaves to the state directory.
Expected<std::string, StartError> credentials_text(Config config, const Machine& machine,
                                                   const GeneratedSecrets& secrets,
                                                   const CredentialsWish& wish, WallTime now);

}  // namespace turnpike::server
