/// The same macros for the headers that stand on Asio: Boost comes before them, since it is not what is
/// tested.
#pragma once

#include <boost/asio.hpp>
#include <boost/json.hpp>

#include "hostile_macros.hpp"
