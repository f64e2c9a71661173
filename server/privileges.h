// Root is for binding ports below 1024 and nothing else. As root the server continues as the system
// user `turnpike` (created by tools/up and packages) or, where there is none, `nobody`.
#pragma once

#include "base/expected.h"
#include "server/plan.h"

namespace turnpike::server {

// Call when every listener is bound and every file that needs root was read. A no-op when not root.
Expected<void> drop_privileges(const Plan& plan);

}  // namespace turnpike::server
