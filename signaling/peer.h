// A peer is one client's conversation with the hub: its dialect, its pace, and the member it is, if
// it has joined. What carries its bytes (a WebSocket now) belongs to the service. Refer to it by
// handle. Single thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/address.h"
#include "base/slab.h"
#include "base/time.h"
#include "signaling/dialect.h"
#include "signaling/throttle.h"

namespace turnpike::signaling {

struct Member;
class Hub;
class HubSink;

struct Peer {
  const Dialect* dialect = nullptr;
  IpAddress source;
  std::uint64_t carrier = 0;  // the service's handle for what carries the bytes, packed
  Handle<Member> member;      // may be stale: the hub may have ended it
  TokenBucket pace;
  std::uint16_t faults = 0;
  std::uint16_t dropped = 0;  // in a row
};
using PeerHandle = Handle<Peer>;

// Bursts of 200 pass, then 50 a second. A large message counts for several, so that bytes are
// limited with the same bucket.
inline constexpr Rate kMessageRate{200, milliseconds(20)};
inline constexpr std::size_t kBytesPerToken = 16 * 1024;
inline constexpr std::uint16_t kMaxFaults = 32;     // unintelligible messages; then 1008
inline constexpr std::uint16_t kMaxDropped = 1000;  // messages over the rate in a row; then 1008

enum class Verdict : std::uint8_t { kGoOn, kAbuse };

// Answers one message of a client. `handle` and `peer` name the same peer, and the message may end
// it: touch neither afterwards.
Verdict converse(Tick now, PeerHandle handle, Peer& peer, std::string_view text, Hub& hub,
                 HubSink& sink);

}  // namespace turnpike::signaling
