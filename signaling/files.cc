#include "signaling/files.h"

#include <algorithm>

#include "base/text.h"

namespace turnpike::signaling {

using http::ByteRange;
using http::Request;
using http::Response;

namespace {

bool is_clean_name(std::string_view name) {
  if (name.empty() || name.front() == '.') return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return c == '\\' || c == '/' || byte < 0x20 || byte == 0x7f;
  });
}

std::string hex(std::uint64_t number) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  do {
    text.insert(text.begin(), kDigits[number & 15]);
    number >>= 4;
  } while (number != 0);
  return text;
}

// Relative links on a folder's page count from its slash.
Response add_slash(const Request& request) {
  Response response = http::text_response(301, "this is a folder\n");
  std::string location = std::string(request.path()) + "/";
  if (!request.query().empty()) location.append("?").append(request.query());
  response.headers.emplace_back("Location", std::move(location));
  return response;
}

Response listing(const Request& request, const FileAnswer& answer) {
  const std::string title =
      http::escape_html(http::percent_decode(request.path()).value_or(std::string(request.path())));
  Response response;
  response.content_type = "text/html; charset=utf-8";
  response.no_store = true;
  std::string& page = response.body;
  page = "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>" + title + "</title>\n<h1>" + title +
         "</h1>\n<ul>\n";
  for (const std::string& entry : answer.listing) {
    const bool folder = entry.ends_with('/');
    const std::string_view name =
        std::string_view(entry).substr(0, entry.size() - (folder ? 1 : 0));
    // "./" keeps a name with a colon from being read as a scheme.
    page += "<li><a href=\"./" + http::percent_encode(name) + (folder ? "/" : "") + "\">" +
            http::escape_html(entry) + "</a></li>\n";
  }
  page += "</ul>\n";
  return response;
}

bool not_modified(const Request& request, std::string_view etag, std::string_view modified) {
  if (request.count("if-none-match") > 0) return http::matches_etag(request, etag);
  return request.header("if-modified-since") == modified;
}

// RFC 9110 section 14.2: only for GET, and with If-Range only for the same representation.
ByteRange wanted_range(const Request& request, std::string_view etag, std::size_t size) {
  if (request.method != http::Method::kGet || request.count("range") != 1) return {};
  if (request.count("if-range") > 0 && request.header("if-range") != etag) return {};
  return http::judge_range(*request.header("range"), size);
}

Response file(const Request& request, const FileAnswer& answer) {
  Response response;
  response.page = Response::Page::kStatic;
  response.content_type =
      answer.is_index ? "text/html; charset=utf-8" : std::string(http::mime_type(request.path()));
  const std::size_t size = answer.content.size();
  const auto modified_at = static_cast<std::uint64_t>(answer.modified.since_epoch.count());
  const std::string etag = "\"" + hex(modified_at) + "-" + hex(size) + "\"";
  const std::string modified = http::http_date(answer.modified);
  response.headers = {{"ETag", etag}, {"Last-Modified", modified}, {"Accept-Ranges", "bytes"}};
  if (not_modified(request, etag, modified)) {
    response.status = 304;
    return response;
  }
  const ByteRange range = wanted_range(request, etag, size);
  switch (range.kind) {
    case ByteRange::Kind::kWhole:
      response.body = answer.content;
      break;
    case ByteRange::Kind::kPart:
      response.status = 206;
      response.body = answer.content.substr(range.first, range.count);
      response.headers.emplace_back("Content-Range",
                                    "bytes " + std::to_string(range.first) + "-" +
                                        std::to_string(range.first + range.count - 1) + "/" +
                                        std::to_string(size));
      break;
    case ByteRange::Kind::kUnsatisfiable:
      response.status = 416;
      response.headers.emplace_back("Content-Range", "bytes */" + std::to_string(size));
      break;
  }
  return response;
}

}  // namespace

std::optional<std::string> clean_path(std::string_view url_path) {
  if (!url_path.starts_with('/')) return std::nullopt;
  url_path.remove_prefix(1);
  if (url_path.empty()) return std::string();
  if (url_path.ends_with('/')) url_path.remove_suffix(1);
  std::string result;
  for (const std::string_view segment : split(url_path, '/')) {
    const auto name = http::percent_decode(segment);
    if (!name || !is_clean_name(*name) || !is_valid_utf8(*name)) return std::nullopt;
    if (!result.empty()) result.push_back('/');
    result += *name;
  }
  return result;
}

Response file_response(const Request& request, const FileAnswer& answer) {
  const bool slash = request.path().ends_with('/');
  switch (answer.kind) {
    case FileAnswer::Kind::kFile:
      if (answer.is_index == slash) return file(request, answer);
      if (answer.is_index) return add_slash(request);
      break;  // only folders have a slash at their end
    case FileAnswer::Kind::kDirectory:
      return slash ? listing(request, answer) : add_slash(request);
    case FileAnswer::Kind::kTooLarge:
      return http::text_response(503, "this file is too large to be served from here\n");
    case FileAnswer::Kind::kNotFound:
      break;
  }
  return http::text_response(404, "there is nothing here\n");
}

}  // namespace turnpike::signaling
