#include "signaling/acme.h"

#include <algorithm>

namespace turnpike::signaling::acme {
namespace {

bool is_base64url(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

}  // namespace

bool is_below(std::string_view path) { return path.starts_with(kPrefix); }

std::optional<std::string> challenge_file(std::string_view path) {
  if (!path.starts_with(kPrefix)) return std::nullopt;
  const std::string_view token = path.substr(kPrefix.size());
  const bool good = !token.empty() && token.size() <= kMaxToken &&
                    std::all_of(token.begin(), token.end(), is_base64url);
  if (!good) return std::nullopt;
  return std::string(path.substr(1));
}

http::Response response(const FileAnswer& answer) {
  http::Response made = answer.kind == FileAnswer::Kind::kFile
                            ? http::text_response(200, answer.content)
                            : http::text_response(404, "there is no such challenge\n");
  made.no_store = true;
  return made;
}

}  // namespace turnpike::signaling::acme
