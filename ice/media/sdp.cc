#include "ice/media/sdp.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace turnpike::media {
namespace {

struct KindName {
  MediaKind kind;
  std::string_view name;
};
constexpr std::array<KindName, 3> kKinds = {{{MediaKind::kAudio, "audio"},
                                             {MediaKind::kVideo, "video"},
                                             {MediaKind::kData, "application"}}};

// The payload types that need no a=rtpmap (RFC 3551 section 6), as far as browsers know them.
struct StaticCodec {
  std::uint8_t payload_type;
  std::string_view name;
};
constexpr std::array<StaticCodec, 3> kStaticCodecs = {{{0, "PCMU"}, {8, "PCMA"}, {9, "G722"}}};

std::string_view before(std::string_view& rest, char separator) {
  const std::size_t at = rest.find(separator);
  const std::string_view head = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return head;
}

template <typename T>
std::optional<T> number(std::string_view text, std::uint64_t most) {
  const auto value = parse_decimal(text);
  if (!value || *value > most) return std::nullopt;
  return static_cast<T>(*value);
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> result;
  for (const std::string_view word : split(text, ' ')) {
    if (!word.empty()) result.emplace_back(word);
  }
  return result;
}

// What is said once for the session or anew for a section.
struct Transport {
  ice::IceCredentials ice;
  std::vector<Fingerprint> fingerprints;
  std::optional<Setup> setup;
  Direction direction = Direction::kSendRecv;
};

class Parser {
 public:
  Expected<Description> parse(std::string_view text);

 private:
  using Result = Expected<void>;
  // Nothing: not an attribute of this sort.
  using Maybe = std::optional<Result>;

  Result on_line(std::string_view line);
  Result on_media(std::string_view value);
  Result on_attribute(std::string_view name, std::string_view value);
  Maybe on_transport(std::string_view name, std::string_view value);
  Result on_session(std::string_view name, std::string_view value);
  Result on_section(std::string_view name, std::string_view value);
  Maybe on_codec(std::string_view name, std::string_view value);
  Maybe on_source(std::string_view name, std::string_view value);
  Result on_candidate(std::string_view value);
  Result on_extension(std::string_view value);
  Result on_group(std::string_view value);
  void finish_section();
  Codec* codec_of(std::string_view payload_type);

  template <typename T, typename U>
  static Result add(std::vector<T>& list, U&& value) {
    if (list.size() >= kMaxPerSection) return failure("the SDP has too many lines of one kind");
    list.push_back(std::forward<U>(value));
    return {};
  }

