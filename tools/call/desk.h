// Desk: gets calls what lets them in. With a key of the HTTP API these are invitations to their
// rooms (native signaling), or the iceServers themselves (Socket.IO, whose rooms bring none).
// Without a key, or with an invitation from the command line, there is nothing to ask. Owned by the
// run; its thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "tools/call/services.h"
#include "tools/call/signaling.h"

namespace turnpike::call {

// The token of each room that was asked for, in order; the Error says what the answer is instead.
Expected<std::string> parse_invitation(const HttpAnswer& answer);
Expected<std::vector<IceServer>> parse_credentials(const HttpAnswer& answer);

class Desk {
 public:
  struct Pass {
    std::string invitation;
    std::vector<IceServer> servers;
  };
  // Called from the loop, never from inside ask().
  using Done = std::function<void(const Expected<Pass>&)>;

  explicit Desk(const Services& services) : services_(services) {}
  void ask(const std::string& room, Done done);

 private:
  static constexpr std::size_t kMaxRooms = 16;  // of an invitation
  struct Waiting {
    std::string room;
    Done done;
  };
  void send_all();
  void send(std::vector<Waiting> waiting);
  void on_answer(const std::vector<Waiting>& waiting, const HttpAnswer& answer);

  const Services& services_;
  std::vector<Waiting> waiting_;
  std::vector<std::unique_ptr<HttpRequest>> requests_;
  std::string refusal_;  // of the key: nobody else needs to ask
};

}  // namespace turnpike::call
