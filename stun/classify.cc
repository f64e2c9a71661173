#include "stun/classify.h"

namespace turnpike::stun {

PacketKind classify(ByteView packet) {
  if (packet.empty()) return PacketKind::kUnknown;
  const std::uint8_t first = packet.front();
  if (first <= 3) return PacketKind::kStun;
  if (first < 16) return PacketKind::kUnknown;
  if (first <= 19) return PacketKind::kZrtp;
  if (first <= 63) return PacketKind::kDtls;
  if (first <= 127) return PacketKind::kChannelData;
  if (first <= 191) return PacketKind::kRtp;
  return PacketKind::kUnknown;
}

}  // namespace turnpike::stun
