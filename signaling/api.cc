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

// A ttl as a JSON number or as decimal text; longer than `most` becomes `most`. nullopt: no number
// of seconds that a credential could live.
std::optional<seconds> clamp_ttl(std::optional<std::uint64_t> value, seconds most) {
  if (!value || *value == 0) return std::nullopt;
  return std::min<seconds>(most, seconds(std::min<std::uint64_t>(*value, 1u << 30)));
}

std::optional<std::uint64_t> whole_number(const json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  return std::nullopt;
}

std::optional<seconds> wanted_ttl(const Request& request, const json& body, seconds most) {
  if (const auto found = body.find("ttl"); found != body.end()) {
    return clamp_ttl(whole_number(*found), most);
  }
  if (const auto text = http::query_value(request.query(), "ttl")) {
    // Digits that no integer holds still are a number, only a very long one.
    const bool digits = !text->empty() && std::all_of(text->begin(), text->end(),
                                                      [](char c) { return c >= '0' && c <= '9'; });
    const auto value = parse_decimal(*text);
    return clamp_ttl(digits && !value ? UINT64_MAX : value, most);
  }
  return most;
}

bool is_user_name(std::string_view name) {
  return !name.empty() && is_valid_utf8(name) && std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

}  // namespace

std::string call_link(std::string_view public_url, std::string_view room,
                      std::string_view invitation) {
  std::string link(public_url);
  link += "/call/" + http::percent_encode(room);
  if (!invitation.empty()) link.append("#k=").append(invitation);
  return link;
}

Api::Api(Parts parts) : parts_(parts) {
  for (const std::string& key : parts_.keys) {
    if (!key.empty()) keys_.push_back({sha256(as_bytes(key)), parts_.minter.key_id(key)});
  }
}

// Digests are compared, all of them and in constant time: neither the length nor a common prefix
// of a key shows in the time of the answer.
const Api::KeyHash* Api::authorise(const Request& request) const {
  std::string given;
  if (const auto header = request.header("authorization")) {
    constexpr std::string_view kScheme = "bearer ";
    if (request.count("authorization") > 1) return nullptr;
    if (!equals_ignoring_case(header->substr(0, kScheme.size()), kScheme)) return nullptr;
    given = trim(header->substr(kScheme.size()));
  } else if (auto query = http::query_value(request.query(), "key")) {
    given = std::move(*query);
  }
  const Sha256Digest digest = sha256(as_bytes(given));
  wipe(given);
  const KeyHash* found = nullptr;
  for (const KeyHash& key : keys_) {
    if (equal_in_constant_time(key.digest, digest)) found = &key;
  }
  return found;
}

Response Api::handle(Tick now, const IpAddress& source, const Request& request, HubSink& sink) {
  // A right key always passes: back ends may share an address, or a proxy, with whoever guesses.
  const KeyHash* key = authorise(request);
  if (key == nullptr) {
    if (!failures_.has_token(now.mono, source)) {
      Response response = error_json(429, "too-many-failures", "too many wrong keys from here");
      response.headers.emplace_back("Retry-After", "30");
      return response;
    }
    failures_.take(now.mono, source);
    Response response =
        error_json(401, "unauthorized", "pass an API key: Authorization: Bearer KEY, or ?key=KEY");
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"turnpike\"");
    return response;
  }
  return route(now, request, *key, sink);
}

Response Api::route(Tick now, const Request& request, const KeyHash& key, HubSink& sink) {
  constexpr std::string_view kRooms = "/api/rooms/";
  const std::string_view path = request.path();
  const bool reads = request.method == Method::kGet || request.method == Method::kHead;
  if (path == "/api/ice") {
    if (!reads && request.method != Method::kPost) return not_allowed("GET, HEAD, POST");
    return mint(now, request, key);
  }
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

Response Api::mint(Tick now, const Request& request, const KeyHash& key) {
  const auto body = body_object(request);
  if (!body) return bad("bad-request", "the body must be a JSON object");
  const auto ttl = wanted_ttl(request, *body, kDefaultTtl);
  if (!ttl) return bad("bad-ttl", "ttl is a number of seconds, 1 to 86400");
  std::string name;
  if (const auto found = body->find("username"); found != body->end()) {
    if (!found->is_string() || !is_user_name(found->get_ref<const std::string&>())) {
      return bad("bad-username", "username must be plain text");
    }
    name = *found;
  } else if (const auto text = http::query_value(request.query(), "username")) {
    if (!is_user_name(*text)) return bad("bad-username", "username must be plain text");
    name = *text;
  } else {
    // A name of its own, because the relay's quota counts by name.
    name = "client-" + parts_.random.token(9);
  }
  const MintedCredential credential = parts_.minter.mint(name, key.id, *ttl, now.wall);
  return answer({{"iceServers", parts_.minter.ice_servers(credential)},
                 {"ttl", credential.ttl.count()},
                 {"expires_at", credential.expires.since_epoch.count()}});
}

Response Api::invite(Tick now, const Request& request) {
  const auto body = body_object(request);
  if (!body) return bad("bad-request", "the body must be a JSON object");
  const auto ttl = wanted_ttl(request, *body, InvitationSigner::kMaxLife);
  if (!ttl) return bad("bad-ttl", "ttl is a number of seconds, 1 to 86400");
  const auto rooms = body->find("rooms");
  if (rooms == body->end() || !rooms->is_array() || rooms->empty() ||
      rooms->size() > InvitationSigner::kMaxRooms) {
    return bad("bad-rooms", "rooms is a list of 1 to 16 room names");
  }
  Invitation invitation;
  invitation.expires = now.wall + *ttl;
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
