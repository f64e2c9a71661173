// The inside of signaling::Service: which path is what. Two sources: service.cc (the parts and
// their wiring, the dialects' paths) and service_pages.cc (pages, API, the operator's folder).
// Single thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "signaling/api.h"
#include "signaling/credential_views.h"
#include "signaling/native_endpoint.h"
#include "signaling/service.h"

namespace turnpike::signaling {

class Service::Core final : public Routes {
 public:
  Core(Settings settings, Random& random, Revoke revoke);

  Carrier& carrier() { return carrier_; }
  Audit audit() const;
  std::string example_ice_servers(WallTime now) const;
  std::string room_link(std::string_view room, WallTime now) const;

  // Routes
  void on_request(Tick now, ConnectionHandle connection, const Visit& visit) override;
  http::Response on_file(const http::Request& request, const FileAnswer& answer) override;

 private:
  // --- service_pages.cc ---
  http::Response open_to_sites(Tick now, const Visit& visit);
  std::optional<http::Response> own_page(const http::Request& request) const;
  http::Response config() const;
  void read(ConnectionHandle connection, const http::Request& request);

  const Settings settings_;
  Minter minter_;
  InvitationSigner signer_;
  Carrier carrier_;
  NativeEndpoint native_;
  Api api_;
  CredentialViews views_{api_.desk()};
};

}  // namespace turnpike::signaling