  Description description_;
  Transport session_;
  Transport section_;
  MediaSection* media_ = nullptr;
};

Expected<Description> Parser::parse(std::string_view text) {
  if (text.size() > kMaxSdpSize) return failure("the SDP is too long");
  bool first = true;
  while (!text.empty()) {
    std::string_view line = before(text, '\n');
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    if (line.size() > kMaxSdpLine) return failure("a line of the SDP is too long");
    if (line.size() < 2 || line[1] != '=') {
      return failure("a line of the SDP is not a letter, '=' and a value");
    }
    if (first && line != "v=0") return failure("the SDP does not begin with v=0");
    first = false;
    if (const Result result = on_line(line); !result) return unexpected(result.error());
  }
  if (first) return failure("the SDP is empty");
  finish_section();
  return std::move(description_);
}

Parser::Result Parser::on_line(std::string_view line) {
  std::string_view value = line.substr(2);
  switch (line[0]) {
    case 'o': {
      const auto parts = split(value, ' ');
      const auto version = parts.size() == 6 ? parse_decimal(parts[2]) : std::nullopt;
      if (!version || parts[1].empty()) return failure("the SDP's o= line is not understood");
      description_.session_id = parts[1];
      description_.version = *version;
      return {};
    }
    case 'm':
      return on_media(value);
    case 'a': {
      const std::string_view name = before(value, ':');
      return on_attribute(name, value);
    }
    default:
      return {};
  }
}

Parser::Result Parser::on_media(std::string_view value) {
  finish_section();
  if (description_.sections.size() >= kMaxSections) return failure("the SDP has too many sections");
  const std::vector<std::string> parts = words(value);
  if (parts.size() < 4) return failure("an m= line of the SDP is too short");
  MediaSection section;
  section.kind = MediaKind::kOther;
  section.media = parts[0];
  section.protocol = parts[2];
  for (const KindName& kind : kKinds) {
    if (kind.name == section.media) section.kind = kind.kind;
  }
  const bool sctp = section.protocol.find("SCTP") != std::string::npos;
  if ((section.kind == MediaKind::kData) != sctp) section.kind = MediaKind::kOther;
  // "9/2" is a port and how many follow it.
  const auto port = number<std::uint16_t>(split(parts[1], '/')[0], 65535);
  if (!port) return failure("the port of an m= line of the SDP is not a number");
  section.rejected = *port == 0;
  if (section.kind == MediaKind::kAudio || section.kind == MediaKind::kVideo) {
    if (parts.size() - 3 > kMaxPerSection) return failure("the SDP has too many payload types");
    for (std::size_t i = 3; i < parts.size(); ++i) {
      const auto payload_type = number<std::uint8_t>(parts[i], 127);
      if (!payload_type) return failure("a payload type of the SDP is not a number up to 127");
      Codec codec{.payload_type = *payload_type};
      for (const StaticCodec& known : kStaticCodecs) {
        if (known.payload_type != *payload_type) continue;
        codec.name = known.name;
        codec.clock_rate = 8000;
      }
      section.codecs.push_back(std::move(codec));
    }
  }
  description_.sections.push_back(std::move(section));
  media_ = &description_.sections.back();
  section_ = Transport{.direction = session_.direction};
  return {};
}

void Parser::finish_section() {
  if (media_ == nullptr) return;
  if (media_->bundle_only) media_->rejected = false;
  media_->direction = section_.direction;
  media_->ice = section_.ice.ufrag.empty() ? session_.ice : section_.ice;
  media_->fingerprints =
      section_.fingerprints.empty() ? session_.fingerprints : section_.fingerprints;
  media_->setup = section_.setup ? section_.setup : session_.setup;
  std::erase_if(media_->codecs, [](const Codec& codec) { return codec.name.empty(); });
  media_ = nullptr;
}

Parser::Result Parser::on_attribute(std::string_view name, std::string_view value) {
  if (auto result = on_transport(name, value)) return *result;
  return media_ == nullptr ? on_session(name, value) : on_section(name, value);
}

Parser::Maybe Parser::on_transport(std::string_view name, std::string_view value) {
  Transport& transport = media_ == nullptr ? session_ : section_;
  if (name == "ice-ufrag" || name == "ice-pwd") {
    const bool is_name = name == "ice-ufrag";
    if (value.size() > 256 || value.size() < (is_name ? 4u : 22u)) {
      return failure("the SDP's ICE credentials are too short or too long");
    }
    (is_name ? transport.ice.ufrag : transport.ice.password) = value;
    return Result{};
  }
  if (name == "fingerprint") {
    auto fingerprint = parse_fingerprint(value);
    // A hash that we do not have: another line may have one of ours.
    if (!fingerprint) return Result{};
    return add(transport.fingerprints, std::move(*fingerprint));
  }
  if (name == "setup") {
    if (value == "actpass") transport.setup = Setup::kActPass;
    if (value == "active") transport.setup = Setup::kActive;
    if (value == "passive") transport.setup = Setup::kPassive;
    return Result{};
  }
  if (name == "ice-options") {
    const auto options = words(value);
    if (std::find(options.begin(), options.end(), "trickle") != options.end()) {
      description_.trickle = true;
    }
    return Result{};
  }
  constexpr std::array<std::string_view, 4> kDirections = {"sendrecv", "sendonly", "recvonly",
                                                           "inactive"};
  const auto found = std::find(kDirections.begin(), kDirections.end(), name);
  if (found == kDirections.end()) return std::nullopt;
  transport.direction = static_cast<Direction>(found - kDirections.begin());
  return Result{};
}

Parser::Result Parser::on_session(std::string_view name, std::string_view value) {
  if (name == "ice-lite") description_.ice_lite = true;
  if (name == "group") return on_group(value);
  return {};
}

Parser::Result Parser::on_group(std::string_view value) {
  std::vector<std::string> parts = words(value);
  if (parts.empty() || parts[0] != "BUNDLE" || !description_.bundle.empty()) return {};
  if (parts.size() > kMaxSections + 1) return failure("the SDP's bundle is too long");
  parts.erase(parts.begin());
  description_.bundle = std::move(parts);
  return {};
}

Parser::Result Parser::on_section(std::string_view name, std::string_view value) {
  MediaSection& media = *media_;
  if (auto result = on_codec(name, value)) return *result;
  if (auto result = on_source(name, value)) return *result;
  if (name == "mid") {
    media.mid = value;
  } else if (name == "bundle-only") {
    media.bundle_only = true;
  } else if (name == "rtcp-mux") {
    media.rtcp_mux = true;
  } else if (name == "rtcp-rsize") {
    media.rtcp_reduced_size = true;
  } else if (name == "candidate") {
    return on_candidate(value);
  } else if (name == "end-of-candidates") {
    media.end_of_candidates = true;
  } else if (name == "extmap") {
    return on_extension(value);
  } else if (name == "msid") {
    media.stream = before(value, ' ');
    media.track = value;
  } else if (name == "sctp-port") {
    const auto port = number<std::uint16_t>(value, 65535);
    if (!port) return failure("the SDP's sctp-port is not a port");
    media.sctp_port = *port;
  } else if (name == "sctpmap") {
    // What older peers wrote (draft-ietf-mmusic-sctp-sdp before 21): the port comes first.
    if (const auto port = number<std::uint16_t>(before(value, ' '), 65535)) media.sctp_port = *port;
  } else if (name == "max-message-size") {
    const auto size = parse_decimal(value);
    if (!size) return failure("the SDP's max-message-size is not a number");
    media.max_message_size = *size;
  }
  return {};
}

Codec* Parser::codec_of(std::string_view payload_type) {
  const auto wanted = number<std::uint8_t>(payload_type, 127);
  for (Codec& codec : media_->codecs) {
    if (codec.payload_type == wanted) return &codec;
  }
  return nullptr;
}

Parser::Maybe Parser::on_codec(std::string_view name, std::string_view value) {
  if (name != "rtpmap" && name != "fmtp" && name != "rtcp-fb") return std::nullopt;
  const std::string_view payload_type = before(value, ' ');
  if (name == "rtcp-fb" && payload_type == "*") {
    for (Codec& codec : media_->codecs) {
      if (auto result = add(codec.feedback, std::string(value)); !result) return result;
    }
    return Result{};
  }
  Codec* codec = codec_of(payload_type);
  if (codec == nullptr) return Result{};  // not in the m= line: nobody can mean it
  if (name == "fmtp") {
    codec->parameters = value;
    return Result{};
  }
  if (name == "rtcp-fb") return add(codec->feedback, std::string(value));
  codec->name = before(value, '/');
  const auto clock_rate = number<std::uint32_t>(before(value, '/'), 0xffffffff);
  if (!clock_rate) return failure("the clock rate of an a=rtpmap of the SDP is not a number");
  codec->clock_rate = *clock_rate;
  if (!value.empty()) codec->channels = number<std::uint8_t>(value, 255).value_or(1);
  return Result{};
}

Parser::Maybe Parser::on_source(std::string_view name, std::string_view value) {
  if (name == "ssrc") {
    const auto ssrc = number<std::uint32_t>(before(value, ' '), 0xffffffff);
    if (!ssrc) return failure("an SSRC of the SDP is not a number");
    auto& sources = media_->sources;
    auto found = std::find_if(sources.begin(), sources.end(),
                              [ssrc](const Source& source) { return source.ssrc == *ssrc; });
    if (found == sources.end()) {
      if (auto result = add(sources, Source{*ssrc, {}}); !result) return result;
      found = std::prev(sources.end());
    }
    if (before(value, ':') == "cname") found->cname = value;
    return Result{};
  }
  if (name != "ssrc-group") return std::nullopt;
  SourceGroup group;
  for (const std::string& word : words(value)) {
    if (group.semantics.empty()) {
      group.semantics = word;
      continue;
    }
    const auto ssrc = number<std::uint32_t>(word, 0xffffffff);
    if (!ssrc) return failure("an SSRC of the SDP is not a number");
    if (auto result = add(group.ssrcs, *ssrc); !result) return result;
  }
  return add(media_->source_groups, std::move(group));
}

// What cannot be used (other address families, or half a line) is no reason to refuse the rest.
Parser::Result Parser::on_candidate(std::string_view value) {
  auto candidate = ice::parse_candidate("candidate:" + std::string(value));
  if (!candidate) return {};
  return add(media_->candidates, std::move(*candidate));
}

Parser::Result Parser::on_extension(std::string_view value) {
  // "1", or "1/sendonly".
  std::string_view head = before(value, ' ');
  const auto id = number<std::uint16_t>(before(head, '/'), 4095 + 256);
  if (!id) return failure("the number of an a=extmap of the SDP is not one");
  return add(media_->extensions, HeaderExtension{*id, std::string(before(value, ' '))});
}

}  // namespace

