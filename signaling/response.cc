#include "signaling/response.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/text.h"
#include "signaling/json_text.h"

namespace turnpike::signaling::http {

namespace {

std::string_view reason(unsigned status) {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

// Our pages use scripts and styles of their own only; a camera's picture is a blob.
constexpr std::string_view kPagePolicy =
    "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    "media-src 'self' blob:; img-src 'self' data: blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'";
constexpr std::string_view kNoPagePolicy = "default-src 'none'; frame-ancestors 'none'";

bool has_content(unsigned status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

Response text_response(unsigned status, std::string_view text) {
  Response response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = text;
  response.no_store = true;
  return response;
}

Response error_json(unsigned status, std::string_view code, std::string_view why) {
  Response response;
  response.status = status;
  response.content_type = "application/json";
  response.no_store = true;
  response.body = "{\"error\":";
  append_json_string(response.body, code);
  response.body += ",\"message\":";
  append_json_string(response.body, why);
  response.body += "}\n";
  return response;
}

bool goes_on(const Response& response, const Request* request) {
  return request != nullptr && request->keep_alive && !response.close && !response.unending;
}

std::string serialise_head(const Response& response, const Request* request, WallTime now) {
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  head.reserve(1024);
  head.append(reason(response.status)).append("\r\n");
  const auto add = [&head](std::string_view name, std::string_view value) {
    head.append(name).append(": ").append(value).append("\r\n");
  };
  add("Date", http_date(now));
  if (response.status != 101) {
    if (has_content(response.status)) {
      if (!response.content_type.empty()) add("Content-Type", response.content_type);
      if (!response.unending) {
        add("Content-Length", std::to_string(response.content().size()));
      }
    }
    add("X-Content-Type-Options", "nosniff");
    add("Referrer-Policy", "no-referrer");
    if (response.page == Response::Page::kOurs) add("Content-Security-Policy", kPagePolicy);
    if (response.page == Response::Page::kNone) add("Content-Security-Policy", kNoPagePolicy);
    add("Cache-Control", response.no_store ? "no-store" : "no-cache");
    const auto origin = request == nullptr ? std::nullopt : request->header("origin");
    if (response.readers == Response::Readers::kCaller && origin) {
      add("Access-Control-Allow-Origin", *origin);
      add("Access-Control-Allow-Credentials", "true");
      add("Vary", "Origin");
    }
  }
  for (const auto& [name, value] : response.headers) add(name, value);
  if (response.status != 101) {
    if (!goes_on(response, request)) {
      add("Connection", "close");
    } else if (request->is_http_1_0) {
      add("Connection", "keep-alive");
    }
  }
  head.append("\r\n");
  return head;
}

std::string http_date(WallTime time) {
  using namespace std::chrono;
  static constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                            "Thu", "Fri", "Sat"};
  static constexpr std::array<std::string_view, 12> kMonths = {
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const sys_seconds instant{time.since_epoch};
  const auto day = floor<days>(instant);
  const year_month_day date{day};
  const hh_mm_ss clock{instant - day};
  const auto two = [](auto number) {
    std::string text = std::to_string(number);
    return text.size() < 2 ? "0" + text : text;
  };
  std::string text(kDays[weekday{day}.c_encoding()]);
  text += ", " + two(static_cast<unsigned>(date.day())) + " ";
  text += kMonths[static_cast<unsigned>(date.month()) - 1];
  text += " " + std::to_string(static_cast<int>(date.year())) + " " + two(clock.hours().count());
  text += ":" + two(clock.minutes().count()) + ":" + two(clock.seconds().count()) + " GMT";
  return text;
}

bool matches_etag(const Request& request, std::string_view etag) {
  for (const Header& header : request.headers) {
    if (header.name != "if-none-match") continue;
    for (std::string_view element : split(header.value, ',')) {
      element = trim(element);
      if (element.substr(0, 2) == "W/") element.remove_prefix(2);  // weak comparison
      if (element == "*" || element == etag) return true;
    }
  }
  return false;
}

std::string_view mime_type(std::string_view path) {
  struct Known {
    std::string_view extension, type;
  };
  static constexpr std::array<Known, 28> kKnown = {{
      {"html", "text/html; charset=utf-8"},
      {"htm", "text/html; charset=utf-8"},
      {"css", "text/css; charset=utf-8"},
      {"js", "text/javascript; charset=utf-8"},
      {"mjs", "text/javascript; charset=utf-8"},
      {"json", "application/json"},
      {"map", "application/json"},
      {"webmanifest", "application/manifest+json"},
      {"txt", "text/plain; charset=utf-8"},
      {"md", "text/plain; charset=utf-8"},
      {"xml", "application/xml"},
      {"svg", "image/svg+xml"},
      {"png", "image/png"},
      {"jpg", "image/jpeg"},
      {"jpeg", "image/jpeg"},
      {"gif", "image/gif"},
      {"webp", "image/webp"},
      {"ico", "image/x-icon"},
      {"wasm", "application/wasm"},
      {"woff", "font/woff"},
      {"woff2", "font/woff2"},
      {"ttf", "font/ttf"},
      {"mp3", "audio/mpeg"},
      {"ogg", "audio/ogg"},
      {"wav", "audio/wav"},
      {"mp4", "video/mp4"},
      {"webm", "video/webm"},
      {"pdf", "application/pdf"},
  }};
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  if (dot != std::string_view::npos) {
    for (const Known& known : kKnown) {
      if (equals_ignoring_case(name.substr(dot + 1), known.extension)) return known.type;
    }
  }
  return "application/octet-stream";
}

std::string escape_html(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result.push_back(c);
    }
  }
  return result;
}

ByteRange judge_range(std::string_view range, std::size_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!equals_ignoring_case(range.substr(0, kUnit.size()), kUnit)) return {};
  range = trim(range.substr(kUnit.size()));
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return {};
  const std::string_view from = range.substr(0, dash);
  const std::string_view to = range.substr(dash + 1);
  const auto first = parse_decimal(from);
  const auto last = parse_decimal(to);
  if ((!first && !from.empty()) || (!last && !to.empty()) || (!first && !last)) return {};
  if (!first) {  // the last so many bytes
    if (*last == 0 || size == 0) return {ByteRange::Kind::kUnsatisfiable, 0, 0};
    const std::size_t count = std::min<std::uint64_t>(*last, size);
    return {ByteRange::Kind::kPart, size - count, count};
  }
  if (last && *last < *first) return {};
  if (*first >= size) return {ByteRange::Kind::kUnsatisfiable, 0, 0};
  const std::uint64_t end = last ? std::min<std::uint64_t>(*last, size - 1) : size - 1;
  return {ByteRange::Kind::kPart, *first, end - *first + 1};
}

}  // namespace turnpike::signaling::http
