#include "ice/candidate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace turnpike::ice {
namespace {

constexpr std::size_t kMaxLine = 1024;
constexpr std::size_t kMaxFoundation = 32;  // RFC 8839 section 5.1

struct TypeRow {
  CandidateType type;
  std::string_view name;
  std::uint32_t preference;  // RFC 8445 section 5.1.2.2
};
constexpr std::array kTypes{
    TypeRow{CandidateType::kHost, "host", 126},
    TypeRow{CandidateType::kServerReflexive, "srflx", 100},
    TypeRow{CandidateType::kPeerReflexive, "prflx", 110},
    TypeRow{CandidateType::kRelayed, "relay", 0},
};

const TypeRow& row_of(CandidateType type) {
  return *std::find_if(kTypes.begin(), kTypes.end(),
                       [type](const TypeRow& row) { return row.type == type; });
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    if (end > 0) words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

template <typename Number>
bool read(std::string_view word, Number& number) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size();
}

bool equal_in_any_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// What follows the type: "raddr IP rport PORT", then extensions, which are ignored.
void read_related(const std::vector<std::string_view>& words, Candidate& candidate) {
  Address related;
  bool has_ip = false, has_port = false;
  for (std::size_t i = 8; i + 1 < words.size(); i += 2) {
    if (words[i] == "raddr") {
      const auto ip = IpAddress::parse(words[i + 1]);
      if (ip) related.ip = *ip;
      has_ip = ip.has_value();
    } else if (words[i] == "rport") {
      has_port = read(words[i + 1], related.port);
    }
  }
  if (has_ip && has_port) candidate.related = related;
}

}  // namespace

std::string_view name_of(CandidateType type) { return row_of(type).name; }

std::uint32_t priority_of(CandidateType type, std::uint16_t local_preference,
                          std::uint8_t component) {
  return row_of(type).preference << 24 | std::uint32_t{local_preference} << 8 | (256u - component);
}

std::uint64_t pair_priority(std::uint32_t controlling, std::uint32_t controlled) {
  const std::uint64_t low = std::min(controlling, controlled);
  const std::uint64_t high = std::max(controlling, controlled);
  return (low << 32) + 2 * high + (controlling > controlled ? 1 : 0);
}

std::string to_sdp(const Candidate& candidate) {
  std::string line = "candidate:" + candidate.foundation + ' ' +
                     std::to_string(candidate.component) + " udp " +
                     std::to_string(candidate.priority) + ' ' + candidate.address.ip.to_string() +
                     ' ' + std::to_string(candidate.address.port) + " typ ";
  line += name_of(candidate.type);
  if (candidate.related) {
    line += " raddr " + candidate.related->ip.to_string() + " rport " +
            std::to_string(candidate.related->port);
  }
  return line;
}

Expected<ParsedCandidate> parse_candidate(std::string_view line) {
  if (line.size() > kMaxLine) return failure("a candidate of more than 1024 characters");
  if (line.starts_with("a=")) line.remove_prefix(2);
  constexpr std::string_view kPrefix = "candidate:";
  if (!line.starts_with(kPrefix)) return failure("does not begin with candidate:");
  line.remove_prefix(kPrefix.size());
  const auto words = words_of(line);
  if (words.size() < 8 || words[6] != "typ") return failure("has fewer words than a candidate");
  ParsedCandidate parsed;
  Candidate& candidate = parsed.candidate;
  if (words[0].size() > kMaxFoundation) return failure("has a foundation of over 32 characters");
  candidate.foundation = words[0];
  if (!read(words[1], candidate.component) || candidate.component == 0) {
    return failure("has no component from 1 to 255");
  }
  parsed.udp = equal_in_any_case(words[2], "udp");
  if (!read(words[3], candidate.priority)) return failure("has no priority");
  if (const auto ip = IpAddress::parse(words[4])) {
    candidate.address.ip = *ip;
  } else {
    parsed.host_name = words[4];
  }
  if (!read(words[5], candidate.address.port)) return failure("has no port");
  const auto type = std::find_if(kTypes.begin(), kTypes.end(),
                                 [&](const TypeRow& row) { return row.name == words[7]; });
  if (type == kTypes.end()) return failure("is of a type that is not known");
  candidate.type = type->type;
  read_related(words, candidate);
  return parsed;
}

}  // namespace turnpike::ice