Direction reversed(Direction direction) {
  if (direction == Direction::kSendOnly) return Direction::kRecvOnly;
  if (direction == Direction::kRecvOnly) return Direction::kSendOnly;
  return direction;
}

bool is_codec(const Codec& codec, std::string_view name) {
  return equals_ignoring_case(codec.name, name);
}

std::optional<std::string_view> parameter_of(const Codec& codec, std::string_view name) {
  for (std::string_view parameter : split(codec.parameters, ';')) {
    parameter = trim(parameter);
    if (equals_ignoring_case(before(parameter, '='), name)) return parameter;
  }
  return std::nullopt;
}

const MediaSection* Description::of_mid(std::string_view mid) const {
  const auto found = std::find_if(sections.begin(), sections.end(),
                                  [mid](const MediaSection& s) { return s.mid == mid; });
  return found == sections.end() ? nullptr : &*found;
}

const MediaSection* Description::transport() const {
  for (const std::string& mid : bundle) {
    const MediaSection* section = of_mid(mid);
    if (section != nullptr && !section->rejected) return section;
  }
  return nullptr;
}

Expected<Description> parse_sdp(std::string_view text) { return Parser().parse(text); }

Expected<void> supports(const Description& theirs) {
  const MediaSection* transport = theirs.transport();
  if (transport == nullptr) return failure("the SDP has no BUNDLE group with a section to use");
  if (transport->ice.ufrag.empty() || transport->ice.password.empty()) {
    return failure("the SDP has no ICE credentials");
  }
  if (transport->fingerprints.empty()) return failure("the SDP has no fingerprint that is known");
  if (!transport->setup) return failure("the SDP has no a=setup");
  for (const MediaSection& section : theirs.sections) {
    if (section.rejected || section.kind == MediaKind::kOther) continue;
    const auto& bundle = theirs.bundle;
    if (std::find(bundle.begin(), bundle.end(), section.mid) == bundle.end()) {
      return failure("a section of the SDP is not in the BUNDLE group");
    }
    if (section.kind != MediaKind::kData && !section.rtcp_mux) {
      return failure("a section of the SDP is without rtcp-mux");
    }
  }
  return {};
}

}  // namespace turnpike::media
