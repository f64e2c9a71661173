#include "signaling/service.h"

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

#include "signaling/service_core.h"

namespace turnpike::signaling {

Service::Core::Core(Settings settings, Random& random, Revoke revoke)
    : settings_(std::move(settings)),
      gate_(tokens()),
      minter_(settings_.secret, settings_.ice_urls),
      signer_(settings_.secret),
      carrier_({settings_.allowed_origins, settings_.trusted_proxies}, *this),
      native_(
          {.open_rooms = settings_.open_rooms, .gate = &gate_, .away = {}, .echo = settings_.echo},
          {carrier_, random, minter_, signer_, std::move(revoke)}),
      api_({settings_.api_keys, settings_.public_url, minter_, signer_, native_.hub(), random,
            settings_.room_tokens.get()}),
      events_({.socketio = {}, .lobby_size = settings_.lobby_size}, carrier_, random, gate_),
      plain_({.lobby_size = settings_.lobby_size}, carrier_, gate_),
      scaledrone_({}, carrier_, random, gate_),
      peerjs_({}, carrier_, random, gate_),
      ywebrtc_({}, carrier_, gate_) {
  for (Endpoint* endpoint : std::initializer_list<Endpoint*>{&native_, &events_.server(), &plain_,
                                                             &scaledrone_, &peerjs_, &ywebrtc_}) {
    carrier_.add(*endpoint);
  }
}

void Service::Core::on_request(Tick now, ConnectionHandle connection, const Visit& visit) {
  const http::Request& request = visit.request;
  // From here on whatever is decoded can be decoded.
  if (!http::percent_decode(request.target)) {
    return carrier_.respond(connection,
                            http::text_response(400, "a broken escape in the address\n"));
  }
  const std::string_view path = request.path();
  if (path == "/ws") return carrier_.upgrade(connection, visit, native_, Sites::kNamed);
  const bool credentials = path.starts_with("/api/") || CredentialViews::handles(request);
  if (credentials || path == "/config.json") {
    return carrier_.respond(connection, open_to_sites(now, visit));
  }
  if (on_dialect(now, connection, visit)) return;
  read(connection, request);
}

Service::Audit Service::Core::audit() const {
  return {carrier_.connection_count(), native_.hub().room_count(), native_.hub().member_count()};
}

std::string Service::Core::example_ice_servers(WallTime now) const {
  const std::string key =
      settings_.api_keys.empty() ? settings_.secret : settings_.api_keys.front();
  const auto credential = minter_.mint("example", minter_.key_id(key), Minter::kMaxKeyTtl, now);
  return minter_.ice_servers(credential).dump(2);
}

std::string Service::Core::room_link(std::string_view room, WallTime now) const {
  const Invitation invitation{{std::string(room)}, now + InvitationSigner::kMaxLife};
  return call_link(settings_.public_url, room, signer_.sign(invitation));
}

// --- the public face ---

Service::Service(Settings settings, Random& random, Revoke revoke)
    : core_(std::make_unique<Core>(std::move(settings), random, std::move(revoke))) {}
Service::~Service() = default;

Carrier& Service::carrier() { return core_->carrier(); }
std::string Service::example_ice_servers(WallTime now) const {
  return core_->example_ice_servers(now);
}
std::string Service::room_link(std::string_view room, WallTime now) const {
  return core_->room_link(room, now);
}
void Service::judge_health_by(HealthCheck check) { core_->judge_health_by(std::move(check)); }
Service::Audit Service::audit() const { return core_->audit(); }

}  // namespace turnpike::signaling
