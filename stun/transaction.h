// The client's side of a request over UDP: when to send again and when to give up (RFC 8489
// section 6.2.1: RTO doubles from 500 ms, Rc = 7 sends, Rm = 16). Over a stream: one send and a
// time limit of 39.5 s. No I/O: the owner sends when due() says so.
#pragma once

#include "base/time.h"
#include "stun/message.h"

namespace turnpike::stun {

class Transaction {
 public:
  enum class Reliability : std::uint8_t { kUnreliable, kReliable };
  enum class Due : std::uint8_t { kNothing, kSend, kFailed };

  Transaction(MonoTime now, Reliability reliability);
  MonoTime next() const { return next_; }
  // Call at or after next(); kSend means: send the same bytes again.
  Due on_time(MonoTime now);

 private:
  MonoTime next_;
  Duration interval_;
  int sent_ = 1;
  Reliability reliability_;
};

}  // namespace turnpike::stun
