// Channels: the data channels of one session (RFC 8831): streams of an SCTP association that are
// opened by DCEP, or by agreement, and closed by resetting the stream in both directions. Owned by
// a Session, on whose thread all of this runs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "ice/media/dcep.h"
#include "ice/media/sctp.h"
#include "ice/media/session.h"

namespace turnpike::media {

class Channels {
 public:
  struct Settings {
    DtlsRole role = DtlsRole::kClient;  // clients open even streams, servers odd ones
    SctpAssociation::Settings association;
    std::uint64_t max_message_size = 65536;  // to be sent; 0: no limit
  };
  // Messages and openings may be answered through the channels from inside on_channel_*.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void send_sctp(ByteView packet) = 0;
    virtual Session::Outputs& channel_outputs() = 0;
  };

  Channels(Settings settings, Owner& owner) : settings_(settings), owner_(owner) {}

  void start(MonoTime now);  // DTLS is up
  void on_packet(MonoTime now, ByteView packet);
  void on_time(MonoTime now);
  MonoTime next_deadline() const;
  void abort(MonoTime now);

  std::optional<ChannelId> open(MonoTime now, const ChannelOptions& options);
  bool send(MonoTime now, ChannelId id, MessageKind kind, ByteView message);
  void close(MonoTime now, ChannelId id);
  std::size_t buffered() const { return association_ == nullptr ? 0 : association_->buffered(); }

 private:
  struct Channel {
    ChannelOptions options;
    bool ours = false;       // we open it
    bool requested = false;  // our message is on its way
    bool open = false;       // on_channel_open() was called
    bool closing = false;    // by close(), or because the other side has reset its stream
    bool reset_sent = false;
    bool reset_by_peer = false;
  };

  void flush();
  void dispatch(MonoTime now);
  void on_event(MonoTime now, SctpAssociation::Event& event);
  void on_up(MonoTime now);
  void on_down();
  void on_message(MonoTime now, SctpAssociation::Event& event);
  void on_dcep(MonoTime now, ChannelId id, ByteView message);
  void on_peer_reset(MonoTime now, ChannelId id);
  void on_own_reset(ChannelId id);
  void announce(ChannelId id, Channel& channel);
  void announce_agreed();
  void request_open(MonoTime now);
  void reset_streams(MonoTime now);
  void remove(ChannelId id);
  std::optional<ChannelId> free_id() const;

  const Settings settings_;
  Owner& owner_;
  std::unique_ptr<SctpAssociation> association_;
  std::map<ChannelId, Channel> channels_;
  bool up_ = false;
  bool down_ = false;
  bool dispatching_ = false;
  std::size_t awaiting_open_ = 0;   // requests that had no room, agreements to be announced
  std::size_t awaiting_reset_ = 0;  // streams that wait for the reset before
};

}  // namespace turnpike::media
