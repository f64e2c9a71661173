// Reload: what of a configuration that is read anew takes effect while the server runs, and the
// plan that comes of it. Nothing is applied here: the caller does, once everything has been found
// good. Main thread.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "server/plan.h"

namespace turnpike::server {

// Where the configuration of this process comes from: asked again for each reload.
struct Origin {
  std::function<Expected<Config>()> read;
  std::function<Expected<GeneratedSecrets, StartError>(const Config&)> generated;
  Machine machine;  // as it was at the start
};

// Settings (Option::setting) that take effect at a reload; all others need a restart.
std::span<const std::string_view> reloadable_settings();

// Puts back what cannot change while the server runs, and names the options that wished it.
std::vector<std::string_view> keep_what_cannot_change(const Config& running, Config& wished);

struct Reloaded {
  Plan plan;
  std::vector<std::string_view> need_restart;  // options
};
// The Error says which option or file is wrong, and how.
Expected<Reloaded> plan_again(const Plan& running, const Origin& origin);

// The running plan with the certificates that stand in its files now. Those that cannot be used
// stay as they were, each for the reason that is given.
struct Renewal {
  Plan plan;
  std::vector<std::string> failures;
};
Renewal with_new_certificates(const Plan& running);

}  // namespace turnpike::server
