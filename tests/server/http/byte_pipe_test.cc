#include "server/http/byte_pipe.h"

#include <future>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

namespace graft::server::http {
namespace {

/// Both ends on one executor that the test runs itself: what waits, waits until Run.
class BytePipeTest : public ::testing::Test {
 protected:
  struct Ending {
    std::optional<bool> written;
    std::optional<std::string> read;
    asio::cancellation_signal signal;
  };
  using Shared = std::shared_ptr<Ending>;

  Shared Write(std::string bytes) {
    auto ending = std::make_shared<Ending>();
    asio::co_spawn(io_, pipe_.Write(std::move(bytes)),
                   asio::bind_cancellation_slot(ending->signal.slot(),
                                                [ending](const std::exception_ptr&, bool written) {
                                                  ending->written = written;
                                                }));
    Run();
    return ending;
  }
  Shared Read() {
    auto ending = std::make_shared<Ending>();
    asio::co_spawn(
        io_, pipe_.Read(),
        asio::bind_cancellation_slot(ending->signal.slot(),
                                     [ending](const std::exception_ptr&, std::string read) {
                                       ending->read = std::move(read);
                                     }));
    Run();
    return ending;
  }
  void Run() {
    io_.restart();
    io_.poll();
  }
  void Interrupt(const Shared& ending) {
    ending->signal.emit(asio::cancellation_type::terminal);
    Run();
  }

  asio::io_context io_;
  BytePipe pipe_{io_.get_executor(), io_.get_executor(), 10};
};

TEST_F(BytePipeTest, WhatIsWrittenIsReadAtOnce) {
  EXPECT_EQ(Write("ab")->written, true);
  EXPECT_EQ(Write("cd")->written, true);

  EXPECT_EQ(Read()->read, "abcd");
}

TEST_F(BytePipeTest, AReaderWaitsForBytes) {
  const Shared read = Read();
  EXPECT_EQ(read->read, std::nullopt);

  Write("ab");

  EXPECT_EQ(read->read, "ab");
}

TEST_F(BytePipeTest, AWriterWaitsWhileTheCapacityIsUnread) {
  EXPECT_EQ(Write("123456789")->written, true) << "less than the capacity";
  const Shared written = Write("0");
  EXPECT_EQ(written->written, std::nullopt);

  EXPECT_EQ(Read()->read, "1234567890");

  EXPECT_EQ(written->written, true);
}

TEST_F(BytePipeTest, APieceBeyondTheCapacityPasses) {
  const Shared written = Write(std::string(1000, 'x'));
  EXPECT_EQ(written->written, std::nullopt);

  EXPECT_EQ(Read()->read, std::string(1000, 'x'));

  EXPECT_EQ(written->written, true);
}

TEST_F(BytePipeTest, TheEndComesBehindTheBytes) {
  Write("ab");

  pipe_.End();

  EXPECT_EQ(Read()->read, "ab");
  EXPECT_EQ(Read()->read, "");
  EXPECT_EQ(Read()->read, "") << "and stays";
}

TEST_F(BytePipeTest, TheEndWakesAReader) {
  const Shared read = Read();

  pipe_.End();
  Run();

  EXPECT_EQ(read->read, "");
}

TEST_F(BytePipeTest, AClosedPipeTakesNothing) {
  pipe_.Close();

  EXPECT_EQ(Write("ab")->written, false);
}

TEST_F(BytePipeTest, AWriterThatWaitsIsToldOfTheClose) {
  const Shared written = Write(std::string(1000, 'x'));

  pipe_.Close();
  Run();

  EXPECT_EQ(written->written, false);
}

TEST_F(BytePipeTest, BehindACloseAReaderWaitsForTheEnd) {
  Write("ab");
  pipe_.Close();
  const Shared read = Read();
  EXPECT_EQ(read->read, std::nullopt) << "what was unread is gone";

  pipe_.End();
  Run();

  EXPECT_EQ(read->read, "");
}

TEST_F(BytePipeTest, AnInterruptedWriterIsTold) {
  const Shared written = Write(std::string(1000, 'x'));

  Interrupt(written);

  EXPECT_EQ(written->written, false);
}

TEST_F(BytePipeTest, AnInterruptedReaderHasNothing) {
  const Shared read = Read();

  Interrupt(read);

  EXPECT_EQ(read->read, "");
}

TEST(BytePipeThreadsTest, BytesPassBetweenThreadsInOrder) {
  asio::io_context writing;
  asio::io_context reading;
  BytePipe pipe(writing.get_executor(), reading.get_executor(), 64);
  std::string all;
  constexpr int kPieces = 2000;
  const auto write = [](BytePipe* to) -> calls::Awaitable<void> {
    for (int i = 0; i < kPieces; ++i) {
      const bool taken = co_await to->Write(std::to_string(i) + ",");
      EXPECT_TRUE(taken);
    }
    to->End();
  };
  const auto read = [](BytePipe* from, std::string* into) -> calls::Awaitable<void> {
    std::string piece = co_await from->Read();
    while (!piece.empty()) {
      *into += piece;
      piece = co_await from->Read();
    }
  };
  auto written = asio::co_spawn(writing, write(&pipe), asio::use_future);
  auto done = asio::co_spawn(reading, read(&pipe, &all), asio::use_future);

  auto beside = std::async(std::launch::async, [&] { writing.run(); });
  // The timer that nobody waits for any more keeps neither busy.
  reading.run();
  beside.get();

  std::string expected;
  for (int i = 0; i < kPieces; ++i) expected += std::to_string(i) + ",";
  EXPECT_EQ(all, expected);
}

}  // namespace
}  // namespace graft::server::http
