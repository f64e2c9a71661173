// The inside of signaling::Service: which path is what. Three sources: service.cc (the parts and
// their wiring), service_dialects.cc (what other servers' clients find here) and service_pages.cc
// (pages, API, the operator's folder). Single thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "signaling/api.h"
#include "signaling/assets.h"
#include "signaling/credential_views.h"
#include "signaling/gate.h"
#include "signaling/health.h"
#include "signaling/native_endpoint.h"
#include "signaling/peerjs.h"
#include "signaling/plain.h"
#include "signaling/room_tokens.h"
#include "signaling/scaledrone.h"
#include "signaling/service.h"
#include "signaling/tutorial_events.h"
#include "signaling/ywebrtc.h"

namespace turnpike::signaling {

class Service::Core final : public Routes {
 public:
  Core(Settings settings, Random& random, Revoke revoke);

  Carrier& carrier() { return carrier_; }
  void judge_health_by(HealthCheck check) { health_ = std::move(check); }
  void judge_credentials_by(CredentialJudge judge) { api_.judge_credentials_by(std::move(judge)); }
  void add_annex(Annex annex) { annex_ = std::move(annex); }
  Audit audit() const;
  Findings examine();
  std::size_t conversations();
  void renew(Settings settings);
  std::vector<RoomReport> rooms(std::size_t limit, std::optional<std::string_view> named) const;
  bool kick(std::string_view member) { return native_.kick(member); }
  std::string credentials(std::string_view name, seconds ttl, WallTime now) const;
  void drain(std::optional<seconds> left);
  std::string example_ice_servers(WallTime now) const;
  std::string room_link(std::string_view room, WallTime now) const;

  // Routes
  std::size_t max_body(const http::Request& head) const override;
  void on_request(Tick now, ConnectionHandle connection, const Visit& visit) override;
  http::Response on_file(const http::Request& request, const FileAnswer& answer) override;

 private:
  const RoomTokens& tokens() const {
    return settings_.room_tokens == nullptr ? open_ : *settings_.room_tokens;
  }

  // --- service_dialects.cc ---
  bool on_dialect(Tick now, ConnectionHandle connection, const Visit& visit);
  std::optional<http::Response> client_script(const http::Request& request) const;
  static std::optional<http::Response> missing_client_script(const http::Request& request);

  // --- service_pages.cc ---
  http::Response open_to_sites(Tick now, const Visit& visit);
  std::optional<http::Response> own_page(const http::Request& request) const;
  http::Response config(Tick now, const Visit& visit) const;
  bool is_challenge(const http::Request& request) const;
  void read(ConnectionHandle connection, const http::Request& request);

  Settings settings_;
  const RoomTokens open_;  // where none are asked
  Gate gate_;
  Minter minter_;
  InvitationSigner signer_;
  Carrier carrier_;
  NativeEndpoint native_;
  Api api_;
  CredentialViews views_{api_.desk()};
  TutorialEvents events_;
  PlainRelay plain_;
  ScaleDrone scaledrone_;
  PeerJs peerjs_;
  YWebrtc ywebrtc_;
  Annex annex_ = [](Tick, ConnectionHandle, const Visit&) { return false; };
  bool draining_ = false;
  HealthCheck health_ = [] { return Health(); };
};

}  // namespace turnpike::signaling
