#pragma once
/// nlohmann::json without its literal _json, which nothing here uses: being no template, it would
/// instantiate the whole parser in every file, a second of each one's compilation.

#define JSON_USE_GLOBAL_UDLS 0
// Leaves the literal declared, and makes a template of its body.
#define _json(...)         \
  _json(__VA_ARGS__);      \
  template <typename Char> \
  nlohmann::json ParseLiteral(const Char* s, std::size_t n)
#include <nlohmann/json.hpp>
#undef _json

// Compiled once, in json_library.cc: without these words each file that uses JSON has its own copy
// of what it uses.
extern template class nlohmann::basic_json<>;
extern template class nlohmann::detail::serializer<nlohmann::json>;
