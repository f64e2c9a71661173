// ChannelData: four bytes before the payload (RFC 8656 section 12.4).
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-------------------------------+-------------------------------+
//   |         channel number        |   length of the payload       |
//   +-------------------------------+-------------------------------+
//
// Over UDP what follows the payload in the datagram is padding; on streams the message is padded to
// four bytes; the length never counts it (section 12.5).
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/run.h"

namespace turnpike::turn {

inline constexpr std::uint16_t kFirstChannelNumber = 0x4000;
inline constexpr std::uint16_t kLastChannelNumber = 0x4FFF;         // RFC 8656 section 12
inline constexpr std::uint16_t kLastChannelNumberRfc5766 = 0x7FFF;  // its section 11
inline constexpr std::uint32_t kChannelDataHeaderSize = 4;

struct ChannelDataHeader {
  std::uint16_t number = 0;
  std::uint16_t length = 0;
  // As many payload bytes as the header promises are there (section 12.6).
  bool whole = false;
};

inline ChannelDataHeader read_channel_data(ByteView message) {
  Reader in(message);
  ChannelDataHeader header;
  header.number = in.u16();
  header.length = in.u16();
  header.whole = in.ok() && header.length <= in.remaining();
  return header;
}

inline std::array<std::uint8_t, kChannelDataHeaderSize> channel_data_header(std::uint16_t number,
                                                                            std::uint16_t length) {
  std::array<std::uint8_t, kChannelDataHeaderSize> bytes;
  Writer out(bytes);
  out.u16(number);
  out.u16(length);
  return bytes;
}

// ChannelData messages at the head of a train that may leave as one train of payloads: one channel,
// one length, and perhaps a shorter last one. An empty payload travels alone, since no train of
// datagrams can hold one.
struct ChannelDataTrain {
  ChannelDataHeader header;  // of the first; when it is not whole, only this one message is meant
  Run payloads;
};
ChannelDataTrain read_channel_data_train(const Run& run, std::uint32_t first);

}  // namespace turnpike::turn
