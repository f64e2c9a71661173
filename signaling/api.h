// The HTTP API, below /api/: mint iceServers, sign invitations, see rooms, remove members. It is
// for back ends, which show an API key; credentials are for guests too (mint_desk.h). Single
// thread.
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/random.h"
#include "base/time.h"
#include "signaling/http.h"
#include "signaling/hub.h"
#include "signaling/ice_servers.h"
#include "signaling/invitation.h"
#include "signaling/mint_desk.h"
#include "signaling/response.h"

namespace turnpike::signaling {

class Api {
 public:
  static constexpr Rate kFailureRate = MintDesk::kFailureRate;

  struct Parts {
    const std::vector<std::string>& keys;
    const std::string& public_url;
    const Minter& minter;
    const InvitationSigner& signer;
    Hub& hub;
    Random& random;
    const RoomTokens* room_tokens = nullptr;
  };
  explicit Api(Parts parts);

  // Service::judge_credentials_by.
  using CredentialJudge = std::function<std::string_view(std::string_view username,
                                                         std::string_view password, WallTime now)>;
  void judge_credentials_by(CredentialJudge judge) { judge_ = std::move(judge); }

  // `request`'s path begins with "/api/".
  http::Response handle(Tick now, const IpAddress& source, const http::Request& request,
                        HubSink& sink);

  // The keys that Parts refers to are others now, and so are the room tokens.
  void renew(const RoomTokens* room_tokens) { desk_.renew(room_tokens); }

  // Where everything else that hands out credentials asks, too.
  MintDesk& desk() { return desk_; }

 private:
  http::Response route(Tick now, const http::Request& request, HubSink& sink);
  http::Response mint(Tick now, const http::Request& request, const Permit& permit);
  http::Response invite(Tick now, const http::Request& request);
  http::Response why(Tick now, const http::Request& request) const;
  http::Response rooms() const;
  http::Response remove(Tick now, std::string_view rest, HubSink& sink);

  Parts parts_;
  MintDesk desk_;
  CredentialJudge judge_ = [](std::string_view, std::string_view, WallTime) { return "elsewhere"; };
};

// What a request shows: `Authorization: Bearer PROOF`, else the first of these query parameters.
// Empty: nothing, or two headers, of which a proxy might see the other one.
std::string bearer_proof(const http::Request& request,
                         std::initializer_list<std::string_view> parameters);

// "http://192.0.2.1:3478/call/quiet-otter-42#k=..."
std::string call_link(std::string_view public_url, std::string_view room,
                      std::string_view invitation);

}  // namespace turnpike::signaling
