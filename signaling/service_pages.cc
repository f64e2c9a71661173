#include <nlohmann/json.hpp>
#include <utility>

#include "base/private_address.h"
#include "base/text.h"
#include "signaling/acme.h"
#include "signaling/assets.h"
#include "signaling/files.h"
#include "signaling/response.h"
#include "signaling/service_core.h"

namespace turnpike::signaling {

using http::Method;
using http::Request;
using http::Response;

Response asset_response(const Request& request, const Asset& asset) {
  Response response;
  response.content_type = asset.content_type;
  response.borrowed = asset.content;
  response.headers.emplace_back("ETag", asset.etag);
  if (asset.content_type.starts_with("text/html")) response.page = Response::Page::kOurs;
  if (http::matches_etag(request, asset.etag)) {
    response.status = 304;
    response.borrowed = {};
  }
  return response;
}

namespace {

bool reads(const Request& request) {
  return request.method == Method::kGet || request.method == Method::kHead;
}

std::optional<Response> asset_response(const Request& request, std::string_view name) {
  const Asset* asset = find_asset(name);
  if (asset == nullptr) return std::nullopt;
  return asset_response(request, *asset);
}

void allow_site(const Request& request, Response& response) {
  response.headers.emplace_back("Access-Control-Allow-Origin", *request.header("origin"));
}

// Whoever mints here would be sent to a relay that refuses.
Response draining_response() {
  Response response = http::error_json(503, "draining", "this server is about to stop");
  response.headers.emplace_back("Retry-After", "60");
  return response;
}

Response preflight_response() {
  Response response;
  response.status = 204;
  response.headers = {{"Access-Control-Allow-Methods", "GET, POST, DELETE"},
                      {"Access-Control-Allow-Headers", "Authorization, Content-Type"},
                      {"Access-Control-Max-Age", "600"}};
  return response;
}

nlohmann::json addresses_for(const IpAddress& visitor, const std::vector<IpAddress>& addresses) {
  const auto is_near = [](const IpAddress& ip) { return ip.is_loopback() || is_private(ip); };
  nlohmann::json list = nlohmann::json::array();
  for (const IpAddress& ip : addresses) {
    if (!is_near(ip) || is_near(visitor)) list.push_back(ip.to_string());
  }
  return list;
}

}  // namespace

// What pages of other sites may use, if the operator named them.
Response Service::Core::open_to_sites(Tick now, const Visit& visit) {
  const Request& request = visit.request;
  const Site site = judge_site(request, settings_.allowed_origins);
  Response response;
  if (site == Site::kForeign) {
    response = http::error_json(403, "forbidden-origin", "pages of this site may not use this");
  } else if (request.method == Method::kOptions) {
    response = preflight_response();
  } else if (request.path() == "/config.json") {
    response = reads(request) ? config(now, visit)
                              : http::error_json(405, "method-not-allowed", "only GET");
  } else if (draining_ && (CredentialViews::handles(request) || request.path() == "/api/ice")) {
    response = draining_response();
  } else if (CredentialViews::handles(request)) {
    response = views_.handle(now, visit.source, request);
  } else {
    response = api_.handle(now, visit.source, request, native_);
  }
  response.headers.emplace_back("Vary", "Origin");
  if (site == Site::kAllowed) allow_site(request, response);
  return response;
}

// `you` and `time` are for pages that compare what the browser knows with what is seen from here.
Response Service::Core::config(Tick now, const Visit& visit) const {
  const IceUrls& urls = minter_.urls();
  nlohmann::json tls = nullptr;
  if (!visit.tls.version.empty()) {
    tls = {{"version", visit.tls.version}, {"cipher", visit.tls.cipher}};
  }
  const nlohmann::json body = {
      {"version", settings_.version},
      {"iceUrls", {{"stun", urls.stun}, {"turn", urls.turn}}},
      {"publicUrl", settings_.public_url},
      {"openRooms", settings_.open_rooms},
      {"echo", settings_.echo != nullptr},
      {"time", now.wall.since_epoch.count()},
      {"addresses", addresses_for(visit.source, settings_.addresses)},
      {"you",
       {{"address", visit.source.to_string()}, {"secure", visit.secure}, {"tls", std::move(tls)}}}};
  Response response;
  response.content_type = "application/json";
  response.no_store = true;
  response.body = body.dump() + "\n";
  return response;
}

std::optional<Response> Service::Core::own_page(const Request& request) const {
  constexpr std::string_view kCall = "/call/";
  constexpr std::string_view kAssets = "/assets/";
  const std::string_view path = request.path();
  if (path == "/healthz" || path == "/readyz") return health_response(health_(), path);
  if (auto script = client_script(request)) return script;
  // With a folder of the operator's, the start page is theirs, if there is one.
  if (path == "/" && !settings_.serve_static) return asset_response(request, "index.html");
  if (path.starts_with(kCall)) {
    const auto room = http::percent_decode(path.substr(kCall.size()));
    if (!room || !is_room_name(*room)) return std::nullopt;
    return asset_response(request, "call.html");
  }
  if (path == "/diag") return asset_response(request, "diag.html");
  if (path.starts_with(kAssets)) return asset_response(request, path.substr(kAssets.size()));
  return std::nullopt;
}

// Whatever stands in the static folder under that name.
bool Service::Core::is_challenge(const Request& request) const {
  return settings_.serve_challenges && acme::is_below(request.path());
}

// What is only for reading: pages, and the operator's folders.
void Service::Core::read(ConnectionHandle connection, const Request& request) {
  if (!reads(request)) {
    Response response = http::text_response(405, "this path is only for reading\n");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return carrier_.respond(connection, response);
  }
  if (is_challenge(request)) {
    const auto file = acme::challenge_file(request.path());
    if (file) return carrier_.ask_for_file(connection, Folder::kChallenges, *file);
    return carrier_.respond(connection, acme::response({}));
  }
  if (const auto page = own_page(request)) return carrier_.respond(connection, *page);
  const auto path = settings_.serve_static ? clean_path(request.path()) : std::nullopt;
  if (path) return carrier_.ask_for_file(connection, Folder::kStatic, *path);
  carrier_.respond(connection, http::text_response(404, "there is nothing here\n"));
}

Response Service::Core::on_file(const Request& request, const FileAnswer& answer) {
  if (is_challenge(request)) return acme::response(answer);
  if (answer.kind == FileAnswer::Kind::kNotFound && request.path() == "/") {
    if (auto page = asset_response(request, "index.html")) return std::move(*page);
  }
  if (answer.kind == FileAnswer::Kind::kNotFound) {
    if (auto why = missing_client_script(request)) return std::move(*why);
  }
  return file_response(request, answer);
}

}  // namespace turnpike::signaling
