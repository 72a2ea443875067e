// Asio's own functions, compiled once for all who include its headers (BOOST_ASIO_SEPARATE_COMPILATION).
#include <boost/asio/impl/src.hpp>
