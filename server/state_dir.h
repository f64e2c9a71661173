// The state directory: where secrets that the server made itself live, so that a restart knows
// them.
//
//   secret   256 random bits in base64url, mode 0600: signs credentials and invitations
//   api-key  the same, for back ends that ask /api/ice
//
// Files appear whole or not at all, and of two instances that start at once the second finds what
// the first one made. Main thread, at start only; as root before privileges are dropped.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/expected.h"
#include "base/random.h"
#include "net/descriptor.h"
#include "server/plan.h"
#include "server/privileges.h"

namespace turnpike::server {

// Who asks, so that tests can be anybody.
struct Caller {
  uid_t uid = 0;
  std::string user_name;
  std::string home;            // of the environment, else of the user database
  std::string xdg_state_home;  // of the environment; empty: not set
  std::optional<SystemUser> system_user;
};
Caller current_caller();

// Where the state directory is: `wished` if not empty, /var/lib/turnpike for root and the system
// user, else $XDG_STATE_HOME/turnpike, else ~/.local/state/turnpike.
Expected<std::string> choose_state_dir(const std::string& wished, const Caller& caller);

class StateDir {
 public:
  // Creates the folder (0700) and those above it where they are missing. As root, what is created
  // is given to the system user if there is one, so that later starts as that user find it.
  static Expected<StateDir> open(const std::string& path, const Caller& caller);
  // nullopt: there is no such folder. Changes nothing, and believes the folder's owner.
  static Expected<std::optional<StateDir>> open_existing(const std::string& path);

  // The secret of that name, made at the first call ever. Refuses one that others may read.
  Expected<std::string> secret(const std::string& name, Random& random) const;
  // nullopt: it was never made.
  Expected<std::optional<std::string>> read(const std::string& name) const;
  std::string path_of(const std::string& name) const { return path_ + "/" + name; }

 private:
  StateDir(std::string path, net::Descriptor folder, std::optional<SystemUser> heir)
      : path_(std::move(path)), folder_(std::move(folder)), heir_(std::move(heir)) {}
  Expected<void> create(const std::string& name, const std::string& text, Random& random) const;
  Expected<void> publish(const std::string& draft, const std::string& name) const;

  std::string path_;
  net::Descriptor folder_;
  std::optional<SystemUser> heir_;  // who owns what is here, besides root and the caller
};

// What this configuration leaves to be generated; the directory is not touched when nothing is.
Expected<GeneratedSecrets> generated_secrets(const Config& config, const Caller& caller,
                                             Random& random);

// The same for a question about a server, which makes nothing: what does not exist is empty.
Expected<GeneratedSecrets> existing_secrets(const Config& config, const Caller& caller);

}  // namespace turnpike::server
