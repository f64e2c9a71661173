// The paths of the dialects: what other servers' clients find here (docs/signaling.md).
#include "signaling/assets.h"
#include "signaling/response.h"
#include "signaling/service_core.h"

namespace turnpike::signaling {

using http::Method;
using http::Request;
using http::Response;

namespace {

constexpr std::size_t kMaxEngineBody = engineio::Settings{}.max_payload;

bool is_socketio(std::string_view path) {
  // Clients write the final slash, unless they are told not to (addTrailingSlash: false).
  return path == "/socket.io/" || path == "/socket.io";
}

bool is_below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// Clients that are made here.
std::string_view own_client_file(std::string_view path) {
  if (path == "/scaledrone.min.js") return "scaledrone.js";
  if (path == "/client/v1.js" || path == "/client/v1.d.ts") return path.substr(1);
  return {};
}

// The name of a file of socket.io's client, wherever pages look for it.
std::string_view client_file(std::string_view path) {
  for (const std::string_view folder : {"/socket.io/", "/node_modules/socket.io/client-dist/"}) {
    if (!path.starts_with(folder)) continue;
    const std::string_view name = path.substr(folder.size());
    for (const std::string_view known :
         {"socket.io.js", "socket.io.min.js", "socket.io.js.map", "socket.io.min.js.map",
          "socket.io.esm.min.js", "socket.io.esm.min.js.map"}) {
      if (name == known) return known;
    }
  }
  return {};
}

Response script(const Request& request, const Asset& asset) {
  Response response = asset_response(request, asset);
  response.readers = Response::Readers::kCaller;  // modules are loaded with CORS
  return response;
}

Response forbidden_in_engineio() {
  Response response;
  response.status = 403;
  response.content_type = "application/json";
  response.no_store = true;
  response.body = R"({"code":4,"message":"Forbidden"})";
  return response;
}

}  // namespace

std::size_t Service::Core::max_body(const Request& head) const {
  return is_socketio(head.path()) ? kMaxEngineBody : Routes::max_body(head);
}

// False: the path is none of theirs.
bool Service::Core::on_dialect(Tick now, ConnectionHandle connection, const Visit& visit) {
  const Request& request = visit.request;
  const std::string_view path = request.path();
  const bool upgrades = request.lists("upgrade", "websocket");
  const bool admitted = admits(Sites::kAny, request, settings_.allowed_origins);
  if (is_socketio(path)) {
    if (upgrades) {
      carrier_.upgrade(connection, visit, events_.server(), Sites::kAny);
    } else if (admitted) {
      events_.server().on_request(now, connection, visit);
    } else {
      carrier_.respond(connection, forbidden_in_engineio());
    }
    return true;
  }
  if (path == "/v3/websocket") {
    carrier_.upgrade(connection, visit, scaledrone_, Sites::kAny);
    return true;
  }
  if (path == "/y-webrtc") {
    carrier_.upgrade(connection, visit, ywebrtc_, Sites::kAny);
    return true;
  }
  if (is_below(path, "/peerjs")) {
    if (upgrades && PeerJs::is_socket_path(path)) {
      carrier_.upgrade(connection, visit, peerjs_, Sites::kAny);
    } else if (admitted) {
      peerjs_.on_request(now, connection, visit);
    } else {
      carrier_.respond(connection,
                       http::text_response(403, "pages of this site are not welcome here\n"));
    }
    return true;
  }
  if (!upgrades) return false;
  carrier_.upgrade(connection, visit, plain_, Sites::kAny);
  return true;
}

std::optional<Response> Service::Core::client_script(const Request& request) const {
  const std::string_view path = request.path();
  if (const std::string_view own = own_client_file(path); !own.empty()) {
    const Asset* asset = find_asset(own);
    if (asset == nullptr) return std::nullopt;
    return script(request, *asset);
  }
  const std::string_view name = client_file(path);
  if (name.empty()) return std::nullopt;
  if (const Asset* asset = find_asset("socketio/" + std::string(name))) {
    return script(request, *asset);
  }
  // A folder of the operator's may have it.
  if (settings_.serve_static) return std::nullopt;
  return missing_client_script(request);
}

// Found nowhere: what to do about it, where the pages of others expect a script.
std::optional<Response> Service::Core::missing_client_script(const Request& request) {
  if (client_file(request.path()).empty()) return std::nullopt;
  Response response =
      http::text_response(404,
                          "this server was built without socket.io's client, which npm fetches: "
                          "apt-get install npm, then tools/up again\n");
  response.readers = Response::Readers::kCaller;
  return response;
}

}  // namespace turnpike::signaling
