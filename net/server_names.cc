#include "net/server_names.h"

namespace turnpike::net {
namespace {

// A name in DNS has 253 characters at most; nothing longer is looked up.
constexpr std::size_t kLongestName = 255;

std::string lower(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

void ServerNames::add(std::string_view name, std::size_t certificate) {
  const bool wildcard = name.starts_with("*.");
  if (wildcard) name.remove_prefix(2);
  if (name.empty() || name.size() > kLongestName) return;
  (wildcard ? wildcards_ : exact_).emplace(lower(name), certificate);
}

std::optional<std::size_t> ServerNames::find(std::string_view host) const {
  if (host.empty() || host.size() > kLongestName) return std::nullopt;
  const std::string name = lower(host);
  if (const auto found = exact_.find(name); found != exact_.end()) return found->second;
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos || dot == 0) return std::nullopt;
  const auto found = wildcards_.find(std::string_view(name).substr(dot + 1));
  if (found == wildcards_.end()) return std::nullopt;
  return found->second;
}

}  // namespace turnpike::net
