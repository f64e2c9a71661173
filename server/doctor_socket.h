// The blocking sockets with which the doctor asks the server that may be running here; each step of
// a conversation gives up after three seconds. Main thread.
#pragma once

#include <optional>

#include "base/address.h"
#include "net/descriptor.h"

namespace turnpike::server {

// Over TCP; nullopt when nobody listens there.
std::optional<net::Descriptor> connect_as_doctor(const Address& address);

// Where a client of this machine reaches what listens there: "any" is loopback.
Address as_client_sees(const Address& listening);

}  // namespace turnpike::server
