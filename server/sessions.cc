#include "server/sessions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

namespace turnpike::server {
namespace {

template <typename Number>
bool read(std::string_view text, Number& number, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::string SessionId::to_string() const { return fmt::format("{}-{:x}", worker, allocation); }

std::optional<SessionId> SessionId::parse(std::string_view text) {
  const std::size_t dash = text.find('-');
  SessionId id;
  if (dash == std::string_view::npos || !read(text.substr(0, dash), id.worker, 10) ||
      !read(text.substr(dash + 1), id.allocation, 16)) {
    return std::nullopt;
  }
  return id;
}

bool is_meant(const SessionWish& wish, std::string_view name) {
  if (wish.names.empty()) return true;
  return std::any_of(wish.names.begin(), wish.names.end(), [name](const std::string& one) {
    return name.starts_with(one) && (name.size() == one.size() || name[one.size()] == '~');
  });
}

SessionPage merge(std::vector<SessionPage> pages, std::size_t limit) {
  SessionPage all;
  for (SessionPage& page : pages) {
    all.more = all.more || page.more;
    std::move(page.rows.begin(), page.rows.end(), std::back_inserter(all.rows));
  }
  std::sort(all.rows.begin(), all.rows.end(),
            [](const SessionRow& a, const SessionRow& b) { return a.id < b.id; });
  if (all.rows.size() > limit) {
    all.rows.resize(limit);
    all.more = true;
  }
  return all;
}

}  // namespace turnpike::server
