#include <algorithm>
#include <array>

#include "base/text.h"
#include "ice/media/sdp.h"

namespace turnpike::media {
namespace {

constexpr std::array<std::string_view, 4> kDirections = {"sendrecv", "sendonly", "recvonly",
                                                         "inactive"};
constexpr std::array<std::string_view, 3> kSetups = {"actpass", "active", "passive"};
constexpr std::string_view kDiscardPort = "9";  // RFC 8840 section 4.1.1: candidates tell the port

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [name](const std::string& candidate) {
    return equals_ignoring_case(candidate, name);
  });
}

class Lines {
 public:
  template <typename... Parts>
  void add(const Parts&... parts) {
    (append(parts), ...);
    text_ += "\r\n";
  }
  std::string take() { return std::move(text_); }

 private:
  void append(std::string_view text) { text_ += text; }
  void append(std::uint64_t number) { text_ += std::to_string(number); }

  std::string text_;
};

void write_codecs(Lines& out, const MediaSection& section) {
  for (const Codec& codec : section.codecs) {
    const std::uint64_t number = codec.payload_type;
    const std::uint64_t clock_rate = codec.clock_rate;
    const std::string channels = codec.channels > 1 ? "/" + std::to_string(codec.channels) : "";
    out.add("a=rtpmap:", number, " ", codec.name, "/", clock_rate, channels);
    for (const std::string& feedback : codec.feedback) {
      out.add("a=rtcp-fb:", number, " ", feedback);
    }
    if (!codec.parameters.empty()) out.add("a=fmtp:", number, " ", codec.parameters);
  }
}

void write_sources(Lines& out, const MediaSection& section) {
  for (const SourceGroup& group : section.source_groups) {
    std::string ssrcs;
    for (const std::uint32_t ssrc : group.ssrcs) ssrcs += " " + std::to_string(ssrc);
    out.add("a=ssrc-group:", group.semantics, ssrcs);
  }
  for (const Source& source : section.sources) {
    out.add("a=ssrc:", std::uint64_t{source.ssrc}, " cname:", source.cname);
    // Peers that do not read a=msid find the track here.
    if (!section.stream.empty() && !section.track.empty()) {
      out.add("a=ssrc:", std::uint64_t{source.ssrc}, " msid:", section.stream, " ", section.track);
    }
  }
}

void write_transport(Lines& out, const MediaSection& section, bool trickle) {
  for (const ice::ParsedCandidate& candidate : section.candidates) {
    // Only what we gathered can be written: addresses that UDP is spoken from.
    if (!candidate.udp || !candidate.host_name.empty()) continue;
    out.add("a=", ice::to_sdp(candidate.candidate));
  }
  if (section.end_of_candidates) out.add("a=end-of-candidates");
  if (!section.ice.ufrag.empty()) {
    out.add("a=ice-ufrag:", section.ice.ufrag);
    out.add("a=ice-pwd:", section.ice.password);
  }
  if (trickle) out.add("a=ice-options:trickle");
  for (const Fingerprint& fingerprint : section.fingerprints) {
    out.add("a=fingerprint:", to_sdp(fingerprint));
  }
  if (section.setup) out.add("a=setup:", kSetups[static_cast<std::size_t>(*section.setup)]);
}

void write_section(Lines& out, const MediaSection& section, bool trickle) {
  const bool data = section.kind == MediaKind::kData;
  std::string formats;
  for (const Codec& codec : section.codecs) formats += " " + std::to_string(codec.payload_type);
  // aiortc writes and expects the form before RFC 8841, which has the port as a format.
  const bool before_8841 = data && section.protocol == "DTLS/SCTP";
  if (data) formats = " webrtc-datachannel";
  if (before_8841) formats = " " + std::to_string(section.sctp_port);
  if (formats.empty()) formats = " 0";
  const std::string_view port = section.rejected || section.bundle_only ? "0" : kDiscardPort;
  out.add("m=", section.media, " ", port, " ", section.protocol, formats);
  out.add("c=IN IP4 0.0.0.0");
  if (!section.mid.empty()) out.add("a=mid:", section.mid);
  if (section.rejected) {
    out.add("a=inactive");
    return;
  }
  if (section.bundle_only) out.add("a=bundle-only");
  write_transport(out, section, trickle);
  if (data) {
    const std::uint64_t sctp_port{section.sctp_port};
    if (before_8841) out.add("a=sctpmap:", sctp_port, " webrtc-datachannel 65535");
    if (!before_8841) out.add("a=sctp-port:", sctp_port);
    out.add("a=max-message-size:", section.max_message_size);
    return;
  }
  if (section.kind == MediaKind::kOther) return;
  out.add("a=rtcp:9 IN IP4 0.0.0.0");
  for (const HeaderExtension& extension : section.extensions) {
    out.add("a=extmap:", std::uint64_t{extension.id}, " ", extension.uri);
  }
  out.add("a=", kDirections[static_cast<std::size_t>(section.direction)]);
  if (sends(section.direction) && !section.stream.empty()) {
    out.add("a=msid:", section.stream, section.track.empty() ? "" : " ", section.track);
  }
  if (section.rtcp_mux) out.add("a=rtcp-mux");
  if (section.rtcp_reduced_size) out.add("a=rtcp-rsize");
  write_codecs(out, section);
  write_sources(out, section);
}

