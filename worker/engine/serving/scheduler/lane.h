#pragma once
/// Requests that wait for passes of one kind, owners in turns: deficit round robin by tokens
/// (Shreedhar and Varghese, 1995). Private to the scheduler.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <vector>

namespace graft::worker::engine {

/// Texts of equal kinds may share a pass.
struct PassKind {
  uint64_t base = 0;     ///< Passes over one base are measured together.
  uint64_t variant = 0;  ///< Whatever else texts must share.
  friend bool operator==(const PassKind&, const PassKind&) = default;
};

/// A text of a request.
struct ScheduledText {
  uint64_t request = 0;
  size_t index = 0;
  friend bool operator==(const ScheduledText&, const ScheduledText&) = default;
};

/// A request whose last texts aren't in a pass yet.
struct WaitingRequest {
  uint64_t id = 0;
  PassKind kind;
  uint64_t owner = 0;            ///< Whom its texts are counted for.
  std::vector<int64_t> lengths;  ///< Tokens of each text.
  size_t next = 0;               ///< First text that is in no pass yet.
  bool is_short = false;         ///< Which lane of its kind it waits in.

  int64_t tokens_left() const;
};

/// Thread safety: none.
class Lane {
 public:
  /// `takes_turns`: an owner's requests take turns as owners do, rather than being answered in the
  /// order of their arrival.
  explicit Lane(bool takes_turns) : takes_turns_(takes_turns) {}

  bool empty() const { return owners_.empty(); }
  /// The request stays where it is until it is removed, or its last text is taken.
  void Add(WaitingRequest& request);
  void Remove(const WaitingRequest& request);
  /// Adds texts to `texts`, and their length to `tokens`, until `room` tokens are full or the next
  /// text doesn't fit; the first text of a pass always does if it `may_exceed` the room. An owner
  /// takes `turn` tokens before the next has its turn, and goes on with what is left of it in the
  /// next pass. Requires: turn > 0.
  void Take(int64_t room, int64_t turn, bool may_exceed, std::vector<ScheduledText>& texts,
            int64_t& tokens);

 private:
  struct Owner {
    uint64_t id = 0;
    int64_t credit = 0;  ///< Tokens that it may take in this turn; what is left counts in its next.
    bool in_turn = false;
    std::optional<uint64_t> served;        ///< The request that this turn last took from.
    std::deque<WaitingRequest*> requests;  ///< Each has a text that waits.
  };

  /// True once the owner has had its turn or nothing waits; false if the next text doesn't fit.
  static bool TakeTurn(Owner& owner, int64_t room, bool may_exceed,
                       std::vector<ScheduledText>& texts, int64_t& tokens);

  const bool takes_turns_;
  std::list<Owner> owners_;  ///< In the order of their turns.
};

}  // namespace graft::worker::engine
