#include "base/log_format.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/address.h"
#include "base/text.h"

namespace turnpike::log {
namespace {

using std::string;
using std::string_view;

constexpr std::size_t kLongestAddress = 45;  // an IPv6 address that ends like one of IPv4

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

string time_of(const Line& line) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(line.time);
  const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(line.time - whole);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(whole)), rest.count());
}

// A JSON string. What is no UTF-8 cannot stand in one.
string in_quotes(string_view text) {
  const bool valid = is_valid_utf8(text);
  string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    const bool foreign = is_control(c) || (!valid && static_cast<unsigned char>(c) >= 0x80);
    result += foreign ? '?' : c;
  }
  return result + '"';
}

bool needs_quotes(string_view text) {
  return text.empty() || text.find_first_of(" \"=") != string_view::npos;
}

string in_text(const Field& field) {
  if (const auto* number = std::get_if<std::uint64_t>(&field.value)) {
    return fmt::format("{}={}", field.name, *number);
  }
  if (const auto* number = std::get_if<double>(&field.value)) {
    return fmt::format("{}={:.3f}", field.name, *number);
  }
  const string text = without_controls(std::get<string_view>(field.value));
  return fmt::format("{}={}", field.name, needs_quotes(text) ? in_quotes(text) : text);
}

string in_json(const Field& field) {
  if (const auto* number = std::get_if<std::uint64_t>(&field.value)) {
    return fmt::format("\"{}\":{}", field.name, *number);
  }
  if (const auto* number = std::get_if<double>(&field.value)) {
    return fmt::format("\"{}\":{:.3f}", field.name, *number);
  }
  return fmt::format("\"{}\":{}", field.name, in_quotes(std::get<string_view>(field.value)));
}

bool is_hexadecimal(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool may_be_address(char c) { return is_hexadecimal(c) || c == ':' || c == '.'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// The longest beginning of `text` that is an address: what follows may be a port or the end of a
// sentence.
struct Found {
  IpAddress ip;
  std::size_t size = 0;
};
std::optional<Found> leading_address(string_view text) {
  for (std::size_t size = std::min(text.size(), kLongestAddress); size > 1; --size) {
    const char next = size < text.size() ? text[size] : ' ';
    if (next != ' ' && next != ':' && next != '.') continue;
    if (const auto ip = IpAddress::parse(text.substr(0, size))) return Found{*ip, size};
  }
  return std::nullopt;
}

string network_of(const IpAddress& ip) {
  if (ip.is_any() || ip.is_loopback()) return ip.to_string();
  if (ip.is_v4()) {
    const string text = ip.to_string();
    return text.substr(0, text.rfind('.')) + ".x";
  }
  std::array<std::uint8_t, 16> network{};
  std::copy_n(ip.bytes().begin(), 6, network.begin());
  return IpAddress::v6(network).to_string() + "x";  // it ends with "::"
}

}  // namespace

string render(Format format, Fields fields) {
  string text;
  for (const Field& field : fields) {
    text += format == Format::kJson ? ',' : ' ';
    text += format == Format::kJson ? in_json(field) : in_text(field);
  }
  return text;
}

string to_text(const Line& line, Head head) {
  const string start =
      head == Head::kFull ? fmt::format("{} {} ", time_of(line), to_word(line.level)) : "";
  return fmt::format("{}{}{}", start, line.sentence, line.fields);
}

string to_json(const Line& line) {
  return fmt::format(R"({{"time":"{}","level":"{}","message":{}{}}})", time_of(line),
                     to_word(line.level), in_quotes(line.sentence), line.fields);
}

string without_controls(string_view text) {
  string clean(text);
  std::replace_if(clean.begin(), clean.end(), is_control, '?');
  return clean;
}

string without_addresses(string_view text) {
  string result;
  for (std::size_t at = 0; at < text.size();) {
    if (!may_be_address(text[at])) {
      result += text[at++];
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && may_be_address(text[end])) ++end;
    const string_view run = text.substr(at, end - at);
    const bool word =
        (at > 0 && is_letter(text[at - 1])) || (end < text.size() && is_letter(text[end]));
    const auto found = word ? std::nullopt : leading_address(run);
    result += found ? network_of(found->ip) : "";
    result += run.substr(found ? found->size : 0);
    at = end;
  }
  return result;
}

string_view to_word(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "";
}

}  // namespace turnpike::log
