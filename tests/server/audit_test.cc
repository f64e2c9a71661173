// The audit of a whole server: accounts that agree, and each way in which they may not.
#include "server/audit.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "server/shared_quota.h"
#include "server/standstill.h"

namespace turnpike::server {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Address address(const char* text) { return *Address::parse(text); }

turn::Path path(turn::Transport transport, std::uint64_t stream, const char* remote) {
  turn::Path made;
  made.transport = transport;
  made.stream = stream;
  made.remote = address(remote);
  return made;
}

// Two workers: alice on UDP at the first one, bob on TLS at the second one, who has also reserved a
// port.
class ServerAudit : public ::testing::Test {
 protected:
  ServerAudit() : workers_(2) {
    add(0, {turn::Transport::kUdp, 0, "alice", "192.0.2.1:5", "10.0.0.1:50000", 11});
    add(1, {turn::Transport::kTls, 7, "bob", "192.0.2.2:6", "10.0.0.1:50001", 12});
    workers_[1].worker = 1;
    workers_[1].privileged_streams = {7};
    workers_[1].relay.promised = {99};
    shared_.reserved.push_back({99, address("10.0.0.1:50002"), {"bob", bob()}});
    shared_.booked.charge({"bob", bob()});
    shared_.open = {.datagram = 3, .listening = 2, .connected = 4, .local = 5, .other = 9};
    shared_.own = {.listening = 2, .connected = 4, .local = 5, .other = 10};
    shared_.other_at_start = 9;
    for (WorkerAccount& worker : workers_) worker.descriptors.datagram = 1;
  }

  struct Client {
    turn::Transport transport;
    std::uint64_t stream;
    const char* name;
    const char* remote;
    const char* relayed;
    std::uint64_t number;
  };
  void add(std::uint32_t worker, const Client& client) {
    turn::Server::Holding holding;
    holding.label = "allocation " + std::to_string(client.number);
    holding.allocation = client.number;
    holding.charged = {client.name, address(client.remote).ip};
    holding.relays = {{{client.number + 100}, address(client.relayed)}};
    holding.paths = {path(client.transport, client.stream, client.remote)};
    workers_[worker].relay.held.push_back(holding);
    workers_[worker].sockets.push_back(
        {{client.number + 100}, address(client.relayed), client.number});
    shared_.live.routes.push_back({address(client.relayed), {worker, client.number}});
    ++shared_.live.counted;
    shared_.booked.charge(holding.charged);
  }
  static IpAddress bob() { return address("192.0.2.2:6").ip; }

  std::vector<std::string> found() {
    for (WorkerAccount& worker : workers_) worker.findings = judge(worker);
    return judge(shared_, workers_).sentences();
  }

