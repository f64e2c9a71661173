#include "turn/channel_data.h"

namespace turnpike::turn {

ChannelDataTrain read_channel_data_train(const Run& run, std::uint32_t first) {
  ChannelDataTrain train;
  train.header = read_channel_data(run.segment(first));
  const std::uint32_t length = train.header.length;
  train.payloads = run.slice(first, 1);
  if (!train.header.whole) return train;

  std::uint32_t count = 1;
  std::uint32_t last = length;
  while (first + count < run.count && last == length) {
    const ChannelDataHeader next = read_channel_data(run.segment(first + count));
    const bool fits = next.whole && next.number == train.header.number && next.length > 0 &&
                      next.length <= length;
    if (!fits) break;
    last = next.length;
    ++count;
  }
  train.payloads.data += kChannelDataHeaderSize;
  train.payloads.size = length;
  train.payloads.last_size = last;
  train.payloads.count = count;
  return train;
}

}  // namespace turnpike::turn
