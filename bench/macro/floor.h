// A floor: the least that a server with one relay socket per client does, without being a TURN
// server: no authentication, permissions, lifetimes or limits. Datagrams (and, on TCP, framed
// messages) with a ChannelData header come from clients and leave without it from the client's
// relay socket; what a relay socket gets goes back with the header. turnpike-load --floor speaks to
// it; tools/load/turn_load_session.h has its greeting. Never expose it: it relays for anybody. One
// thread.
#pragma once

#include "tools/load/turn_load_sockets.h"

namespace turnpike::bench {

// The whole program: --listen IP:PORT and --relay-ip IP; runs until SIGTERM.
int run_floor(int argc, char** argv, load::Trains trains);

}  // namespace turnpike::bench
