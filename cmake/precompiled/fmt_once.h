#pragma once
/// fmt's formatter compiled once: version 9 leaves it to each file that formats, 70 KB of code.
#include <fmt/format.h>

#if FMT_VERSION < 100000
extern template void fmt::detail::vformat_to<char>(fmt::detail::buffer<char>&, fmt::string_view,
                                                   fmt::format_args, fmt::detail::locale_ref);
#endif
