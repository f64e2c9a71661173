#include "signaling/credential_views.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"
#include "signaling/api.h"
#include "signaling/json_text.h"

namespace turnpike::signaling {

using http::Method;
using http::Request;
using http::Response;
using nlohmann::json;
using Denial = MintDesk::Denial;
using Accepts = MintDesk::Accepts;

namespace {

constexpr std::string_view kTwilioHead = "/2010-04-01/Accounts/";
constexpr std::string_view kTwilioTail = "/Tokens.json";
constexpr std::string_view kCloudflareHead = "/v1/turn/keys/";
constexpr std::string_view kCloudflareList = "/credentials/generate-ice-servers";
constexpr std::string_view kCloudflareOne = "/credentials/generate";
constexpr std::string_view kMetered = "/api/v1/turn/credentials";

// What stands between head and tail, one segment of a path; nullopt: another path.
std::optional<std::string_view> segment(std::string_view path, std::string_view head,
                                        std::string_view tail) {
  if (path.size() <= head.size() + tail.size()) return std::nullopt;
  if (!path.starts_with(head) || !path.ends_with(tail)) return std::nullopt;
  const auto inner = path.substr(head.size(), path.size() - head.size() - tail.size());
  if (inner.find('/') != std::string_view::npos) return std::nullopt;
  return inner;
}

bool reads(const Request& request) {
  return request.method == Method::kGet || request.method == Method::kHead;
}

bool is_form(const Request& request) {
  constexpr std::string_view kForm = "application/x-www-form-urlencoded";
  const auto type = request.header("content-type").value_or("");
  return equals_ignoring_case(trim(type.substr(0, type.find(';'))), kForm);
}

// Of a form's body or of the query.
std::optional<std::string> parameter(const Request& request, std::string_view name) {
  if (is_form(request)) {
    if (auto value = http::query_value(request.body, name)) return value;
  }
  return http::query_value(request.query(), name);
}

Response json_response(unsigned status, const json& body) {
  Response response;
  response.status = status;
  response.content_type = "application/json";
  response.no_store = true;
  response.body = body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  return response;
}

Response with_status_headers(Response response, std::string_view scheme) {
  if (response.status == 429) response.headers.emplace_back("Retry-After", MintDesk::kRetryAfter);
  if (response.status == 401) {
    response.headers.emplace_back("WWW-Authenticate", std::string(scheme) + " realm=\"turnpike\"");
  }
  return response;
}

// The draft says nothing of errors: those of the API.
Response plain_error(unsigned status, std::string_view code, std::string_view why) {
  return with_status_headers(http::error_json(status, code, why), "Bearer");
}
Response plain_denial(Denial why) {
  if (why == Denial::kTooOften) {
    return plain_error(429, "too-many-failures", "too many wrong keys from here");
  }
  return plain_error(401, "unauthorized", "pass an API key, an invitation or a room token: ?key=");
}

Response wrong_method(Response response, std::string_view methods) {
  response.headers.emplace_back("Allow", methods);
  return response;
}

// "https://www.twilio.com/docs/errors/20003": helper libraries read all four members.
Response twilio_error(unsigned status, unsigned code, std::string_view message) {
  const json body = {{"code", code},
                     {"message", message},
                     {"more_info", "https://www.twilio.com/docs/errors/" + std::to_string(code)},
                     {"status", status}};
  return with_status_headers(json_response(status, body), "Basic");
}

Response cloudflare_error(unsigned status, unsigned code, std::string_view message) {
  const json body = {{"success", false},
                     {"errors", json::array({{{"code", code}, {"message", message}}})},
                     {"messages", json::array()},
                     {"result", nullptr}};
  return with_status_headers(json_response(status, body), "Bearer");
}

Response metered_error(unsigned status, std::string_view message) {
  return with_status_headers(json_response(status, {{"error", message}}), "Bearer");
}

// The password of `Authorization: Basic` (RFC 7617); empty: there is none.
std::string basic_password(const Request& request) {
  constexpr std::string_view kScheme = "basic ";
  const auto header = request.header("authorization");
  if (!header || request.count("authorization") > 1) return "";
  if (!equals_ignoring_case(header->substr(0, kScheme.size()), kScheme)) return "";
  auto pair = base64_decode(trim(header->substr(kScheme.size())));
  if (!pair) return "";
  const std::size_t colon = pair->find(':');
  std::string password = colon == std::string::npos ? "" : pair->substr(colon + 1);
  wipe(*pair);
  return password;
}

// A Bearer header, or `key`, `api` or `token` of the query or of a form.
std::string shown(const Request& request) {
  std::string proof = bearer_proof(request, {"key", "api", "token"});
  if (!proof.empty() || request.count("authorization") > 0 || !is_form(request)) return proof;
  for (const std::string_view name : {"key", "api", "token"}) {
    if (auto value = http::query_value(request.body, name)) return std::move(*value);
  }
  return "";
}

// `ttl` and `username` as text; nullopt with `problem` set: they are not what they should be.
struct WishOrProblem {
  MintWish wish;
  std::string_view problem;  // empty: there is none
};
WishOrProblem wish_of(const Request& request) {
  WishOrProblem result;
  if (const auto text = parameter(request, "ttl")) {
    result.wish.ttl = read_ttl(*text);
    if (!result.wish.ttl) result.problem = "ttl is a number of seconds, 1 to 86400";
  }
  // An empty one is what clients without a name send.
  if (auto name = parameter(request, "username"); name && !name->empty()) {
    if (!is_credential_name(*name)) result.problem = "username must be plain text";
    result.wish.name = std::move(*name);
  }
  return result;
}

void add_links(Response& response, const IceUrls& urls, const MintedCredential& credential) {
  for (std::string& link : ice_links(urls, credential)) {
    response.headers.emplace_back("Link", std::move(link));
  }
  response.headers.emplace_back("Access-Control-Expose-Headers", "Link");
}

// RFC 2822 section 3.3, as Twilio writes it.
std::string mail_date(WallTime time) {
  std::string date = http::http_date(time);
  return date.replace(date.size() - 3, 3, "+0000");  // "GMT"
}

// One entry for each URL, as Twilio (which repeats it as "url") and Metered have it.
enum class OldName : std::uint8_t { kNo, kYes };
json entries(const IceUrls& urls, const MintedCredential& credential, OldName old_name) {
  json list = json::array();
  for (const bool relays : {false, true}) {
    for (const std::string& url : relays ? urls.turn : urls.stun) {
      json entry = {{"urls", url}};
      if (old_name == OldName::kYes) entry["url"] = url;
      if (relays) entry["username"] = credential.username;
      if (relays) entry["credential"] = credential.password;
      list.push_back(std::move(entry));
    }
  }
  return list;
}

}  // namespace

bool CredentialViews::handles(const Request& request) {
  const std::string_view path = request.path();
  if (path == "/") return http::query_value(request.query(), "service") == "turn";
  return path == "/turn" || path == "/ice" || path == kMetered ||
         segment(path, kTwilioHead, kTwilioTail) ||
         segment(path, kCloudflareHead, kCloudflareList) ||
         segment(path, kCloudflareHead, kCloudflareOne);
}

Response CredentialViews::handle(Tick now, const IpAddress& source, const Request& request) {
  const Asking asking{now, source, request};
  const std::string_view path = request.path();
  if (path == kMetered) return metered(asking);
  if (path == "/ice") return configuration(asking);
  if (const auto account = segment(path, kTwilioHead, kTwilioTail)) {
    return twilio(asking, *account);
  }
  if (segment(path, kCloudflareHead, kCloudflareList)) {
    return cloudflare(asking, CloudflareShape::kList);
  }
  if (segment(path, kCloudflareHead, kCloudflareOne)) {
    return cloudflare(asking, CloudflareShape::kOne);
  }
  return turn_rest(asking);
}

// draft-uberti-behave-turn-rest-00 section 2. `key` is what the draft calls it, `api` what Janus
// sends besides.
Response CredentialViews::turn_rest(const Asking& asking) {
  const Request& request = asking.request;
  if (!reads(request) && request.method != Method::kPost) {
    return wrong_method(plain_error(405, "method-not-allowed", "this path takes other methods"),
                        "GET, HEAD, POST");
  }
  const auto permit = desk_.admit(asking.now, asking.source, shown(request), Accepts::kAll);
  if (!permit) return plain_denial(permit.error());
  if (parameter(request, "service") != "turn") {
    return plain_error(400, "bad-service", "the service here is turn: ?service=turn");
  }
  auto [wish, problem] = wish_of(request);
  if (!problem.empty()) return plain_error(400, "bad-request", problem);
  const MintedCredential credential = desk_.mint(asking.now, *permit, wish);
  const IceUrls& urls = desk_.minter().urls();
  Response response = json_response(200, {{"username", credential.username},
                                          {"password", credential.password},
                                          {"ttl", credential.ttl.count()},
                                          {"uris", urls.turn}});
  add_links(response, urls, credential);
  return response;
}

Response CredentialViews::configuration(const Asking& asking) {
  const Request& request = asking.request;
  if (!reads(request) && request.method != Method::kPost) {
    return wrong_method(plain_error(405, "method-not-allowed", "this path takes other methods"),
                        "GET, HEAD, POST");
  }
  const auto permit = desk_.admit(asking.now, asking.source, shown(request), Accepts::kAll);
  if (!permit) return plain_denial(permit.error());
  auto [wish, problem] = wish_of(request);
  if (!problem.empty()) return plain_error(400, "bad-request", problem);
  const MintedCredential credential = desk_.mint(asking.now, *permit, wish);
  Response response = json_response(
      200, {{"iceServers", desk_.minter().ice_servers(credential)}, {"iceTransportPolicy", "all"}});
  add_links(response, desk_.minter().urls(), credential);
  return response;
}

Response CredentialViews::twilio(const Asking& asking, std::string_view account) {
  const Request& request = asking.request;
  if (request.method != Method::kPost) {
    return wrong_method(twilio_error(405, 20004, "Method not allowed"), "POST");
  }
  const auto permit =
      desk_.admit(asking.now, asking.source, basic_password(request), Accepts::kAll);
  if (!permit) {
    return permit.error() == Denial::kWrong ? twilio_error(401, 20003, "Authenticate")
                                            : twilio_error(429, 20429, "Too Many Requests");
  }
  MintWish wish;
  for (const std::string_view name : {"Ttl", "ttl"}) {
    const auto text = parameter(request, name);
    if (!text || wish.ttl) continue;
    wish.ttl = read_ttl(*text);
    if (!wish.ttl) return twilio_error(400, 20001, "Invalid TTL");
  }
  const auto sid = http::percent_decode(account);
  if (!sid || !is_credential_name(*sid)) return twilio_error(404, 20404, "Account not found");
  const MintedCredential credential = desk_.mint(asking.now, *permit, wish);
  const std::string date = mail_date(asking.now.wall);
  return json_response(201,
                       {{"username", credential.username},
                        {"password", credential.password},
                        {"ttl", std::to_string(credential.ttl.count())},
                        {"account_sid", *sid},
                        {"ice_servers", entries(desk_.minter().urls(), credential, OldName::kYes)},
                        {"date_created", date},
                        {"date_updated", date}});
}

Response CredentialViews::cloudflare(const Asking& asking, CloudflareShape shape) {
  const Request& request = asking.request;
  if (request.method != Method::kPost) {
    return wrong_method(cloudflare_error(405, 10405, "Method not allowed"), "POST");
  }
  const auto permit =
      desk_.admit(asking.now, asking.source, bearer_proof(request, {}), Accepts::kAll);
  if (!permit) {
    return permit.error() == Denial::kWrong ? cloudflare_error(401, 10000, "Authentication error")
                                            : cloudflare_error(429, 10429, "Too many requests");
  }
  MintWish wish;
  if (!request.body.empty()) {
    const bool readable = is_valid_utf8(request.body) && is_json(request.body);
    const auto body = readable ? JsonObject::parse(request.body) : std::nullopt;
    if (!body) return cloudflare_error(400, 10400, "The body must be a JSON object");
    if (const auto ttl = body->find("ttl")) wish.ttl = read_ttl(json_uint(*ttl));
    if (body->find("ttl") && !wish.ttl) return cloudflare_error(400, 10400, "Invalid ttl");
    if (const auto name = body->find("customIdentifier")) wish.name = json_string(*name);
    if (wish.name && !is_credential_name(*wish.name)) {
      return cloudflare_error(400, 10400, "Invalid customIdentifier");
    }
  }
  const MintedCredential credential = desk_.mint(asking.now, *permit, wish);
  if (shape == CloudflareShape::kList) {
    return json_response(201, {{"iceServers", desk_.minter().ice_servers(credential)}});
  }
  const IceUrls& urls = desk_.minter().urls();
  std::vector<std::string> all = urls.stun;
  all.insert(all.end(), urls.turn.begin(), urls.turn.end());
  return json_response(201, {{"iceServers",
                              {{"urls", std::move(all)},
                               {"username", credential.username},
                               {"credential", credential.password}}}});
}

Response CredentialViews::metered(const Asking& asking) {
  const Request& request = asking.request;
  if (!reads(request)) {
    return wrong_method(metered_error(405, "Method not allowed"), "GET, HEAD");
  }
  std::string key = bearer_proof(request, {"apiKey", "key", "token"});
  const bool given = !key.empty();
  const auto permit = desk_.admit(asking.now, asking.source, std::move(key), Accepts::kAll);
  if (!permit) {
    if (permit.error() == Denial::kTooOften) return metered_error(429, "Too many requests");
    return given ? metered_error(401, "Invalid API Key")
                 : metered_error(400, "Please specify API Key");
  }
  const MintedCredential credential = desk_.mint(asking.now, *permit, {});
  return json_response(200, entries(desk_.minter().urls(), credential, OldName::kNo));
}

}  // namespace turnpike::signaling
