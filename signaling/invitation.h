// An invitation: a signed value that names rooms and an expiry of at most a day. Who holds one gets
// relay credentials in those rooms. It travels in URL fragments, so it is short and URL safe:
//
//   base64url({"e":1767225600,"r":["quiet-otter-42"]}) "." base64url(HMAC-SHA256, first 16 bytes)
//
// Stateless: the signing key is derived from the server's secret. Values only.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/time.h"

namespace turnpike::signaling {

struct Invitation {
  std::vector<std::string> rooms;
  WallTime expires;
  bool admits(std::string_view room) const;
};

class InvitationSigner {
 public:
  static constexpr seconds kMaxLife{86400};
  static constexpr std::size_t kMaxRooms = 16;
  // What `older` secrets signed is accepted as well.
  explicit InvitationSigner(std::string_view server_secret,
                            std::span<const std::string> older = {});
  std::string sign(const Invitation& invitation) const;  // life is cut to kMaxLife by the caller
  // nullopt when malformed, forged or expired, or claiming more than a day.
  std::optional<Invitation> verify(std::string_view text, WallTime now) const;

 private:
  std::vector<Sha256Digest> keys_;  // the first one signs
};

}  // namespace turnpike::signaling
