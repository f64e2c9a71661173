#include "turn/sink.h"

namespace turnpike::turn {

bool Sink::connect(RelayHandle, const Address&, DataName) { return false; }
void Sink::splice(DataName, const Path&) {}
void Sink::close_data(DataName) {}
void Sink::hand_over(const Path&, std::uint32_t) {}
void Sink::forward(const Path&, std::uint32_t, const Run&) {}

}  // namespace turnpike::turn
