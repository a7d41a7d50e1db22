/// For the few objects that thread-local and global destructors may still use.
#pragma once

namespace levee::detail {

/// Holds a `T` from constant initialisation to the end of the process.
template <class T>
union never_destroyed {
    T value;

    constexpr never_destroyed() noexcept : value{} {}
    constexpr ~never_destroyed() {}  // on purpose: `value` is not destroyed
};

}  // namespace levee::detail
