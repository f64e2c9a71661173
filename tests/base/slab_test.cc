#include "base/slab.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace turnpike {
namespace {

using Numbers = Slab<int>;

TEST(Slab, AHandleFindsItsObjectUntilItIsErased) {
  Numbers slab(10);
  const Handle<int> handle = slab.emplace(42);
  ASSERT_NE(slab.find(handle), nullptr);
  EXPECT_EQ(*slab.find(handle), 42);
  EXPECT_TRUE(slab.erase(handle));
  EXPECT_EQ(slab.find(handle), nullptr);
  EXPECT_FALSE(slab.erase(handle));
  EXPECT_EQ(slab.size(), 0u);
}

TEST(Slab, AnOldHandleDoesNotFindTheNextObjectInItsSlot) {
  Numbers slab(1);
  const Handle<int> old = slab.emplace(1);
  slab.erase(old);
  const Handle<int> fresh = slab.emplace(2);
  EXPECT_EQ(fresh.index, old.index);
  EXPECT_NE(fresh.generation, old.generation);
  EXPECT_EQ(slab.find(old), nullptr);
  EXPECT_FALSE(slab.erase(old));
  EXPECT_EQ(*slab.find(fresh), 2);
}

TEST(Slab, TheEmptyAndTheForgedHandleFindNothing) {
  Numbers slab(1000);
  const Handle<int> real = slab.emplace(7);
  EXPECT_EQ(slab.find({}), nullptr);
  EXPECT_EQ(slab.find({real.index, real.generation + 1}), nullptr);
  EXPECT_EQ(slab.find({real.index + 1, 1}), nullptr);
  EXPECT_EQ(slab.find({999, 1}), nullptr);
  EXPECT_EQ(slab.find({0xFFFFFFFF, 1}), nullptr);
  EXPECT_FALSE(Handle<int>{});
  EXPECT_TRUE(real);
}

// Around the chunk size of 256 too, where a maximum could be rounded by mistake.
TEST(Slab, HoldsItsMaximumAndRefusesOneMore) {
  for (const std::uint32_t maximum : {1u, 3u, 255u, 256u, 257u, 600u}) {
    Numbers slab(maximum);
    std::set<std::uint32_t> indices;
    Handle<int> last;
    for (std::uint32_t i = 0; i < maximum; ++i) {
      last = slab.emplace(static_cast<int>(i));
      ASSERT_TRUE(last) << i << " of " << maximum;
      indices.insert(last.index);
    }
    EXPECT_EQ(indices.size(), maximum);
    EXPECT_EQ(slab.size(), maximum);
    EXPECT_FALSE(slab.emplace(0));
    EXPECT_EQ(slab.size(), maximum);
    slab.erase(last);
    EXPECT_TRUE(slab.emplace(0));
    EXPECT_FALSE(slab.emplace(0));
  }
}

TEST(Slab, WithAMaximumOfZeroHoldsNothing) {
  Numbers slab(0);
  EXPECT_FALSE(slab.emplace(1));
}

TEST(Slab, ObjectsStayWhereTheyAreWhileItGrows) {
  Numbers slab(2000);
  const Handle<int> first = slab.emplace(1);
  const int* const place = slab.find(first);
  for (int i = 1; i < 2000; ++i) slab.emplace(i);
  EXPECT_EQ(slab.find(first), place);
}

TEST(Slab, DestroysEveryObjectExactlyOnce) {
  const auto witness = std::make_shared<int>(0);
  {
    Slab<std::shared_ptr<int>> slab(300);
    Handle<std::shared_ptr<int>> some;
    for (int i = 0; i < 300; ++i) some = slab.emplace(witness);
    EXPECT_EQ(witness.use_count(), 301);
    slab.erase(some);
    EXPECT_EQ(witness.use_count(), 300);
  }
  EXPECT_EQ(witness.use_count(), 1);
}

TEST(Slab, ForEachVisitsTheLivingAndMayEraseTheOneItVisits) {
  Numbers slab(600);
  for (int i = 0; i < 600; ++i) slab.emplace(i);
  slab.for_each([&](Handle<int> handle, int& value) {
    if (value % 2 == 0) slab.erase(handle);
  });
  int visited = 0;
  slab.for_each([&](Handle<int>, int& value) {
    ++visited;
    EXPECT_EQ(value % 2, 1);
  });
  EXPECT_EQ(visited, 300);
  EXPECT_EQ(slab.size(), 300u);
}

TEST(Handle, PacksIntoANumberAndBack) {
  const Handle<int> handle{0xDEADBEEF, 0x12345678};
  EXPECT_EQ(handle.pack(), 0x12345678DEADBEEFull);
  EXPECT_EQ(Handle<int>::unpack(handle.pack()), handle);
  EXPECT_EQ(Handle<int>{}.pack(), 0u);
}

}  // namespace
}  // namespace turnpike
