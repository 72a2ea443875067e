#include <algorithm>
#include <array>

#include "common/templates/values/operations.h"
#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;
constexpr int64_t kMaxRange = 100'000;

/// One character as a text. ASCII's are made once.
StatusOr<Value> CharacterText(Session& session, std::string_view character) {
  static const auto* const kCharacters = [] {
    auto* all = new std::array<Value, 128>();
    for (size_t c = 0; c < all->size(); ++c)
      (*all)[c] = ConstantText(std::string(1, static_cast<char>(c)));
    return all;
  }();
  if (character.size() == 1) return (*kCharacters)[static_cast<uint8_t>(character[0])];
  return MakeText(session, std::string(character));
}

StatusOr<std::vector<Value>> Characters(Session& session, std::string_view text) {
  GRAFT_RETURN_IF_ERROR(session.Spend(text.size()));
  Claimed room;
  GRAFT_RETURN_IF_ERROR(room.Add(session, NumCodes(text) * sizeof(Value)));
  std::vector<Value> characters;
  characters.reserve(NumCodes(text));
  while (!text.empty()) {
    const size_t length = CharacterBytes(text);
    GRAFT_ASSIGN_OR_RETURN(Value character, CharacterText(session, text.substr(0, length)));
    characters.push_back(std::move(character));
    text.remove_prefix(length);
  }
  return characters;
}

/// A slice's bounds, clipped to what there is. Source: Python's slice.indices.
struct Indices {
  int64_t start, stop, step;
  size_t count;
  /// Requires: i < count.
  size_t At(size_t i) const { return static_cast<size_t>(start + static_cast<int64_t>(i) * step); }
};

StatusOr<Indices> Clip(const SliceBounds& bounds, int64_t length) {
  const int64_t step = bounds.step.value_or(1);
  if (step == 0) return Failure("the step of a slice is 0");
  const bool forward = step > 0;
  const int64_t low = forward ? 0 : -1;
  const int64_t high = forward ? length : length - 1;
  const auto clip = [&](int64_t index) {
    return std::clamp(index < 0 ? index + length : index, low, high);
  };
  Indices indices{forward ? low : high, forward ? high : low, step, 0};
  if (bounds.start.has_value()) indices.start = clip(*bounds.start);
  if (bounds.stop.has_value()) indices.stop = clip(*bounds.stop);
  const int64_t distance = forward ? indices.stop - indices.start : indices.start - indices.stop;
  if (distance > 0) {
    const uint64_t stride = forward ? static_cast<uint64_t>(step) : -static_cast<uint64_t>(step);
    indices.count = static_cast<size_t>((static_cast<uint64_t>(distance) - 1) / stride + 1);
  }
  return indices;
}

StatusOr<Value> SliceOfText(Session& session, const Value& value, const SliceBounds& bounds) {
  const std::string_view text = value.text();
  GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(4 * text.size()));
  const auto length = static_cast<int64_t>(NumCodes(text));
  GRAFT_ASSIGN_OR_RETURN(const Indices indices, Clip(bounds, length));
  TextBuilder out(session);
  if (indices.count > 0 && indices.step == 1) {
    const size_t begin = ByteOf(text, static_cast<size_t>(indices.start));
    out.Append(text.substr(begin, ByteOf(text.substr(begin), indices.count)));
  } else if (indices.count > 0) {
    GRAFT_RETURN_IF_ERROR(session.SpendOnCharacters(text.size()));
    Claimed room;
    GRAFT_RETURN_IF_ERROR(room.Add(session, static_cast<size_t>(length) * sizeof(size_t)));
    std::vector<size_t> begins;
    for (size_t at = 0; at < text.size(); at += CharacterBytes(text.substr(at)))
      begins.push_back(at);
    for (size_t i = 0; i < indices.count; ++i) {
      const std::string_view rest = text.substr(begins[indices.At(i)]);
      out.Append(rest.substr(0, CharacterBytes(rest)));
    }
  }
  return out.Finish(value.is_safe_text());
}

/// A range again, as in Python.
StatusOr<Value> SliceOfRange(Session& session, const Sequence& range, const Indices& indices) {
  int64_t start = 0;
  int64_t stop = 0;
  int64_t step = 0;
  if (__builtin_mul_overflow(indices.start, range.step, &start) ||
      __builtin_mul_overflow(indices.stop, range.step, &stop) ||
      __builtin_mul_overflow(indices.step, range.step, &step) ||
      __builtin_add_overflow(start, range.start, &start) ||
      __builtin_add_overflow(stop, range.start, &stop))
    return Failure("a whole number doesn't fit in 64 bits");
  return MakeRange(session, start, stop, step);
}

}  // namespace

Status CheckHashable(Session& session, const Value& value) {
  GRAFT_RETURN_IF_ERROR(session.Spend(1));
  if (value.Is(Kind::kDict) || value.IsSequence(Sequence::Form::kList))
    return Failure("a " + std::string(TypeName(value)) + " can't be the key of a dict");
  if (value.IsSequence(Sequence::Form::kTuple)) {
    for (const Value& item : value.sequence().items)
      GRAFT_RETURN_IF_ERROR(CheckHashable(session, item));
  }
  return OkStatus();
}

