#include <algorithm>

#include "ice/media/sdp.h"
#include "ice/media/session.h"

namespace turnpike::media {

// RFC 8842 section 5: the answerer decides, and whoever is active is the DTLS client.
std::optional<DtlsRole> dtls_role(Setup ours, Setup theirs) {
  if (ours == theirs) return std::nullopt;
  if (ours == Setup::kActive || theirs == Setup::kPassive) return DtlsRole::kClient;
  return DtlsRole::kServer;
}

Expected<Session::Remote> remote_of(const Description& theirs, Setup ours) {
  if (const auto supported = supports(theirs); !supported) return unexpected(supported.error());
  const MediaSection& transport = *theirs.transport();
  const auto role = dtls_role(ours, *transport.setup);
  if (!role) return failure("the two a=setup leave open who begins with DTLS");
  Session::Remote remote;
  remote.role = *role;
  remote.fingerprints = transport.fingerprints;
  for (const MediaSection& section : theirs.sections) {
    if (section.kind != MediaKind::kData || section.rejected || remote.channels) continue;
    remote.channels = true;
    remote.sctp_port = section.sctp_port;
    remote.max_message_size = section.max_message_size;
  }
  return remote;
}

void set_clock_rates(Session& session, const Description& description) {
  for (const MediaSection& section : description.sections) {
    for (const Codec& codec : section.codecs) {
      session.set_clock_rate(codec.payload_type, codec.clock_rate);
    }
  }
}

}  // namespace turnpike::media