// --- The answer

// The codecs that the settings name, and the retransmission formats of those.
std::vector<Codec> accepted_codecs(const MediaSection& offered, const AnswerSettings& settings) {
  const bool audio = offered.kind == MediaKind::kAudio;
  const std::vector<std::string>& wanted = audio ? settings.audio : settings.video;
  std::vector<Codec> codecs;
  for (const Codec& codec : offered.codecs) {
    if (!contains(wanted, codec.name)) continue;
    Codec accepted = codec;
    std::erase_if(accepted.feedback, [&settings](const std::string& feedback) {
      return !contains(settings.feedback, feedback);
    });
    codecs.push_back(std::move(accepted));
  }
  const std::size_t primary = codecs.size();
  for (const Codec& codec : offered.codecs) {
    const auto original = is_codec(codec, "rtx") ? parameter_of(codec, "apt") : std::nullopt;
    if (!original) continue;
    const bool kept = std::any_of(
        codecs.begin(), codecs.begin() + static_cast<std::ptrdiff_t>(primary),
        [&original](const Codec& c) { return std::to_string(c.payload_type) == *original; });
    if (kept) codecs.push_back(codec);
  }
  return codecs;
}

Direction answered(Direction offered, bool sending) {
  const bool receive = sends(offered);
  const bool send = receives(offered) && sending;
  if (send) return receive ? Direction::kSendRecv : Direction::kSendOnly;
  return receive ? Direction::kRecvOnly : Direction::kInactive;
}

void answer_media(MediaSection& answer, const MediaSection& offered, const AnswerSettings& settings,
                  std::size_t& next_ssrc) {
  answer.codecs = accepted_codecs(offered, settings);
  if (answer.codecs.empty()) {
    answer.rejected = true;
    answer.codecs = offered.codecs;  // a rejected section has formats as well, which mean nothing
    return;
  }
  answer.rtcp_mux = true;
  answer.rtcp_reduced_size = offered.rtcp_reduced_size;
  answer.direction = answered(offered.direction, settings.answers_media);
  for (const HeaderExtension& extension : offered.extensions) {
    if (contains(settings.extensions, extension.uri)) answer.extensions.push_back(extension);
  }
  if (!sends(answer.direction)) return;
  answer.stream = settings.stream;
  answer.track = answer.mid.empty() ? answer.media : answer.media + answer.mid;
  if (next_ssrc < settings.ssrcs.size()) {
    answer.sources.push_back({settings.ssrcs[next_ssrc++], settings.cname});
  }
}

}  // namespace

std::string to_sdp(const Description& description) {
  Lines out;
  out.add("v=0");
  out.add("o=- ", description.session_id, " ", description.version, " IN IP4 127.0.0.1");
  out.add("s=-");
  out.add("t=0 0");
  if (description.ice_lite) out.add("a=ice-lite");
  if (!description.bundle.empty()) {
    std::string mids;
    for (const std::string& mid : description.bundle) mids += " " + mid;
    out.add("a=group:BUNDLE", mids);
  }
  // Without it Firefox and old Chromium do not look at a=msid.
  out.add("a=msid-semantic: WMS *");
  for (const MediaSection& section : description.sections) {
    write_section(out, section, description.trickle);
  }
  return out.take();
}

Description answer_to(const Description& offer, const AnswerSettings& settings) {
  Description answer;
  answer.session_id = offer.session_id;
  answer.ice_lite = settings.ice_lite;
  answer.trickle = settings.trickle;
  std::size_t next_ssrc = 0;
  bool data = false;
  for (const MediaSection& offered : offer.sections) {
    MediaSection section;
    section.kind = offered.kind;
    section.media = offered.media;
    section.protocol = offered.protocol;
    section.mid = offered.mid;
    section.rejected = offered.rejected || offered.kind == MediaKind::kOther;
    if (section.rejected) {
      section.codecs = offered.codecs;
    } else if (offered.kind == MediaKind::kData) {
      section.rejected = !settings.data || data;  // one association is all that there is
      data = data || !section.rejected;
      section.max_message_size = settings.max_message_size;
    } else {
      answer_media(section, offered, settings, next_ssrc);
    }
    if (!section.rejected) {
      section.ice = settings.ice;
      section.fingerprints = {settings.fingerprint};
      const Setup theirs = offered.setup.value_or(Setup::kActPass);
      section.setup = theirs == Setup::kActPass   ? settings.setup
                      : theirs == Setup::kPassive ? Setup::kActive
                                                  : Setup::kPassive;
      if (answer.bundle.empty()) {
        section.candidates = settings.candidates;
        section.end_of_candidates = settings.end_of_candidates;
      }
      answer.bundle.push_back(section.mid);
    }
    answer.sections.push_back(std::move(section));
  }
  return answer;
}

}  // namespace turnpike::media
