// The HTTP API for back ends, below /api/: mint iceServers, sign invitations, see rooms, remove
// members. Everything in it needs an API key. Single thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/time.h"
#include "signaling/http.h"
#include "signaling/hub.h"
#include "signaling/ice_servers.h"
#include "signaling/invitation.h"
#include "signaling/response.h"
#include "signaling/throttle.h"

namespace turnpike::signaling {

class Api {
 public:
  static constexpr seconds kDefaultTtl = Minter::kMaxKeyTtl;
  // Wrong keys from one source prefix: then 429, also for right ones, so that guessing has a price.
  static constexpr Rate kFailureRate{30, seconds(1)};

  struct Parts {
    const std::vector<std::string>& keys;
    const std::string& public_url;
    const Minter& minter;
    const InvitationSigner& signer;
    Hub& hub;
    Random& random;
  };
  explicit Api(Parts parts);

  // `request`'s path begins with "/api/".
  http::Response handle(Tick now, const IpAddress& source, const http::Request& request,
                        HubSink& sink);

 private:
  struct KeyHash {
    Sha256Digest digest;
    std::string id;
  };
  const KeyHash* authorise(const http::Request& request) const;
  http::Response route(Tick now, const http::Request& request, const KeyHash& key, HubSink& sink);
  http::Response mint(Tick now, const http::Request& request, const KeyHash& key);
  http::Response invite(Tick now, const http::Request& request);
  http::Response rooms() const;
  http::Response remove(Tick now, std::string_view rest, HubSink& sink);

  Parts parts_;
  std::vector<KeyHash> keys_;
  SourceThrottle failures_{kFailureRate};
};

// "http://192.0.2.1:3478/call/quiet-otter-42#k=..."
std::string call_link(std::string_view public_url, std::string_view room,
                      std::string_view invitation);

}  // namespace turnpike::signaling
