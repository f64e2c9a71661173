// What tests of the tutorials' events share: pages on a TutorialEvents.
#pragma once

#include <memory>

#include "signaling/tutorial_events.h"
#include "tests/signaling/socketio_world.h"

namespace turnpike::signaling::testing {

class TutorialPages : public SocketIoPages {
 protected:
  explicit TutorialPages(TutorialEvents::Settings settings = {}, RoomTokens::Settings tokens = {})
      : tokens_(std::move(*RoomTokens::make(tokens))), events_(settings, wire_, random_, gate_) {}
  socketio::Server& server() override { return events_.server(); }

  // Pages of both protocols, in turns.
  std::vector<Page> enter_many(std::size_t count) {
    std::vector<Page> pages;
    for (std::size_t i = 0; i < count; ++i) pages.push_back(enter(i % 2 == 0 ? 4 : 3));
    return pages;
  }
  void expect_silence(const std::vector<Page>& pages) {
    for (const Page& page : pages) EXPECT_THAT(heard(page), ::testing::IsEmpty());
  }
  std::string with_id(std::string_view event, std::string_view room, const Page& page) {
    return "2[\"" + std::string(event) + "\"," + std::string(room) + ",\"" + page.id + "\"]";
  }

  RoomTokens tokens_;
  Gate gate_{tokens_};
  TutorialEvents events_;
};

}  // namespace turnpike::signaling::testing
