// Root is for binding ports below 1024 and nothing else. As root the server continues as the system
// user `turnpike` (created by tools/up and packages) or, where there is none, `nobody`.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "server/plan.h"

namespace turnpike::server {

inline constexpr const char* kSystemUserName = "turnpike";

struct SystemUser {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};
std::optional<SystemUser> find_user(const char* name);

// Of the user that the process is now; the number where it has no name.
std::string current_user_name();

// Call when every listener is bound and every file that needs root was read. A no-op when not root.
Expected<void> drop_privileges(const Plan& plan);

// Whether a uid_map or gid_map (/proc/self/uid_map, user_namespaces(7)) knows this id. Root of a
// namespace that maps nobody else is an ordinary user of the machine: there is nobody to become.
bool id_map_contains(std::string_view map, unsigned long id);

// What the process forbids itself and asks for before it reads anything: files only for itself, no
// new privileges by executing something, as many descriptors as the hard limit allows. Call first.
// A sentence when the limit is low enough to matter.
std::optional<std::string> prepare_process();

// Secrets are in memory: no core dump, no tracing by other processes of the same user.
void forbid_core_dumps();

}  // namespace turnpike::server
