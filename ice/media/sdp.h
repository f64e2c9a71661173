// The part of SDP (RFC 8866) that WebRTC endpoints agree on: BUNDLE (RFC 9143) with rtcp-mux, one
// ICE and DTLS transport, audio, video and data channels. parse_sdp() takes what browsers, aiortc
// and pion write; what it does not know it skips. to_sdp() writes what they accept. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "ice/agent.h"
#include "ice/candidate.h"
#include "ice/media/fingerprint.h"

namespace turnpike::media {

inline constexpr std::size_t kMaxSdpSize = 256 * 1024;
inline constexpr std::size_t kMaxSdpLine = 8 * 1024;
inline constexpr std::size_t kMaxSections = 64;
// Of one section, each: codecs, extensions, sources, candidates, fingerprints, feedback lines.
inline constexpr std::size_t kMaxPerSection = 256;

enum class MediaKind : std::uint8_t { kAudio, kVideo, kData, kOther };
enum class Direction : std::uint8_t { kSendRecv, kSendOnly, kRecvOnly, kInactive };
enum class Setup : std::uint8_t { kActPass, kActive, kPassive };  // RFC 8842 section 5

Direction reversed(Direction direction);  // as the other side says it
constexpr bool sends(Direction d) { return d == Direction::kSendRecv || d == Direction::kSendOnly; }
constexpr bool receives(Direction d) {
  return d == Direction::kSendRecv || d == Direction::kRecvOnly;
}

struct Codec {
  std::uint8_t payload_type = 0;
  std::string name;  // as written: "opus", "VP8", "rtx"
  std::uint32_t clock_rate = 0;
  std::uint8_t channels = 1;
  std::string parameters;             // a=fmtp without the payload type
  std::vector<std::string> feedback;  // a=rtcp-fb without it: "nack pli"
  bool operator==(const Codec&) const = default;
};
// Names are compared without case.
bool is_codec(const Codec& codec, std::string_view name);
// "minptime" of "minptime=10;useinbandfec=1".
std::optional<std::string_view> parameter_of(const Codec& codec, std::string_view name);

struct HeaderExtension {
  std::uint16_t id = 0;
  std::string uri;
  bool operator==(const HeaderExtension&) const = default;
};

struct Source {
  std::uint32_t ssrc = 0;
  std::string cname;
  bool operator==(const Source&) const = default;
};
struct SourceGroup {
  std::string semantics;  // "FID"
  std::vector<std::uint32_t> ssrcs;
  bool operator==(const SourceGroup&) const = default;
};

struct MediaSection {
  MediaKind kind = MediaKind::kAudio;
  std::string media;         // "audio", "video", "application", or what it was
  std::string protocol;      // "UDP/TLS/RTP/SAVPF", "UDP/DTLS/SCTP"
  bool rejected = false;     // port 0, and not bundle-only
  bool bundle_only = false;  // port 0 because it has no transport of its own
  std::string mid;
  Direction direction = Direction::kSendRecv;

  std::vector<Codec> codecs;  // the preferred one first
  std::vector<HeaderExtension> extensions;
  std::vector<Source> sources;
  std::vector<SourceGroup> source_groups;
  std::string stream, track;  // a=msid; empty when it was not told, "-" is no stream
  bool rtcp_mux = false;
  bool rtcp_reduced_size = false;

  // Of this section, or of the session where the section says nothing.
  ice::IceCredentials ice;
  std::vector<Fingerprint> fingerprints;
  std::optional<Setup> setup;
  std::vector<ice::ParsedCandidate> candidates;
  bool end_of_candidates = false;

  std::uint16_t sctp_port = 5000;          // RFC 8841
  std::uint64_t max_message_size = 65536;  // when nothing is said; 0: no limit
};

struct Description {
  std::string session_id = "1";  // decimal
  std::uint64_t version = 1;
  bool ice_lite = false;
  bool trickle = false;
  std::vector<std::string> bundle;  // the mids of the first BUNDLE group
  std::vector<MediaSection> sections;

  // The section whose transport the bundle uses (RFC 9143 section 7.2): the first of the group that
  // is not rejected. nullptr: nothing is bundled.
  const MediaSection* transport() const;
  const MediaSection* of_mid(std::string_view mid) const;
};

// The Error says what is wrong with the text. Not bundled, without rtcp-mux, without fingerprint:
// all that parses; supports() tells.
Expected<Description> parse_sdp(std::string_view text);
// Whether a Session can talk to this: one bundle of everything that is not rejected, rtcp-mux,
// credentials, a fingerprint, a setup. The Error says what is missing.
Expected<void> supports(const Description& theirs);

std::string to_sdp(const Description& description);

// What an answerer decides.
struct AnswerSettings {
  ice::IceCredentials ice;
  Fingerprint fingerprint;
  Setup setup = Setup::kActive;  // what is answered to actpass
  bool ice_lite = false;
  bool trickle = true;
  std::vector<ice::ParsedCandidate> candidates;  // of the transport section
  bool end_of_candidates = false;
  // Codec names in no particular order; the offer's preferences hold. "rtx" is kept with its codec.
  std::vector<std::string> audio = {"opus", "PCMU", "PCMA", "telephone-event"};
  std::vector<std::string> video = {"VP8", "VP9", "H264", "AV1"};
  std::vector<std::string> extensions;  // URIs to accept
  std::vector<std::string> feedback = {"nack", "nack pli", "ccm fir", "goog-remb"};
  bool data = true;
  bool answers_media = true;  // send as well: sendrecv is answered by sendrecv, else by recvonly
  std::string stream = "turnpike", cname = "turnpike";
  std::vector<std::uint32_t> ssrcs;  // for the sections that send, in order
  std::uint64_t max_message_size = 262144;
};
// The answer to an offer that supports() accepts. Sections nothing is accepted of are rejected.
Description answer_to(const Description& offer, const AnswerSettings& settings);

}  // namespace turnpike::media
