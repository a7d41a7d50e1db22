/// Macros that other people's headers define, put before levee's own: no public header may trip over them.
///
/// The standard headers come first, because they do not survive `min` and `max` themselves.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <charconv>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <forward_list>
#include <fstream>
#include <functional>
#include <future>
#include <iomanip>
#include <iosfwd>
#include <iostream>
#include <iterator>
#include <latch>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <numeric>
#include <optional>
#include <ostream>
#include <queue>
#include <random>
#include <ranges>
#include <ratio>
#include <semaphore>
#include <set>
#include <shared_mutex>
#include <source_location>
#include <span>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <tuple>
#include <type_traits>
#include <typeindex>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

// <windows.h>
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define small char
#define near
#define far
#define interface struct
#define ERROR 0
#define NO_ERROR 0L
#define IN
#define OUT
#define OPTIONAL
// Logging libraries
#define LOG(level) levee_must_not_expand_this
#define CHECK(condition) levee_must_not_expand_this
#define VERIFY(condition) levee_must_not_expand_this
#define DEBUG 1
#define INFO 2
#define WARNING 3
#define FATAL 4
// Xlib
#define None 0L
#define Success 0
#define Always 2
#define Status int
#define Bool int
// C code of all ages
#define major(device) levee_must_not_expand_this
#define minor(device) levee_must_not_expand_this
#define likely(x) levee_must_not_expand_this
#define unlikely(x) levee_must_not_expand_this
#define check(x) levee_must_not_expand_this
#define ARRAY_SIZE(a) levee_must_not_expand_this
#define TRUE 1
#define FALSE 0
#define OK 0
