/// What header-only libraries are asked to compile once for all who include them.
#include "cmake/precompiled/fmt_once.h"

// Asio's own functions (BOOST_ASIO_SEPARATE_COMPILATION).
#include <boost/asio/impl/src.hpp>

#if FMT_VERSION < 100000
template void fmt::detail::vformat_to<char>(fmt::detail::buffer<char>&, fmt::string_view,
                                            fmt::format_args, fmt::detail::locale_ref);
#endif
