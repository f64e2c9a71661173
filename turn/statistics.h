// What one worker's relay has counted. Written by the worker, read by anyone at any time.
#pragma once

#include <array>
#include <cstddef>

#include "base/counters.h"
#include "turn/authenticator.h"
#include "turn/duration_histogram.h"
#include "turn/message_counters.h"

namespace turnpike::turn {

struct Statistics {
  Counter allocations;  // live now
  Counter allocations_created;
  AllocationCounters by_kind;
  DurationHistogram durations;  // of those that have ended
  MessageCounters messages;
  // By Authenticator::Failure.
  std::array<Counter, Authenticator::kFailures> auth_failures;
  Counter data_connections;  // of TCP allocations: live now
  Counter binding_responses;
  Counter error_responses;
  Counter unauthorized_responses;  // 401 and 438
  Counter replies_throttled;       // not sent: the source prefix has used up its rate
  Counter client_packets_relayed;  // client to peer
  Counter client_bytes_relayed;
  Counter peer_packets_relayed;  // peer to client
  Counter peer_bytes_relayed;
  Counter dropped_malformed;      // garbage, runts, unknown methods, wrong classes
  Counter dropped_no_allocation;  // ChannelData or Send on a path without allocation
  Counter dropped_no_channel;
  Counter dropped_no_permission;  // either direction
  Counter dropped_dead_relay;     // to an address of ours that is no live relayed address
  Counter dropped_over_max_bps;   // either direction; one allocation's limit
  Counter dropped_over_capacity;  // either direction; the limit of the whole server
  Counter icmp_indications;       // clients were told that a datagram was lost
};

}  // namespace turnpike::turn
