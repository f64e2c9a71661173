// The gate: what all doors to rooms share, whatever is spoken behind them. It judges room tokens,
// and stops listening to sources that show too many wrong ones; and it counts the rooms that each
// source has opened, in all dialects together. Outlives the endpoints. Single thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/address.h"
#include "base/expected.h"
#include "base/time.h"
#include "signaling/room_tokens.h"
#include "signaling/source_shares.h"
#include "signaling/throttle.h"

namespace turnpike::signaling {

class Gate {
 public:
  // Wrong tokens of one source prefix. Then none of its tokens is looked at, or guessing would go
  // on; whoever is in stays in. A class of thirty that mistypes twice passes.
  static constexpr Rate kWrongTokens{60, seconds(2)};
  // Rooms, topics and lobbies that one source prefix has opened and that are not empty yet: a
  // quarter of what each dialect has.
  static constexpr std::uint32_t kRoomsPerSource = 4096;

  explicit Gate(const RoomTokens& tokens, std::uint32_t rooms_per_source = kRoomsPerSource)
      : tokens_(&tokens), rooms_(rooms_per_source) {}

  // From now on; whoever is in stays in.
  void use(const RoomTokens& tokens) { tokens_ = &tokens; }

  // False: every room is open and nobody needs a token.
  bool asks() const { return tokens_->required(); }
  Expected<RoomGrant, TokenFault> judge(Tick now, const IpAddress& source, std::string_view token) {
    if (!asks() || token.empty()) return tokens_->judge(token, now.wall);
    if (!guesses_.has_token(now.mono, source)) return unexpected(TokenFault::kTooManyWrong);
    auto grant = tokens_->judge(token, now.wall);
    // What is signed is no guess, even when it is too late or too early.
    if (!grant && (grant.error() == TokenFault::kMalformed || grant.error() == TokenFault::kForged))
      guesses_.take(now.mono, source);
    return grant;
  }

  SourceShares& rooms() { return rooms_; }

 private:
  const RoomTokens* tokens_;
  SourceThrottle guesses_{kWrongTokens};
  SourceShares rooms_;
};

}  // namespace turnpike::signaling
