// coturn's turnserver.conf, read as coturn reads it: one key a line, then blanks or equals signs,
// then the value up to the end of the line, which may stand in double quotes; a line that begins
// with # is a comment. What becomes of a key says the table in coturn_keys.cc; options of our own
// may stand there too, which coturn passes over.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "server/coturn_keys.h"
#include "server/option_sources.h"

namespace turnpike::server {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\v\f";

struct Line {
  std::size_t number = 0;
  std::string_view key;
  std::string_view value;
};

std::string_view trimmed(std::string_view text) {
  const std::size_t start = text.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kBlanks) - start + 1);
}

std::string_view unquoted(std::string_view value) {
  if (!value.starts_with('"')) return value;
  value.remove_prefix(1);
  if (value.ends_with('"')) value.remove_suffix(1);
  return value;
}

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  std::size_t number = 0;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (const std::string_view whole : split(text, '\n')) {
    ++number;
    const std::string_view line = trimmed(whole);
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t end = std::min(line.find_first_of(" =\t"), line.size());
    const std::size_t start = std::min(line.find_first_not_of(" =\t", end), line.size());
    lines.push_back({number, line.substr(0, end), unquoted(line.substr(start))});
  }
  return lines;
}

bool may_stand_here(const Option& option) {
  return option.apply != nullptr && find_coturn_key(option.name) == nullptr;
}

std::string suggest(std::string_view word) {
  std::vector<std::string_view> names;
  for (const CoturnKey& key : coturn_keys()) names.push_back(key.name);
  for (const Option& option : option_table()) {
    if (may_stand_here(option)) names.push_back(option.name);
  }
  const std::size_t dashes = std::min(word.find_first_not_of('-'), word.size());
  const std::string_view bare = word.substr(dashes);
  if (dashes > 0 && std::find(names.begin(), names.end(), bare) != names.end()) {
    return fmt::format(": write it without dashes, {}", bare);
  }
  const auto nearest = nearest_name(bare, names);
  return nearest ? fmt::format("; did you mean {}?", *nearest) : "";
}

class Reader {
 public:
  explicit Reader(const std::string& path) {
    source_.kind = SourceKind::kFile;
    source_.file = path;
  }

  Expected<Source> read(std::string_view text) {
    for (Line& line : lines_of(text)) {
      if (auto taken = take(line); !taken) return unexpected(std::move(taken.error()));
    }
    keep_last_ones();
    warn();
    remark_on_credentials();
    add_defaults();
    source_.notices.push_back(fmt::format("{} was read as coturn's turnserver.conf", source_.file));
    return std::move(source_);
  }

 private:
  std::string place(const Line& line) const {
    return fmt::format("{} in {}, line {}", line.key, source_.file, line.number);
  }

  Expected<void> take(Line& line);
  Expected<void> take_known(Line& line, const CoturnKey& key);
  Expected<void> take_own(Line& line, const Option& option);
  void cut_comment(Line& line, bool secret);
  void give(const Line& line, std::string_view option, const std::string& text);
  void keep_last_ones();
  void warn();
  void remark_on_credentials();
  void add_defaults();
  bool gives(std::string_view option) const {
    return std::any_of(source_.given.begin(), source_.given.end(),
                       [option](const GivenOption& one) { return one.option->name == option; });
  }

  Source source_;
  std::set<std::string_view> seen_;
  std::map<std::string_view, std::string> without_effect_;  // by reason, the keys
};

// To coturn it is a part of the value; where that is a number or an address, it reads no further.
void Reader::cut_comment(Line& line, bool secret) {
  const std::size_t comment = std::min(line.value.find(" #"), line.value.find("\t#"));
  if (secret || comment == std::string_view::npos) return;
  line.value = unquoted(trimmed(line.value.substr(0, comment)));
  source_.warnings.push_back(fmt::format(
      "{}: what follows the # is taken for a comment; write it on a line of its own", place(line)));
}

void Reader::give(const Line& line, std::string_view option, const std::string& text) {
  const Option* ours = find_option(option);
  const bool secret = ours->secrecy == Secrecy::kSecret;
  const std::string key = secret || line.value.empty() ? std::string(line.key)
                                                       : fmt::format("{}={}", line.key, line.value);
  source_.given.push_back(
      {ours, text, fmt::format("{} in {}, line {}", key, source_.file, line.number)});
}

Expected<void> Reader::take(Line& line) {
  if (const CoturnKey* key = find_coturn_key(line.key)) return take_known(line, *key);
  const Option* option = find_option(line.key);
  if (option != nullptr && may_stand_here(*option)) return take_own(line, *option);
  return failure(fmt::format("unknown key {}{}", place(line), suggest(line.key)));
}