  std::vector<WorkerAccount> workers_;
  SharedAccount shared_;
};

TEST_F(ServerAudit, FindsNothingWhereAllAgree) { EXPECT_THAT(found(), IsEmpty()); }

TEST_F(ServerAudit, FindsQuotaThatWasNotGivenBack) {
  shared_.booked.charge({"carol", address("192.0.2.9:1").ip});
  EXPECT_THAT(found(), ElementsAre("quota of the whole server: 4 counted, 3 there",
                                   "quota of carol: 1 counted, 0 there",
                                   "quota of address 192.0.2.9: 1 counted, 0 there"));
}

TEST_F(ServerAudit, FindsAnAllocationWithoutASocket) {
  workers_[0].sockets.clear();
  EXPECT_THAT(found(), Contains("allocation 11 has no socket at 10.0.0.1:50000"));
  EXPECT_THAT(found(), Contains(HasSubstr("10.0.0.1:50000 leads to allocation b of worker 0, "
                                          "which has no socket there")));
}

TEST_F(ServerAudit, FindsASocketWithoutAnAllocation) {
  workers_[0].relay.held.clear();
  EXPECT_THAT(found(), Contains("the socket at 10.0.0.1:50000 is no allocation's"));
  EXPECT_THAT(found(), Contains("quota of alice: 1 counted, 0 there"));
}

TEST_F(ServerAudit, FindsASocketOfAnotherAllocation) {
  workers_[0].sockets.front().owner = 4711;
  EXPECT_THAT(found(), Contains(HasSubstr("or another's")));
  EXPECT_THAT(found(), Contains("10.0.0.1:50000 leads to allocation b of worker 0, and belongs to "
                                "1267 of worker 0"));
}

TEST_F(ServerAudit, FindsARelayedAddressThatIsNotKnownToBeLive) {
  shared_.live.routes.erase(shared_.live.routes.begin());
  EXPECT_THAT(found(), ElementsAre("live relayed addresses: 2 counted, 1 there",
                                   "10.0.0.1:50000 of allocation b of worker 0 is not known to be "
                                   "live"));
}

TEST_F(ServerAudit, FindsARelayedAddressThatLeadsToTheWrongWorker) {
  shared_.live.routes[0].second.worker = 1;
  EXPECT_THAT(found(), ElementsAre("10.0.0.1:50000 leads to allocation b of worker 1, and belongs "
                                   "to b of worker 0"));
}

TEST_F(ServerAudit, FindsAConnectionThatIsLostOrHasNoLimitForNothing) {
  workers_[1].privileged_streams = {8};
  EXPECT_THAT(found(), ElementsAre("allocation 12 has lost its connection with 192.0.2.2:6",
                                   "1 connections have no limit and no allocation"));
  workers_[1].privileged_streams = {7};
  workers_[1].privileged_sessions = {1, 2};
  EXPECT_THAT(found(), ElementsAre("2 DTLS sessions have no limit and no allocation"));
}

TEST_F(ServerAudit, FindsAReservationThatNobodyGivesBack) {
  workers_[1].relay.promised.clear();
  EXPECT_THAT(found(), ElementsAre("10.0.0.1:50002 is reserved for bob, and nobody will give it "
                                   "back"));
}

TEST_F(ServerAudit, FindsAReservedPortThatIsInUse) {
  shared_.reserved.front().local = address("10.0.0.1:50000");
  EXPECT_THAT(found(), ElementsAre("10.0.0.1:50000 is reserved and an allocation's as well"));
}

TEST_F(ServerAudit, FindsDescriptorsThatNobodyExplains) {
  ++shared_.open.datagram;
  --shared_.open.connected;
  EXPECT_THAT(found(), ElementsAre("descriptors: 4 sockets for datagrams open, 3 explained",
                                   "descriptors: 3 connections open, 4 explained"));
}

TEST_F(ServerAudit, FilesMayBeBeingReadAndMayNotBeLost) {
  shared_.open.other = 10;
  EXPECT_THAT(found(), IsEmpty());
  shared_.open.other = 11;
  EXPECT_THAT(found(), ElementsAre("descriptors: 11 files, pipes and event loops open, 10 "
                                   "explained"));
  shared_.open.other = 8;
  EXPECT_EQ(found().size(), 1u);
}

TEST(DescriptorCount, TellsTheKindsApart) {
  const auto before = count_descriptors();
  ASSERT_TRUE(before);
  const std::array<int, 5> made = {::socket(AF_INET, SOCK_DGRAM, 0),
                                   ::socket(AF_INET, SOCK_STREAM, 0),
                                   ::socket(AF_INET, SOCK_STREAM, 0),
                                   ::socket(AF_UNIX, SOCK_DGRAM, 0), ::open("/dev/null", O_RDONLY)};
  ASSERT_EQ(::listen(made[1], 1), 0);
  const auto after = count_descriptors();
  for (const int fd : made) ::close(fd);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->datagram, before->datagram + 1);
  EXPECT_EQ(after->listening, before->listening + 1);
  EXPECT_EQ(after->connected, before->connected + 1);
  EXPECT_EQ(after->local, before->local + 1);
  EXPECT_EQ(after->other, before->other + 1);
  EXPECT_EQ(count_descriptors()->total(), before->total());
}

TEST(SharedQuotaLedger, SaysWhatIsBooked) {
  SharedQuota quota({.per_user = 10});
  const turn::QuotaSubject minted{"member-x~9af01c22", *IpAddress::parse("2001:db8::1")};
  const turn::QuotaSubject plain{"alice", *IpAddress::parse("192.0.2.1")};
  turn::QuotaLedger held;
  for (const auto& subject : {minted, plain, plain}) {
    ASSERT_EQ(quota.charge(subject), turn::QuotaVerdict::kGranted);
    held.charge(subject);
  }
  Findings findings;
  compare(quota.ledger(), held, findings);
  EXPECT_THAT(findings.sentences(), IsEmpty());
  quota.release(plain);
  compare(quota.ledger(), held, findings);
  EXPECT_EQ(findings.count(), 3u);
}

TEST(StandstillTest, NobodyGoesOnBeforeTheHostHasSeenAllAccounts) {
  Standstill<int> meeting(2);
  std::atomic<int> gone{0};
  std::vector<std::thread> guests;
  for (int i = 1; i <= 2; ++i) {
    guests.emplace_back([&meeting, &gone, i] {
      if (meeting.is_on()) meeting.hand_in(i);
      ++gone;
    });
  }
  const auto accounts = meeting.wait(seconds(60));
  ASSERT_TRUE(accounts);
  EXPECT_EQ((*accounts)[0] + (*accounts)[1], 3);
  EXPECT_EQ(gone.load(), 0);
  meeting.let_go();
  for (std::thread& guest : guests) guest.join();
  EXPECT_EQ(gone.load(), 2);
}

TEST(StandstillTest, EndsWithoutAGuestWhoDoesNotComeAndHoldsNobodyUpWhoIsLate) {
  Standstill<int> meeting(1);
  EXPECT_FALSE(meeting.wait(Duration(1)));
  meeting.let_go();
  EXPECT_FALSE(meeting.is_on());
  meeting.hand_in(1);  // returns
}

}  // namespace
}  // namespace turnpike::server
