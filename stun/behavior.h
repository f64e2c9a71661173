// NAT behaviour discovery (RFC 5780): from which of four sockets a Binding response leaves, where
// it goes, and what it tells. Two addresses, each with two ports, make a square:
//
//                 usual port      other port
//   one address   [0][0]  ------  [0][1]        OTHER-ADDRESS is always the opposite corner
//   another       [1][0]  ------  [1][1]
//
// Pure: the corners' numbers are the caller's. Immutable once made; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/expected.h"
#include "stun/attributes.h"
#include "stun/message.h"

namespace turnpike::stun {

class Behavior {
 public:
  struct Corner {
    std::uint16_t listener = 0;  // the caller's number for the socket
    Address local;               // where it is bound
    Address address;             // as clients know it
  };
  using Square = std::array<std::array<Corner, 2>, 2>;  // [address][port]

  void add(const Square& square) { squares_.push_back(square); }
  bool empty() const { return squares_.empty(); }
  // Whether requests that came to this socket can ask for more than their address.
  bool offered_on(std::uint16_t listener) const { return find(listener).has_value(); }

  // Everything about a Binding response but the client's own address.
  struct Answer {
    Corner from;
    Address origin;                        // RESPONSE-ORIGIN
    Address other;                         // OTHER-ADDRESS
    std::optional<std::uint16_t> to_port;  // instead of the one it came from
    std::optional<std::size_t> padding;    // as many bytes of PADDING
  };
  // A longer PADDING is not given back: with it a response fills one packet and begins a second.
  static constexpr std::size_t kMaxPadding = 1500;

  // For a request that came to `listener`, which offers it. kBadRequest: attributes of a wrong
  // size, RESPONSE-PORT together with PADDING (RFC 5780 section 6.1).
  Expected<Answer, ErrorCode> judge(const MessageView& request, std::uint16_t listener) const;

 private:
  struct Place {
    const Square* square;
    std::size_t address, port;
  };
  std::optional<Place> find(std::uint16_t listener) const;

  std::vector<Square> squares_;  // one a family
};

}  // namespace turnpike::stun