Expected<void> Reader::take_known(Line& line, const CoturnKey& key) {
  const Option* ours = key.option.empty() ? nullptr : find_option(key.option);
  cut_comment(line, ours == nullptr || ours->secrecy == Secrecy::kSecret);
  const auto refuse = [&](std::string_view reason) {
    return failure(fmt::format("{}: {}", place(line), reason));
  };
  if (key.form == KeyForm::kSwitch) {
    const auto on = parse_coturn_switch(line.value);
    if (!on) return refuse(on.error().message);
    if (!*on && ours == nullptr) {
      if (key.verdict != Verdict::kAccepted) return {};
      source_.warnings.push_back(fmt::format("{}: it is {}", place(line), key.note));
      return {};
    }
  }
  seen_.insert(key.name);
  if (key.verdict == Verdict::kRefused) return refuse(key.note);
  if (key.verdict == Verdict::kWarned) {
    std::string& keys = without_effect_[key.note];
    if (fmt::format(", {},", keys).find(fmt::format(" {},", key.name)) == std::string::npos) {
      keys += fmt::format("{}{}", keys.empty() ? "" : ", ", key.name);
    }
    return {};
  }
  if (ours == nullptr) return {};
  if (key.form == KeyForm::kText && line.value.empty()) return refuse("expected a value");
  if (key.translate == nullptr) {
    give(line, key.option, std::string(line.value));
    return {};
  }
  const auto translated = key.translate(line.value);
  if (!translated) return refuse(translated.error().message);
  for (const std::string& value : translated->values) {
    give(line, translated->option.empty() ? key.option : translated->option, value);
  }
  if (!translated->remark.empty()) {
    source_.warnings.push_back(fmt::format("{}: {}", place(line), translated->remark));
  }
  return {};
}

Expected<void> Reader::take_own(Line& line, const Option& option) {
  cut_comment(line, option.secrecy == Secrecy::kSecret);
  if (option.arity == Arity::kFlag) {
    const auto on = parse_coturn_switch(line.value);
    if (!on) return failure(fmt::format("{}: {}", place(line), on.error().message));
    give(line, option.name, *on ? "true" : "false");
    return {};
  }
  if (line.value.empty()) return failure(fmt::format("{}: expected a value", place(line)));
  give(line, option.name, std::string(line.value));
  return {};
}

// Options of ours that may be repeated, while coturn takes one value.
constexpr std::array<std::string_view, 2> kOnceInCoturn = {"cert", "pkey"};

bool is_list(const Option& option) {
  return option.arity == Arity::kRepeatable &&
         std::find(kOnceInCoturn.begin(), kOnceInCoturn.end(), option.name) == kOnceInCoturn.end();
}

// Of a key with one value coturn keeps what stands last.
void Reader::keep_last_ones() {
  std::vector<GivenOption> kept;
  for (auto given = source_.given.begin(); given != source_.given.end(); ++given) {
    const auto again =
        std::find_if(given + 1, source_.given.end(),
                     [given](const GivenOption& other) { return other.option == given->option; });
    if (is_list(*given->option) || again == source_.given.end()) {
      kept.push_back(std::move(*given));
    } else if (given->text != again->text) {
      source_.warnings.push_back(
          fmt::format("{}: a later line says otherwise, and counts", given->place));
    }
  }
  source_.given = std::move(kept);
}

void Reader::warn() {
  for (const auto& [reason, keys] : without_effect_) {
    source_.warnings.push_back(
        fmt::format("no effect here: {} in {}: {}", keys, source_.file, reason));
  }
}

void Reader::remark_on_credentials() {
  const bool secret = gives("static-auth-secret") || gives("static-auth-secret-file");
  const bool users = gives("user") || gives("user-file");
  if (seen_.contains("use-auth-secret") && !secret) {
    source_.warnings.push_back(fmt::format(
        "use-auth-secret in {} has no static-auth-secret, and there is no database to find one in: "
        "back ends need the secret of the state directory",
        source_.file));
  }
  if (secret && users) {
    source_.warnings.push_back(
        fmt::format("{} has users beside a shared secret: coturn refuses them then, here they may "
                    "relay; remove them if that is not meant",
                    source_.file));
  }
}

void Reader::add_defaults() {
  for (const CoturnDefault& one : coturn_defaults()) {
    if (gives(one.option)) continue;
    source_.given.push_back({find_option(one.option), std::string(one.value),
                             fmt::format("{}, coturn's default", one.option)});
  }
}

}  // namespace

Expected<Source> read_turnserver_conf(const std::string& path, std::string_view text) {
  return Reader(path).read(text);
}

}  // namespace turnpike::server