StatusOr<bool> Contains(Session& session, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kText:
      if (!item.Is(Kind::kText))
        return Failure("looks for a " + std::string(TypeName(item)) + " in a text");
      GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(container.text().size() + item.text().size()));
      return Find(container.text(), item.text()) != std::string::npos;
    case Kind::kSequence: {
      const Sequence& sequence = container.sequence();
      for (size_t i = sequence.taken; i < sequence.items.size(); ++i) {
        if (sequence.form == Sequence::Form::kIterator) sequence.taken = i + 1;
        GRAFT_ASSIGN_OR_RETURN(const bool equal, Equal(session, sequence.items[i], item));
        if (equal) return true;
      }
      return false;
    }
    case Kind::kDict:
      GRAFT_RETURN_IF_ERROR(CheckHashable(session, item));
      return container.dict().Find(item) != nullptr;
    case Kind::kUndefined:
      return false;
    default:
      return Failure("looks into a " + std::string(TypeName(container)));
  }
}

StatusOr<int64_t> Length(Session& session, const Value& value) {
  switch (value.kind()) {
    case Kind::kText:
      GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(value.text().size()));
      return static_cast<int64_t>(NumCodes(value.text()));
    case Kind::kSequence:
      if (value.IsSequence(Sequence::Form::kIterator)) break;
      return static_cast<int64_t>(value.sequence().items.size());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().items().size());
    case Kind::kUndefined:
      return 0;
    default:
      break;
  }
  return Failure("a " + std::string(TypeName(value)) + " has no length");
}

bool IsIterable(const Value& value) {
  return value.Is(Kind::kText) || value.Is(Kind::kSequence) || value.Is(Kind::kDict) ||
         value.Is(Kind::kUndefined) || value.Is(Kind::kLoop);
}

StatusOr<std::shared_ptr<const Sequence>> Iterated(Session& session, const Value& value) {
  std::vector<Value> items;
  switch (value.kind()) {
    case Kind::kSequence:
      return value.As<std::shared_ptr<const Sequence>>();
    case Kind::kText: {
      GRAFT_ASSIGN_OR_RETURN(items, Characters(session, value.text()));
      break;
    }
    case Kind::kDict:
      GRAFT_RETURN_IF_ERROR(session.Spend(value.dict().items().size()));
      for (const auto& item : value.dict().items()) items.push_back(item.first);
      break;
    case Kind::kUndefined:
      break;
    default:
      return Failure("goes through a " + std::string(TypeName(value)));
  }
  GRAFT_ASSIGN_OR_RETURN(const Value list, MakeList(session, std::move(items)));
  return list.As<std::shared_ptr<const Sequence>>();
}

StatusOr<std::vector<Value>> Items(Session& session, const Value& value) {
  GRAFT_ASSIGN_OR_RETURN(const auto sequence, Iterated(session, value));
  GRAFT_RETURN_IF_ERROR(session.Spend(sequence->items.size()));
  Claimed room;
  GRAFT_RETURN_IF_ERROR(room.Add(session, sequence->items.size() * sizeof(Value)));
  std::vector<Value> items(sequence->items.begin() + static_cast<std::ptrdiff_t>(sequence->taken),
                           sequence->items.end());
  if (sequence->form == Sequence::Form::kIterator) sequence->taken = sequence->items.size();
  return items;
}

StatusOr<Value> MakePair(Session& session, const Value& first, const Value& second) {
  std::vector<Value> both;
  both.reserve(2);
  both.push_back(first);
  both.push_back(second);
  return MakeTuple(session, std::move(both));
}

StatusOr<Value> SliceOf(Session& session, const Value& value, const SliceBounds& bounds) {
  using Form = Sequence::Form;
  if (value.Is(Kind::kUndefined)) return UndefinedFailure(value);
  if (value.Is(Kind::kText)) return SliceOfText(session, value, bounds);
  if (!value.Is(Kind::kSequence) || value.sequence().form > Form::kRange)
    return Failure("a " + std::string(TypeName(value)) + " has no slices");
  const Sequence& from = value.sequence();
  GRAFT_ASSIGN_OR_RETURN(const Indices indices,
                         Clip(bounds, static_cast<int64_t>(from.items.size())));
  if (from.form == Form::kRange) return SliceOfRange(session, from, indices);
  GRAFT_RETURN_IF_ERROR(session.Spend(indices.count));
  Claimed room;
  GRAFT_RETURN_IF_ERROR(room.Add(session, indices.count * sizeof(Value)));
  std::vector<Value> items;
  items.reserve(indices.count);
  for (size_t i = 0; i < indices.count; ++i) items.push_back(from.items[indices.At(i)]);
  return MakeSequence(session, from.form, std::move(items));
}

StatusOr<Value> MakeRange(Session& session, int64_t start, int64_t stop, int64_t step) {
  if (step == 0) return Failure("the step of a range is 0");
  std::vector<Value> items;
  for (int64_t number = start; step > 0 ? number < stop : number > stop;) {
    if (items.size() == kMaxRange) {
      return LimitFailure("makes a range of more than " + std::to_string(kMaxRange) + " numbers");
    }
    items.emplace_back(number);
    if (__builtin_add_overflow(number, step, &number)) break;
  }
  GRAFT_RETURN_IF_ERROR(session.Spend(items.size()));
  const size_t held = sizeof(Sequence) + items.capacity() * sizeof(Value);
  GRAFT_RETURN_IF_ERROR(session.Claim(held));
  auto range = std::make_shared<Sequence>(Sequence::Form::kRange, std::move(items), 1,
                                          Claimed(&session, held));
  range->start = start;
  range->stop = stop;
  range->step = step;
  return Value(std::shared_ptr<const Sequence>(std::move(range)));
}

}  // namespace graft::templates
