/// What almost every test with Asio in it includes. A test still includes what it uses: in `tests/run --long`
/// clang compiles it without this.
#pragma once

#include <boost/asio.hpp>

#include "precompiled_standard.hpp"
