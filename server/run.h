// From a Plan to a running server: binds everything, starts the workers and the hub, drops root,
// says `ready`, and serves until SIGTERM or SIGINT. Blocks the calling (main) thread.
#pragma once

#include "server/plan.h"
#include "server/reload.h"

namespace turnpike::server {

// Answers the process's exit code (ExitCode). Every failure has been logged as one clear sentence.
int run(const Plan& plan, const Origin& origin);

}  // namespace turnpike::server
