#include "client/cli/interrupt.h"

#include <unistd.h>

#include <iostream>

#include <gtest/gtest.h>

namespace graft::cli {
namespace {

// Handlers belong to a whole process: each of these has one of its own.
TEST(InterruptDeathTest, TheSignalEndsTheProcessBehindTidying) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EXIT(
        {
          const TidyOnInterrupt interrupt([] { std::cerr << "tidied\n"; });
          ::raise(signal);
          for (;;) ::pause();
        },
        testing::KilledBySignal(signal), "^tidied\n$");
  }
}

TEST(InterruptDeathTest, OneJustBeforeItsEndCounts) {
  EXPECT_EXIT(
      {
        {
          const TidyOnInterrupt interrupt([] { std::cerr << "tidied\n"; });
          ::raise(SIGTERM);
        }
        std::cerr << "went on\n";
      },
      testing::KilledBySignal(SIGTERM), "^tidied\n$");
}

TEST(InterruptDeathTest, ASecondOneDoesNotWaitForTidying) {
  EXPECT_EXIT(
      {
        const TidyOnInterrupt interrupt([] {
          std::cerr << "stuck\n";
          ::kill(::getpid(), SIGINT);
          for (;;) ::pause();
        });
        ::raise(SIGINT);
        for (;;) ::pause();
      },
      testing::KilledBySignal(SIGINT), "^stuck\n$");
}

TEST(InterruptDeathTest, WhatWasIgnoredStaysIgnored) {
  EXPECT_EXIT(
      {
        ::signal(SIGHUP, SIG_IGN);
        {
          const TidyOnInterrupt interrupt([] { std::cerr << "tidied\n"; });
          ::raise(SIGHUP);
        }
        ::_exit(7);
      },
      testing::ExitedWithCode(7), "^$");
}

TEST(InterruptDeathTest, AfterwardsSignalsAreWhatTheyWere) {
  EXPECT_EXIT(
      {
        ::signal(SIGTERM, [](int) { ::_exit(9); });
        {
          const TidyOnInterrupt interrupt([] { std::cerr << "tidied\n"; });
        }
        ::raise(SIGTERM);
      },
      testing::ExitedWithCode(9), "^$");
}

}  // namespace
}  // namespace graft::cli
