#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "signaling/assets.h"
#include "signaling/files.h"
#include "signaling/response.h"
#include "signaling/service_core.h"

namespace turnpike::signaling {

using http::Method;
using http::Request;
using http::RequestParser;
using http::Response;

namespace {

bool reads(const Request& request) {
  return request.method == Method::kGet || request.method == Method::kHead;
}

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

std::optional<Response> asset_response(const Request& request, std::string_view name) {
  const Asset* asset = find_asset(name);
  if (asset == nullptr) return std::nullopt;
  return asset_response(request, *asset);
}

void allow_site(const Request& request, Response& response) {
  response.headers.emplace_back("Access-Control-Allow-Origin", *request.header("origin"));
}

Response preflight_response() {
  Response response;
  response.status = 204;
  response.headers = {{"Access-Control-Allow-Methods", "GET, POST, DELETE"},
                      {"Access-Control-Allow-Headers", "Authorization, Content-Type"},
                      {"Access-Control-Max-Age", "600"}};
  return response;
}

}  // namespace

// --- bytes to requests ---

// Answers how many bytes it took: to the end of one request, or all.
std::size_t Service::Core::on_http(ConnectionHandle handle, Connection& connection,
                                   ByteView bytes) {
  if (connection.parser == nullptr) {
    // Whoever asks on and on without reading the answers is cut.
    if (connection.queued > kMaxQueuedBytes) write(handle, connection, {});
    if (connection.queued > kMaxQueuedBytes) {
      doom(handle, connection);
      return bytes.size();
    }
    connection.parser = std::make_unique<RequestParser>();
    if (connection.served) arm(connection, kRequestDeadline);
  }
  RequestParser& parser = *connection.parser;
  const std::size_t used = parser.feed(bytes);
  switch (parser.state()) {
    case RequestParser::State::kNeedsMore:
      if (parser.take_expectation()) {
        write(handle, connection, as_bytes("HTTP/1.1 100 Continue\r\n\r\n"));
      }
      break;
    case RequestParser::State::kFailed:
      respond(handle, nullptr, http::text_response(parser.failure(), "bad request\n"));
      break;
    case RequestParser::State::kComplete: {
      Request request = parser.take();
      connection.parser.reset();
      on_request(handle, std::move(request));
    }
  }
  return used;
}

void Service::Core::on_request_timeout(ConnectionHandle handle, Connection& connection) {
  if (connection.parser == nullptr || connection.parser->untouched()) {
    return doom(handle, connection);
  }
  respond(handle, nullptr, http::text_response(408, "the request took too long\n"));
}

void Service::Core::respond(ConnectionHandle handle, const Request* request,
                            const Response& response) {
  // Below this one write with a copy is cheaper than two.
  constexpr std::size_t kJoined = 16 * 1024;
  Connection& connection = *connections_.find(handle);
  std::string head = http::serialise_head(response, request, now_.wall);
  ByteView content = response.content();
  if (request != nullptr && request->method == Method::kHead) content = {};
  if (content.size() <= kJoined) {
    head.append(as_text(content));
    content = {};
  }
  write(handle, connection, as_bytes(head));
  if (!content.empty()) write(handle, connection, content);
  connection.served = true;
  if (http::goes_on(response, request)) {
    connection.phase = Connection::Phase::kHttp;
    arm(connection, kIdleTime);
  } else if (request != nullptr && !response.close) {
    doom(handle, connection);  // as the client wished, and nothing more is coming
  } else {
    linger(connection);
  }
}

// --- requests to answers ---

void Service::Core::on_request(ConnectionHandle handle, Request request) {
  // From here on whatever is decoded can be decoded.
  if (!http::percent_decode(request.target)) {
    return respond(handle, &request, http::text_response(400, "a broken escape in the address\n"));
  }
  const std::string_view path = request.path();
  if (path == "/ws") return upgrade(handle, request);
  if (path.starts_with("/api/") || path == "/config.json") return open_to_sites(handle, request);
  if (!reads(request)) {
    Response response = http::text_response(405, "this path is only for reading\n");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return respond(handle, &request, response);
  }
  if (const auto response = own_page(request)) return respond(handle, &request, *response);
  if (settings_.serve_static) return ask_for_file(handle, std::move(request));
  respond(handle, &request, http::text_response(404, "there is nothing here\n"));
}

// What pages of other sites may use, if the operator named them.
void Service::Core::open_to_sites(ConnectionHandle handle, const Request& request) {
  const Site site = judge_site(request, settings_.allowed_origins);
  Response response;
  if (site == Site::kForeign) {
    response = http::error_json(403, "forbidden-origin", "pages of this site may not use this");
  } else if (request.method == Method::kOptions) {
    response = preflight_response();
  } else if (request.path() == "/config.json") {
    response = reads(request) ? config() : http::error_json(405, "method-not-allowed", "only GET");
  } else {
    const IpAddress& source = connections_.find(handle)->origin.remote.ip;
    response = api_.handle(now_, source, request, *this);
  }
  response.headers.emplace_back("Vary", "Origin");
  if (site == Site::kAllowed) allow_site(request, response);
  respond(handle, &request, response);
}

Response Service::Core::config() const {
  const IceUrls& urls = minter_.urls();
  const nlohmann::json body = {{"version", settings_.version},
                               {"iceUrls", {{"stun", urls.stun}, {"turn", urls.turn}}},
                               {"publicUrl", settings_.public_url},
                               {"openRooms", settings_.open_rooms}};
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
  if (path == "/healthz") return http::text_response(200, "ok\n");
  // With a folder of the operator's, the start page is theirs, if there is one.
  if (path == "/" && !settings_.serve_static) return asset_response(request, "index.html");
  if (path.starts_with(kCall)) {
    const auto room = http::percent_decode(path.substr(kCall.size()));
    if (!room || !is_room_name(*room)) return std::nullopt;
    return asset_response(request, "call.html");
  }
  if (path.starts_with(kAssets)) return asset_response(request, path.substr(kAssets.size()));
  return std::nullopt;
}

// --- the operator's folder ---

void Service::Core::ask_for_file(ConnectionHandle handle, Request request) {
  auto path = clean_path(request.path());
  if (!path) {
    return respond(handle, &request, http::text_response(404, "there is nothing here\n"));
  }
  Connection& connection = *connections_.find(handle);
  connection.phase = Connection::Phase::kFile;
  connection.file = std::make_unique<FileWait>();
  connection.file->request = std::move(request);
  arm(connection, kFileDeadline);
  outlet_->read_file(handle, *path);  // may call on_file before it returns
}

void Service::Core::file_arrived(Tick now, ConnectionHandle handle, const FileAnswer& answer,
                                 Outlet& outlet) {
  const Call call(*this, now, outlet);
  Connection* connection = connections_.find(handle);
  if (connection == nullptr || connection->doomed) return;
  if (connection->phase != Connection::Phase::kFile) return;
  connection->phase = Connection::Phase::kHttp;
  const std::unique_ptr<FileWait> wait = std::move(connection->file);
  std::optional<Response> response;
  if (answer.kind == FileAnswer::Kind::kNotFound && wait->request.path() == "/") {
    response = asset_response(wait->request, "index.html");
  }
  if (!response) response = file_response(wait->request, answer);
  respond(handle, &wait->request, *response);
  dispatch(handle, as_bytes(wait->pipelined));
}

}  // namespace turnpike::signaling
