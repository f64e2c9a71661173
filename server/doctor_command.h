// `turnpike doctor` from its options to its exit code: 0, or 1 where there is a problem. Main
// thread.
#pragma once

#include "base/expected.h"
#include "server/options.h"
#include "server/subcommands.h"

namespace turnpike::server {

// A configuration that cannot be read is a finding like others.
int run_doctor(const SubcommandLine& line, Expected<Invocation> invocation);

}  // namespace turnpike::server
