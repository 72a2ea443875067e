#pragma once
/// The values of a template: Python's, as far as chat templates meet them. All but namespaces,
/// loops and iterators never change once made. Thread safety: values of a parsed template
/// (constants) are shared between threads; all others are confined to the rendering that made them.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/json.h"
#include "common/templates/values/session.h"

namespace graft::templates {

struct Callable;
struct LoopState;
class Dict;
class Value;

/// A place of a frame that nothing has been put into; reading it gives Undefined.
struct Missing {};

/// What there isn't: prints as nothing, is false, and fails in most other uses.
struct Undefined {
  /// The name that was looked for, null if there was none; owned by the template or a constant.
  const std::string* name = nullptr;
};

struct None {};

struct TextBody {
  TextBody(std::string text, Claimed claimed) : bytes(std::move(text)), claim(std::move(claimed)) {}
  const std::string bytes;  ///< Valid UTF-8.
  const Claimed claim;
};

/// `safe` is what |safe makes of a text: joined by + to one that isn't, it escapes HTML in it.
struct Text {
  std::shared_ptr<const TextBody> body;
  bool safe = false;
};

/// What Python would call a list, and its relatives, which differ in little but how they print and
/// what they are equal to.
struct Sequence {
  enum class Form { kList, kTuple, kRange, kKeys, kValues, kItems, kIterator };

  Sequence(Form of, std::vector<Value> all, int levels, Claimed claimed);
  const Form form;
  const std::vector<Value> items;
  const int depth;                        ///< Levels of lists and dicts, this one included.
  mutable size_t taken = 0;               ///< Of an iterator: items that are no longer there.
  int64_t start = 0, stop = 0, step = 1;  ///< Of a range.
  const Claimed claim;
};

class Value {
 public:
  enum class Kind : uint8_t {  // In the order of Form.
    kMissing,
    kUndefined,
    kNone,
    kBool,
    kInteger,
    kFloat,
    kText,
    kSequence,
    kDict,
    kNamespace,
    kLoop,
    kCallable
  };
  using Form = std::variant<Missing, Undefined, None, bool, int64_t, double, Text,
                            std::shared_ptr<const Sequence>, std::shared_ptr<const Dict>,
                            std::shared_ptr<Namespace>, std::shared_ptr<LoopState>,
                            std::shared_ptr<const Callable>>;

  Value() = default;
  template <typename T, typename = std::enable_if_t<std::is_constructible_v<Form, T&&> &&
                                                    !std::is_same_v<std::decay_t<T>, Value>>>
  Value(T&& form) : form_(std::forward<T>(form)) {}  // NOLINT: implicit on purpose

  Kind kind() const { return static_cast<Kind>(form_.index()); }
  bool Is(Kind kind) const { return this->kind() == kind; }
  /// Requires: of that kind.
  template <typename T>
  const T& As() const {
    return std::get<T>(form_);
  }
  /// Requires: a text.
  const std::string& text() const { return As<Text>().body->bytes; }
  bool is_safe_text() const { return Is(Kind::kText) && As<Text>().safe; }
  /// Requires: a sequence; a dict.
  const Sequence& sequence() const { return *As<std::shared_ptr<const Sequence>>(); }
  const Dict& dict() const { return *As<std::shared_ptr<const Dict>>(); }
  bool IsSequence(Sequence::Form form) const {
    return Is(Kind::kSequence) && sequence().form == form;
  }

 private:
  Form form_;
};

/// Keeps the order in which keys came. Keys are texts, numbers, booleans and none.
class Dict {
 public:
  const std::vector<std::pair<Value, Value>>& items() const { return items_; }
  int depth() const { return depth_; }  ///< Levels of lists and dicts, this one included.
  /// Null if there is none.
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;
  /// Puts `value` in the place of the same key, or behind all. Null session: not counted.
  /// Errors: Failure if no dict has such a key; LimitFailure.
  Status Set(Session* session, Value key, Value value);
  void Clear();

 private:
  /// Numbers that are equal are one key.
  using Key = std::pair<char, std::string>;
  static bool KeyOf(const Value& value, Key* key);
  size_t Locate(const Key& key) const;  ///< items().size() if there is none.

  std::vector<std::pair<Value, Value>> items_;
  std::map<Key, size_t> by_key_;  ///< Empty as long as items are few.
  int depth_ = 1;
  Claimed claim_;
};

/// The one value that {% set x.y = ... %} changes.
struct Namespace {
  Dict attributes;
};

/// Errors of all makers: LimitFailure.
StatusOr<Value> MakeText(Session& session, std::string bytes, bool safe = false);
/// A text that is part of the template or of what is rendered; not counted.
Value ConstantText(std::string bytes);
StatusOr<Value> MakeSequence(Session& session, Sequence::Form form, std::vector<Value> items);
StatusOr<Value> MakeList(Session& session, std::vector<Value> items);
StatusOr<Value> MakeTuple(Session& session, std::vector<Value> items);
/// Goes by once, as what map, select and their like give.
StatusOr<Value> MakeIterator(Session& session, std::vector<Value> items);
Value MakeDict(Dict dict);

/// Writes a text bit by bit, and stops at the first that doesn't fit. Give what Finish returns to
/// whoever wanted the text.
class TextBuilder {
 public:
  explicit TextBuilder(Session& session) : session_(session) {}

  /// False if this or anything before didn't fit.
  bool Append(std::string_view bytes);
  bool Append(char byte) { return Append(std::string_view(&byte, 1)); }
  Status status() const { return status_; }
  const std::string& text() const { return text_; }
  StatusOr<Value> Finish(bool safe = false);

 private:
  Session& session_;
  std::string text_;
  size_t claimed_ = 0;  ///< At least text_'s bytes.
  Claimed claim_;
  Status status_;
};

/// The value of parsed JSON, not counted. Errors: Failure if a number doesn't fit in 64 bits or a
/// text isn't UTF-8; LimitFailure if it is deeper than `max_depth`.
StatusOr<Value> FromJson(const OrderedJson& json, int max_depth);

/// As Python calls its type: "str", "list"; "Undefined".
std::string_view TypeName(const Value& value);

}  // namespace graft::templates
