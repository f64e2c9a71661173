#include "server/print_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/text.h"
#include "server/option_values.h"

namespace turnpike::server {
namespace {

using nlohmann::json;

// A line of the object, or only a comment.
struct Entry {
  std::string comment;
  std::string member;
};

// A comment ends with its line.
std::string on_one_line(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return line;
}

std::string in_quotes(std::string_view text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string to_json(const Option& option, std::string_view text) {
  if (option.arity == Arity::kFlag) return parse_switch(text).value_or(false) ? "true" : "false";
  const auto number = parse_decimal(text);
  return number && std::to_string(*number) == text ? std::string(text) : in_quotes(text);
}

Entry given(const Option& option, const std::vector<const Setting*>& settings) {
  std::string origins;
  std::string values;
  std::string_view last;
  for (const Setting* setting : settings) {
    if (setting->origin != last) {
      origins += fmt::format("{}{}", origins.empty() ? "" : "; ", on_one_line(setting->origin));
    }
    last = setting->origin;
    values += fmt::format("{}{}", values.empty() ? "" : ", ", to_json(option, setting->text));
  }
  if (option.secrecy == Secrecy::kSecret) {
    return {fmt::format("\"{}\": {} hidden ({})", option.name, settings.size(), origins), ""};
  }
  const bool list = option.arity == Arity::kRepeatable;
  return {origins, fmt::format("{}: {}{}{}", in_quotes(option.name), list ? "[" : "", values,
                               list ? "]" : "")};
}

// A default that is a value is printed as one, any other is a remark.
Entry fallback(const Option& option) {
  const bool list = option.arity == Arity::kRepeatable;
  if (option.arity == Arity::kFlag) return {"default", fmt::format("\"{}\": false", option.name)};
  if (!list && parse_decimal(option.fallback)) {
    return {"default", fmt::format("\"{}\": {}", option.name, option.fallback)};
  }
  return {fmt::format("\"{}\": {} (default)", option.name,
                      option.fallback.empty() ? "none" : option.fallback),
          ""};
}

bool settled_by_twin(const Option& option, std::span<const Setting> settings) {
  return std::any_of(settings.begin(), settings.end(), [&](const Setting& setting) {
    return setting.option->setting == option.setting;
  });
}

}  // namespace

std::string print_config(std::span<const Setting> settings) {
  std::vector<Entry> entries;
  for (const Option& option : option_table()) {
    if (option.apply == nullptr) continue;
    std::vector<const Setting*> mine;
    for (const Setting& setting : settings) {
      if (setting.option == &option) mine.push_back(&setting);
    }
    if (!mine.empty()) {
      entries.push_back(given(option, mine));
    } else if (option.name == option.setting && !settled_by_twin(option, settings)) {
      entries.push_back(fallback(option));
    }
  }
  std::size_t left = static_cast<std::size_t>(std::count_if(
      entries.begin(), entries.end(), [](const Entry& e) { return !e.member.empty(); }));
  std::string text = "{\n";
  for (const Entry& entry : entries) {
    text += fmt::format("  // {}\n", entry.comment);
    if (entry.member.empty()) continue;
    text += fmt::format("  {}{}\n", entry.member, --left > 0 ? "," : "");
  }
  return text + "}\n";
}

}  // namespace turnpike::server
