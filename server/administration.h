// What the operator's socket (admin_port.h) is connected with. Main loop's thread.
#pragma once

#include <memory>
#include <string>

#include "base/expected.h"
#include "net/unix_listener.h"
#include "server/admin_port.h"
#include "server/life_cycle.h"
#include "server/plan.h"
#include "server/runtime.h"

namespace turnpike::server {

// The socket of --admin-socket, else the one in the folder that systemd made for us
// (RUNTIME_DIRECTORY), else null. One that nobody asked for may fail to open.
Expected<std::unique_ptr<net::UnixListener>> open_admin_socket(const Config& config);

// Both outlive the port that these hooks are for.
AdminPort::Hooks admin_hooks(Runtime& runtime, LifeCycle& life);

}  // namespace turnpike::server
