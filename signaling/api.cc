#include "signaling/api.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "signaling/json_text.h"

namespace turnpike::signaling {

using http::error_json;
using http::Method;
using http::Request;
using http::Response;
using nlohmann::json;

namespace {

Response answer(const json& body) {
  Response response;
  response.content_type = "application/json";
  response.no_store = true;
  // Ids, names and URLs were checked when they came in; the handler is for the impossible rest.
  response.body = body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  return response;
}

Response not_allowed(std::string_view methods) {
  Response response = error_json(405, "method-not-allowed", "this path takes other methods");
  response.headers.emplace_back("Allow", methods);
  return response;
}

Response bad(std::string_view code, std::string_view why) { return error_json(400, code, why); }

// The body's JSON object, or an empty one when there is no body; nullopt for anything else.
std::optional<json> body_object(const Request& request) {
  if (request.body.empty()) return json::object();
  if (!is_valid_utf8(request.body) || !is_json(request.body)) return std::nullopt;
  json body = json::parse(request.body, nullptr, false);
  if (!body.is_object()) return std::nullopt;
  return body;
}

std::optional<std::uint64_t> whole_number(const json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  return std::nullopt;
}

// Outer nullopt: not a number of seconds. Inner: none was wished.
std::optional<std::optional<seconds>> wanted_ttl(const Request& request, const json& body) {
  std::optional<seconds> ttl;
  if (const auto found = body.find("ttl"); found != body.end()) {
    ttl = read_ttl(whole_number(*found));
  } else if (const auto text = http::query_value(request.query(), "ttl")) {
    ttl = read_ttl(*text);
  } else {
    return std::optional<seconds>();
  }
  if (!ttl) return std::nullopt;
  return ttl;
}

Response refused(MintDesk::Denial why) {
  if (why == MintDesk::Denial::kTooOften) {
    Response response = error_json(429, "too-many-failures", "too many wrong keys from here");
    response.headers.emplace_back("Retry-After", MintDesk::kRetryAfter);
    return response;
  }
  Response response =
      error_json(401, "unauthorized", "pass an API key: Authorization: Bearer KEY, or ?key=KEY");
  response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"turnpike\"");
  return response;
}

}  // namespace

std::string call_link(std::string_view public_url, std::string_view room,
                      std::string_view invitation) {
  std::string link(public_url);
  link += "/call/" + http::percent_encode(room);
  if (!invitation.empty()) link.append("#k=").append(invitation);
  return link;
}

std::string bearer_proof(const Request& request,
                         std::initializer_list<std::string_view> parameters) {
  if (const auto header = request.header("authorization")) {
    constexpr std::string_view kScheme = "bearer ";
    if (request.count("authorization") > 1) return "";
    if (!equals_ignoring_case(header->substr(0, kScheme.size()), kScheme)) return "";
    return std::string(trim(header->substr(kScheme.size())));
  }
  for (const std::string_view parameter : parameters) {
    if (auto value = http::query_value(request.query(), parameter)) return std::move(*value);
  }
  return "";
}

Api::Api(Parts parts)
    : parts_(parts),
      desk_({parts.keys, parts.minter, parts.signer, parts.room_tokens, parts.random}) {}

Response Api::handle(Tick now, const IpAddress& source, const Request& request, HubSink& sink) {
  const bool mints = request.path() == "/api/ice";
  const bool judges = request.path() == "/api/ice/why";
  const auto permit =
      desk_.admit(now, source, bearer_proof(request, {"key", "api", "token"}),
                  mints || judges ? MintDesk::Accepts::kAll : MintDesk::Accepts::kKeys);
  if (!permit) return refused(permit.error());
  if (judges) return request.method == Method::kPost ? why(now, request) : not_allowed("POST");
  if (!mints) return route(now, request, sink);
  const bool reads = request.method == Method::kGet || request.method == Method::kHead;
  if (!reads && request.method != Method::kPost) return not_allowed("GET, HEAD, POST");
  return mint(now, request, *permit);
}

Response Api::route(Tick now, const Request& request, HubSink& sink) {
  constexpr std::string_view kRooms = "/api/rooms/";
  const std::string_view path = request.path();
  const bool reads = request.method == Method::kGet || request.method == Method::kHead;
  if (path == "/api/invitations") {
    return request.method == Method::kPost ? invite(now, request) : not_allowed("POST");
  }
  if (path == "/api/rooms") return reads ? rooms() : not_allowed("GET, HEAD");
  if (path.starts_with(kRooms)) {
    if (request.method != Method::kDelete) return not_allowed("DELETE");
    return remove(now, path.substr(kRooms.size()), sink);
  }
  return error_json(404, "not-found", "there is no such API path");
}

