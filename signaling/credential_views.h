// The same credentials as /api/ice in the shapes that other services made known, so that what was
// written for them moves here by changing an address. Views of one MintDesk: whoever may ask there
// may ask here. Single thread.
//
//   GET|POST /turn?service=turn, /?service=turn          the TURN REST draft (Janus)
//   GET|POST /ice                                        a whole RTCConfiguration (STUNner)
//   POST /2010-04-01/Accounts/{sid}/Tokens.json          Twilio
//   POST /v1/turn/keys/{id}/credentials/generate[-ice-servers]   Cloudflare
//   GET /api/v1/turn/credentials?apiKey=                 Metered
#pragma once

#include <string_view>

#include "base/address.h"
#include "base/time.h"
#include "signaling/http.h"
#include "signaling/mint_desk.h"
#include "signaling/response.h"

namespace turnpike::signaling {

class CredentialViews {
 public:
  explicit CredentialViews(MintDesk& desk) : desk_(desk) {}

  static bool handles(const http::Request& request);
  // Of a request that it handles.
  http::Response handle(Tick now, const IpAddress& source, const http::Request& request);

 private:
  struct Asking {
    Tick now;
    const IpAddress& source;
    const http::Request& request;
  };
  http::Response turn_rest(const Asking& asking);
  http::Response configuration(const Asking& asking);
  http::Response twilio(const Asking& asking, std::string_view account);
  enum class CloudflareShape : std::uint8_t { kOne, kList };
  http::Response cloudflare(const Asking& asking, CloudflareShape shape);
  http::Response metered(const Asking& asking);

  MintDesk& desk_;
};

}  // namespace turnpike::signaling
