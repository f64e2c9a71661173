#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/digest.h"
#include "server/option_sources.h"
#include "server/secret_file.h"

namespace turnpike::server {
namespace {

using nlohmann::json;

bool may_stand_in_file(const Option& option) { return option.apply != nullptr; }

// Line and column, and nothing of the text: it may hold a secret.
std::string not_json(const std::string& path, std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte == 0 ? 0 : byte - 1, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t start = before.rfind('\n');
  const std::size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
  return fmt::format(
      "{} is not valid JSON: look at line {}, column {} (comments are allowed, trailing commas are "
      "not)",
      path, line, column);
}

Expected<void> check_keys(const std::string& path, std::vector<std::string> keys) {
  for (const std::string& key : keys) {
    const Option* option = find_option(key);
    if (option == nullptr) {
      return failure(
          fmt::format("unknown key \"{}\" in {}{}", key, path, suggestion(key, SourceKind::kFile)));
    }
    if (!may_stand_in_file(*option)) {
      return failure(fmt::format("\"{}\" in {} belongs on the command line", key, path));
    }
  }
  std::sort(keys.begin(), keys.end());
  if (const auto twice = std::adjacent_find(keys.begin(), keys.end()); twice != keys.end()) {
    return failure(
        fmt::format("\"{}\" stands twice in {}: write it once, with an array if it may "
                    "be repeated",
                    *twice, path));
  }
  return {};
}

// The parsed object has every key once; what the text repeats is seen only while parsing.
Expected<json> parse(const std::string& path, std::string_view text) {
  std::vector<std::string> keys;
  const auto remember = [&keys](int depth, json::parse_event_t event, json& value) {
    if (depth == 1 && event == json::parse_event_t::key) keys.push_back(value.get<std::string>());
    return true;
  };
  json root;
  try {
    root = json::parse(text.begin(), text.end(), remember, true, true);
  } catch (const json::parse_error& error) {
    return failure(not_json(path, text, error.byte));
  }
  if (!root.is_object()) {
    return failure(fmt::format("{} must hold one object: {{\"realm\": \"example.org\"}}", path));
  }
  if (auto checked = check_keys(path, std::move(keys)); !checked) {
    return unexpected(std::move(checked.error()));
  }
  return root;
}

std::optional<std::string> scalar(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return std::string(value.get<bool>() ? "true" : "false");
  if (value.is_number_integer()) return value.dump();
  return std::nullopt;
}

std::string expected_form(const Option& option) {
  switch (option.arity) {
    case Arity::kFlag:
      return "true or false";
    case Arity::kOnce:
      return "one text or whole number";
    case Arity::kRepeatable:
      break;
  }
  return "a text or a whole number, or an array of them";
}

Expected<void> take(Source& source, const Option& option, const json& value) {
  const bool list = option.arity == Arity::kRepeatable && value.is_array();
  const json alone = list ? json() : json::array({value});
  for (const json& item : list ? value : alone) {
    auto text = scalar(item);
    if (!text || (option.arity == Arity::kFlag && !item.is_boolean())) {
      return failure(fmt::format("{} in {}: expected {}", spell(option.name, SourceKind::kFile),
                                 source.file, expected_form(option)));
    }
    source.given.push_back({&option, std::move(*text), {}});
  }
  return {};
}

Expected<Source> read_json(const std::string& path, std::string_view text) {
  const auto root = parse(path, text);
  if (!root) return unexpected(root.error());
  Source source;
  source.kind = SourceKind::kFile;
  source.file = path;
  for (const auto& [key, value] : root->items()) {
    if (auto taken = take(source, *find_option(key), value); !taken) {
      return unexpected(std::move(taken.error()));
    }
  }
  return source;
}

}  // namespace

bool is_turnserver_conf(std::string_view path, std::string_view text) {
  if (path.ends_with(".json") || path.ends_with(".jsonc")) return false;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return path.ends_with(".conf");
  const char first = text[start];
  return first != '{' && first != '[' && first != '/';
}

Expected<Source> read_config_file(const std::string& path) {
  auto file = read_option_file(path);
  if (!file) return unexpected(std::move(file.error()));
  auto source = is_turnserver_conf(path, file->content) ? read_turnserver_conf(path, file->content)
                                                        : read_json(path, file->content);
  wipe(file->content);
  if (source) source->others_may_read = file->others_may_read;
  return source;
}

}  // namespace turnpike::server
