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
      signer_(settings_.secret, settings_.older_secrets),
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
  if (annex_(now, connection, visit)) return;
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

Findings Service::Core::examine() {
  Findings findings;
  carrier_.audit(findings);
  native_.hub().audit(findings);
  return findings;
}

std::size_t Service::Core::conversations() {
  return carrier_.websocket_count() + events_.server().polling_count() + native_.hub().away_count();
}

std::vector<Service::RoomReport> Service::Core::rooms(std::size_t limit,
                                                      std::optional<std::string_view> named) const {
  std::vector<RoomReport> reports;
  native_.hub().for_each_room([&](const Room& room, const std::vector<const Member*>& members) {
    if (reports.size() >= limit || (named && room.name != *named)) return;
    RoomReport report{room.name, {}};
    for (const Member* member : members) {
      report.members.push_back({member->id, member->name, member->credential_name, member->away()});
    }
    reports.push_back(std::move(report));
  });
  return reports;
}

std::string Service::Core::credentials(std::string_view name, seconds ttl, WallTime now) const {
  const auto credential = minter_.mint(name, minter_.key_id("operator"), ttl, now);
  return nlohmann::json{{"iceServers", minter_.ice_servers(credential)},
                        {"ttl", credential.ttl.count()},
                        {"expires_at", credential.expires.since_epoch.count()}}
      .dump();
}

void Service::Core::renew(Settings settings) {
  settings_.secret = std::move(settings.secret);
  settings_.older_secrets = std::move(settings.older_secrets);
  settings_.api_keys = std::move(settings.api_keys);
  settings_.ice_urls = std::move(settings.ice_urls);
  settings_.addresses = std::move(settings.addresses);
  settings_.public_url = std::move(settings.public_url);
  // Whoever borrows the tokens is given the new ones before the old ones go.
  std::swap(settings_.room_tokens, settings.room_tokens);
  gate_.use(tokens());
  minter_ = Minter(settings_.secret, settings_.ice_urls);
  signer_ = InvitationSigner(settings_.secret, settings_.older_secrets);
  api_.renew(settings_.room_tokens.get());
}

void Service::Core::drain(std::optional<seconds> left) {
  draining_ = true;
  carrier_.drain();
  events_.server().drain();
  native_.drain(left);
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
void Service::judge_credentials_by(CredentialJudge judge) {
  core_->judge_credentials_by(std::move(judge));
}
void Service::add_annex(Annex annex) { core_->add_annex(std::move(annex)); }
Service::Audit Service::audit() const { return core_->audit(); }
Findings Service::examine() const { return core_->examine(); }
std::size_t Service::conversations() const { return core_->conversations(); }
std::vector<Service::RoomReport> Service::rooms(std::size_t limit,
                                                std::optional<std::string_view> named) const {
  return core_->rooms(limit, named);
}
bool Service::kick(std::string_view member) { return core_->kick(member); }
std::string Service::credentials(std::string_view name, seconds ttl, WallTime now) const {
  return core_->credentials(name, ttl, now);
}
void Service::renew(Settings settings) { core_->renew(std::move(settings)); }
void Service::drain(std::optional<seconds> left) { core_->drain(left); }

}  // namespace turnpike::signaling