Response Api::mint(Tick now, const Request& request, const Permit& permit) {
  const auto body = body_object(request);
  if (!body) return bad("bad-request", "the body must be a JSON object");
  MintWish wish;
  if (const auto ttl = wanted_ttl(request, *body)) {
    wish.ttl = *ttl;
  } else {
    return bad("bad-ttl", "ttl is a number of seconds, 1 to 86400");
  }
  if (const auto found = body->find("username"); found != body->end()) {
    if (!found->is_string()) return bad("bad-username", "username must be plain text");
    wish.name = *found;
  } else {
    wish.name = http::query_value(request.query(), "username");
  }
  if (wish.name && !is_credential_name(*wish.name)) {
    return bad("bad-username", "username must be plain text");
  }
  const MintedCredential credential = desk_.mint(now, permit, wish);
  Response response = answer({{"iceServers", parts_.minter.ice_servers(credential)},
                              {"ttl", credential.ttl.count()},
                              {"expires_at", credential.expires.since_epoch.count()}});
  for (std::string& link : ice_links(parts_.minter.urls(), credential)) {
    response.headers.emplace_back("Link", std::move(link));
  }
  return response;
}

// Strangers are never told whether a user exists, by TURN neither.
Response Api::why(Tick now, const Request& request) const {
  const auto body = body_object(request);
  const auto text = [&body](const char* name) -> std::optional<std::string> {
    const auto found = body->find(name);
    if (found == body->end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
  };
  const auto username = body ? text("username") : std::nullopt;
  const auto credential = body ? text("credential") : std::nullopt;
  if (!username || !credential) return bad("bad-request", "username and credential are texts");
  return answer({{"verdict", judge_(*username, *credential, now.wall)}});
}

Response Api::invite(Tick now, const Request& request) {
  const auto body = body_object(request);
  if (!body) return bad("bad-request", "the body must be a JSON object");
  const auto wish = wanted_ttl(request, *body);
  if (!wish) return bad("bad-ttl", "ttl is a number of seconds, 1 to 86400");
  const seconds ttl = std::min<seconds>(InvitationSigner::kMaxLife,
                                        wish->value_or(seconds(InvitationSigner::kMaxLife)));
  const auto rooms = body->find("rooms");
  if (rooms == body->end() || !rooms->is_array() || rooms->empty() ||
      rooms->size() > InvitationSigner::kMaxRooms) {
    return bad("bad-rooms", "rooms is a list of 1 to 16 room names");
  }
  Invitation invitation;
  invitation.expires = now.wall + ttl;
  for (const json& room : *rooms) {
    if (!room.is_string() || !is_room_name(room.get_ref<const std::string&>())) {
      return bad("bad-rooms", "a room has 1 to 128 bytes of plain text");
    }
    invitation.rooms.push_back(room);
  }
  const std::string text = parts_.signer.sign(invitation);
  json links = json::array();
  for (const std::string& room : invitation.rooms) {
    links.push_back(call_link(parts_.public_url, room, text));
  }
  return answer({{"invitation", text},
                 {"rooms", invitation.rooms},
                 {"expires_at", invitation.expires.since_epoch.count()},
                 {"links", std::move(links)}});
}

Response Api::rooms() const {
  json list = json::array();
  parts_.hub.for_each_room([&](const Room& room, const std::vector<const Member*>& members) {
    json entry = {{"room", room.name}, {"members", json::array()}};
    for (const Member* member : members) {
      entry["members"].push_back(
          {{"id", member->id}, {"name", member->name}, {"away", member->away()}});
    }
    list.push_back(std::move(entry));
  });
  return answer({{"rooms", std::move(list)}});
}

// `rest`: "<room>/members/<id>"
Response Api::remove(Tick now, std::string_view rest, HubSink& sink) {
  const auto parts = split(rest, '/');
  if (parts.size() == 3 && parts[1] == "members") {
    const auto room = http::percent_decode(parts[0]);
    const auto id = http::percent_decode(parts[2]);
    if (room && id && parts_.hub.kick(now, *room, *id, sink)) {
      Response response;
      response.status = 204;
      response.no_store = true;
      return response;
    }
  }
  return error_json(404, "not-found", "there is no such member");
}

}  // namespace turnpike::signaling
