// EchoDesk: where the echo endpoint meets the rooms. In the room "echo" a built-in member is
// present once for each guest: guests do not see each other there, each one talks to an echo of its
// own. The hub tells the desk who comes, what they say and who goes; what the desk has to say waits
// until the hub's time comes, so nothing is ever called from inside a call. Implemented by server/,
// and by tests; the hub's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/time.h"

namespace turnpike::signaling {

inline constexpr std::string_view kEchoRoom = "echo";
inline constexpr std::string_view kEchoId = "echo";  // members are called m-...: nobody else's id
inline constexpr std::string_view kEchoName = "Echo";

class EchoDesk {
 public:
  // The member that an echo is for. Never used twice.
  using Guest = std::uint64_t;

  virtual ~EchoDesk() = default;

  // Asked once for each who wants in: why nobody from there can have an echo now, a constant
  // sentence.
  virtual std::optional<std::string_view> refusal(const IpAddress& source) = 0;
  // Right after refusal() had nothing to say. on_gone() ends it, unless the desk itself did.
  virtual void on_guest(Tick now, Guest guest, const IpAddress& source) = 0;
  // What the guest sent to its echo; JSON text, checked.
  virtual void on_message(Tick now, Guest guest, std::string_view data) = 0;
  virtual void on_gone(Tick now, Guest guest) = 0;

  struct Word {
    Guest guest = 0;
    std::string data;     // JSON text; empty: nothing to say
    bool leaves = false;  // and with that the echo leaves the room
  };
  // Asked whenever the hub has time, until it answers nothing.
  virtual std::optional<Word> next_word() = 0;
  virtual bool has_word() const = 0;
};

}  // namespace turnpike::signaling
