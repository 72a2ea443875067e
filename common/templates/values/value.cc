#include "common/templates/values/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "common/base/utf8.h"
#include "common/templates/values/callable.h"

namespace graft::templates {
namespace {

/// Up to here looking through the items is quicker than a map.
constexpr size_t kFew = 8;

int DepthOf(const Value& value) {
  if (value.Is(Value::Kind::kSequence)) return value.sequence().depth;
  if (value.Is(Value::Kind::kDict)) return value.dict().depth();
  if (value.Is(Value::Kind::kCallable)) return value.As<std::shared_ptr<const Callable>>()->depth;
  return 0;
}

StatusOr<Value> FromJsonAt(const OrderedJson& json, int levels_left) {
  using Type = OrderedJson::value_t;
  if (levels_left < 0) return LimitFailure("the conversation's JSON is nested too deep");
  switch (json.type()) {
    case Type::null:
      return Value(None());
    case Type::boolean:
      return Value(json.get<bool>());
    case Type::number_unsigned:
      if (json.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        return Failure("the number " + json.dump() + " doesn't fit in 64 bits");
      [[fallthrough]];
    case Type::number_integer:
      return Value(json.get<int64_t>());
    case Type::number_float:
      return Value(json.get<double>());
    case Type::string: {
      const auto& text = json.get_ref<const std::string&>();
      if (FirstInvalidUtf8(text) != std::string::npos)
        return Failure("the text " + Quoted(text) + " isn't UTF-8");
      return ConstantText(text);
    }
    case Type::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      int depth = 1;
      for (const OrderedJson& item : json) {
        GRAFT_ASSIGN_OR_RETURN(Value value, FromJsonAt(item, levels_left - 1));
        depth = std::max(depth, DepthOf(value) + 1);
        items.push_back(std::move(value));
      }
      return Value(std::make_shared<const Sequence>(Sequence::Form::kList, std::move(items), depth,
                                                    Claimed()));
    }
    case Type::object: {
      Dict dict;
      for (const auto& item : json.items()) {
        GRAFT_ASSIGN_OR_RETURN(Value value, FromJsonAt(item.value(), levels_left - 1));
        GRAFT_RETURN_IF_ERROR(dict.Set(nullptr, ConstantText(item.key()), std::move(value)));
      }
      return MakeDict(std::move(dict));
    }
    default:
      return Failure("a conversation's values are those of JSON");
  }
}

}  // namespace

Sequence::Sequence(Form of, std::vector<Value> all, int levels, Claimed claimed)
    : form(of), items(std::move(all)), depth(levels), claim(std::move(claimed)) {}

void Dict::Clear() {
  items_.clear();
  by_key_.clear();
}

bool Dict::KeyOf(const Value& value, Key* key) {
  switch (value.kind()) {
    case Value::Kind::kText:
      *key = {'t', value.text()};
      return true;
    case Value::Kind::kNone:
      *key = {'n', ""};
      return true;
    case Value::Kind::kBool:
      *key = {'#', value.As<bool>() ? "1" : "0"};
      return true;
    case Value::Kind::kInteger:
      *key = {'#', std::to_string(value.As<int64_t>())};
      return true;
    case Value::Kind::kFloat: {
      const auto number = value.As<double>();
      if (std::isnan(number)) return false;  // Equal to none, not even to itself.
      if (std::trunc(number) == number && std::abs(number) < 9.2e18) {
        *key = {'#', std::to_string(static_cast<int64_t>(number))};
        return true;
      }
      std::array<char, 32> digits{};
      const auto end = std::to_chars(digits.begin(), digits.end(), number).ptr;
      *key = {'#', std::string(digits.begin(), end)};
      return true;
    }
    default:
      return false;
  }
}

size_t Dict::Locate(const Key& key) const {
  if (items_.size() > kFew) {
    const auto found = by_key_.find(key);
    return found == by_key_.end() ? items_.size() : found->second;
  }
  size_t at = 0;
  for (Key other; at < items_.size(); ++at) {
    if (KeyOf(items_[at].first, &other) && other == key) break;
  }
  return at;
}

const Value* Dict::Find(std::string_view key) const {
  if (items_.size() > kFew) {
    const size_t at = Locate(Key('t', key));
    return at < items_.size() ? &items_[at].second : nullptr;
  }
  for (const auto& [name, value] : items_) {
    if (name.Is(Value::Kind::kText) && name.text() == key) return &value;
  }
  return nullptr;
}

const Value* Dict::Find(const Value& key) const {
  if (key.Is(Value::Kind::kText)) return Find(key.text());
  Key normal;
  const size_t at = KeyOf(key, &normal) ? Locate(normal) : items_.size();
  return at < items_.size() ? &items_[at].second : nullptr;
}

Status Dict::Set(Session* session, Value key, Value value) {
  Key normal;
  if (!KeyOf(key, &normal))
    return Failure("a " + std::string(TypeName(key)) + " can't be the key of a dict");
  const int depth = std::max(depth_, DepthOf(value) + 1);
  if (session != nullptr) GRAFT_RETURN_IF_ERROR(session->CheckDepth(depth));
  const size_t at = Locate(normal);
  if (at < items_.size()) {
    items_[at].second = std::move(value);
    depth_ = depth;
    return OkStatus();
  }
  if (session != nullptr) {
    GRAFT_RETURN_IF_ERROR(
        claim_.Add(*session, sizeof(Dict) + 2 * (sizeof(items_[0]) + normal.second.size())));
  }
  depth_ = depth;
  items_.emplace_back(std::move(key), std::move(value));
  if (items_.size() <= kFew) return OkStatus();
  if (by_key_.empty()) {
    for (size_t i = 0; i + 1 < items_.size(); ++i) {
      Key other;
      KeyOf(items_[i].first, &other);
      by_key_.emplace(std::move(other), i);
    }
  }
  by_key_.emplace(std::move(normal), at);
  return OkStatus();
}

StatusOr<Value> MakeText(Session& session, std::string bytes, bool safe) {
  const size_t held = sizeof(TextBody) + bytes.capacity();
  GRAFT_RETURN_IF_ERROR(session.Claim(held));
  return Value(
      Text{std::make_shared<const TextBody>(std::move(bytes), Claimed(&session, held)), safe});
}

Value ConstantText(std::string bytes) {
  return Value(Text{std::make_shared<const TextBody>(std::move(bytes), Claimed()), false});
}

StatusOr<Value> MakeSequence(Session& session, Sequence::Form form, std::vector<Value> items) {
  int depth = 1;
  for (const Value& item : items) depth = std::max(depth, DepthOf(item) + 1);
  GRAFT_RETURN_IF_ERROR(session.CheckDepth(depth));
  const size_t held = sizeof(Sequence) + items.capacity() * sizeof(Value);
  GRAFT_RETURN_IF_ERROR(session.Claim(held));
  return Value(
      std::make_shared<const Sequence>(form, std::move(items), depth, Claimed(&session, held)));
}

StatusOr<Value> MakeList(Session& session, std::vector<Value> items) {
  return MakeSequence(session, Sequence::Form::kList, std::move(items));
}

StatusOr<Value> MakeTuple(Session& session, std::vector<Value> items) {
  return MakeSequence(session, Sequence::Form::kTuple, std::move(items));
}

StatusOr<Value> MakeIterator(Session& session, std::vector<Value> items) {
  return MakeSequence(session, Sequence::Form::kIterator, std::move(items));
}

StatusOr<Value> MakeMethod(Session& session, const Value& self, std::string_view name,
                           const Native* method) {
  auto callable = std::make_shared<Callable>();
  callable->name = name;
  callable->native = method;
  callable->self = self;
  callable->depth = DepthOf(self) + 1;
  GRAFT_RETURN_IF_ERROR(session.CheckDepth(callable->depth));
  return Value(std::shared_ptr<const Callable>(std::move(callable)));
}

Value MakeDict(Dict dict) { return Value(std::make_shared<const Dict>(std::move(dict))); }

bool TextBuilder::Append(std::string_view bytes) {
  if (!status_.ok()) return false;
  if (const size_t size = text_.size() + bytes.size(); size > claimed_) {
    const size_t more = std::max(size, 2 * claimed_) - claimed_;
    // Doubling may be too much where the text itself still fits.
    size_t taken = more;
    status_ = claim_.Add(session_, taken);
    if (!status_.ok()) {
      taken = size - claimed_;
      status_ = claim_.Add(session_, taken);
    }
    if (!status_.ok()) return false;
    claimed_ += taken;
    text_.reserve(claimed_);
  }
  text_ += bytes;
  return true;
}

StatusOr<Value> TextBuilder::Finish(bool safe) {
  GRAFT_RETURN_IF_ERROR(status_);
  GRAFT_RETURN_IF_ERROR(claim_.Add(session_, sizeof(TextBody)));
  return Value(Text{std::make_shared<const TextBody>(std::move(text_), std::move(claim_)), safe});
}

StatusOr<Value> FromJson(const OrderedJson& json, int max_depth) {
  return FromJsonAt(json, max_depth);
}

std::string_view TypeName(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kMissing:
    case Value::Kind::kUndefined:
      return "Undefined";
    case Value::Kind::kNone:
      return "NoneType";
    case Value::Kind::kBool:
      return "bool";
    case Value::Kind::kInteger:
      return "int";
    case Value::Kind::kFloat:
      return "float";
    case Value::Kind::kText:
      return "str";
    case Value::Kind::kSequence:
      break;
    case Value::Kind::kDict:
      return "dict";
    case Value::Kind::kNamespace:
      return "Namespace";
    case Value::Kind::kLoop:
      return "LoopContext";
    case Value::Kind::kCallable:
      return "function";
  }
  constexpr std::array<std::string_view, 7> kForms = {
      "list", "tuple", "range", "dict_keys", "dict_values", "dict_items", "generator"};
  return kForms[static_cast<size_t>(value.sequence().form)];
}

}  // namespace graft::templates
